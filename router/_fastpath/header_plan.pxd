"""
The header that a packet has towards one class of subscribers: those that take the same extensions.

It is built once for each packet and class; for each subscriber it is copied and given its numbers.
CSRCs are left out, and so are MID, RID and everything the subscribers did not negotiate.
Transport-wide numbers and send times are always ours, so there is room for them whether the
publisher sent any or not.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from router._fastpath.rtp cimport (
    EXTENSION_KINDS,
    KIND_ABS_SEND_TIME,
    KIND_MID,
    KIND_REPAIRED_RID,
    KIND_RID,
    KIND_TRANSPORT_CC,
    rtp_view,
)
from router._fastpath.wire cimport store16, store24, store32


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


# Fill in what one subscriber, or all of its class, is sent alike. ids: 16 bytes, the extmap id of
# each kind. abs_send_time: 24 bits. Once for each plan.
cdef inline void plan_address(
    header_plan *plan, const uint8_t *ids, uint8_t payload_type, bint padded,
    uint32_t abs_send_time,
) noexcept nogil:
    cdef int i
    plan.bytes[0] |= <uint8_t>(padded << 5)
    plan.bytes[1] |= payload_type
    for i in range(plan.elements):
        if plan.two_byte:
            plan.bytes[plan.element_at[i]] = ids[plan.element_kind[i]]
        else:
            plan.bytes[plan.element_at[i]] |= <uint8_t>(ids[plan.element_kind[i]] << 4)
    if plan.abs_send_time_at:
        store24(plan.bytes + plan.abs_send_time_at, abs_send_time)


# Write the header; ``out`` has room for PLAN_HEADER_MAX bytes.
cdef inline void plan_write(
    const header_plan *plan, uint8_t *out, uint16_t seq, uint32_t rtp_ts, uint32_t ssrc
) noexcept nogil:
    if plan.length <= 64:
        memcpy(out, plan.bytes, 64)     # a constant size, because it is faster
    else:
        memcpy(out, plan.bytes, plan.length)
    store16(out + 2, seq)
    store32(out + 4, rtp_ts)
    store32(out + 8, ssrc)
