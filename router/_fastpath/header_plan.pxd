"""
The header that a packet has towards one class of subscribers: those that take the same extensions.

It is built once for each packet and class; for each subscriber it is copied and patched. CSRCs are
left out, and so are MID, RID and everything the subscribers did not negotiate. Transport-wide
numbers and send times are always ours, so there is room for them whether the publisher sent any
or not.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from router._fastpath.rtp cimport (
    EXTENSION_KINDS,
    KIND_ABS_SEND_TIME,
    KIND_MID,
    KIND_REPAIRED_RID,
    KIND_RID,
    KIND_TRANSPORT_CC,
    rtp_view,
)


cdef enum:
    PLAN_HEADER_MAX = 256
    ONE_BYTE_ELEMENT_MAX = 16   # RFC 8285 section 4.2
    MASK_MIXED = 1              # in a mask of kinds, where kind 0 is none


cdef struct header_plan:
    uint8_t bytes[PLAN_HEADER_MAX]
    uint16_t length
    uint16_t transport_cc_at            # 0 when absent
    uint16_t abs_send_time_at           # 0 when absent
    uint8_t two_byte                    # form of the elements (RFC 8285 section 4.3)
    uint8_t elements
    uint16_t element_at[EXTENSION_KINDS]    # where the element's id goes
    uint8_t element_kind[EXTENSION_KINDS]


# Kinds that we never pass on as they came.
cdef inline uint32_t replaced_kinds() noexcept nogil:
    return (
        1 << KIND_MID | 1 << KIND_RID | 1 << KIND_REPAIRED_RID
        | 1 << KIND_TRANSPORT_CC | 1 << KIND_ABS_SEND_TIME
    )


# Kinds that differ each time a packet is sent.
cdef inline uint32_t sending_kinds() noexcept nogil:
    return 1 << KIND_TRANSPORT_CC | 1 << KIND_ABS_SEND_TIME


# mask: bit (kind) is set for each kind that the subscribers take, and MASK_MIXED when they take the
# two-byte form too (RFC 8285 section 4.1.2). Longer elements than fit the one-byte form need it;
# all others go in the one-byte form, whatever the publisher used. Returns how many elements did not
# fit and were left out.
cdef int plan_header(header_plan *plan, const rtp_view *view, uint32_t mask) noexcept nogil


# Fill in the ids of one subscriber. ids: 16 bytes, the extmap id of each kind.
cdef inline void plan_patch_ids(
    const header_plan *plan, uint8_t *header, const uint8_t *ids
) noexcept nogil:
    cdef int i
    for i in range(plan.elements):
        if plan.two_byte:
            header[plan.element_at[i]] = ids[plan.element_kind[i]]
        else:
            header[plan.element_at[i]] |= <uint8_t>(ids[plan.element_kind[i]] << 4)
