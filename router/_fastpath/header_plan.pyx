"""Header plans; the contract is in ``header_plan.pxd``."""

from libc.string cimport memcpy, memset

from router._fastpath.rtp cimport RTP_FIXED_HEADER
from router._fastpath.wire cimport store16


cdef inline int _size_of(const rtp_view *view, int kind, uint32_t mask) noexcept nogil:
    if not mask >> kind & 1:
        return 0
    if kind == KIND_TRANSPORT_CC:
        return 2
    if kind == KIND_ABS_SEND_TIME:
        return 3
    if replaced_kinds() >> kind & 1 or view.extension_at[kind] == 0:
        return 0
    return view.extension_length[kind]


cdef inline bint _is_too_long(int size, uint32_t mask) noexcept nogil:
    return size > ONE_BYTE_ELEMENT_MAX and not mask & MASK_MIXED


cdef int plan_header(header_plan *plan, const rtp_view *view, uint32_t mask) noexcept nogil:
    cdef int at = RTP_FIXED_HEADER + 4
    cdef int kind
    cdef int size
    cdef int element
    cdef int left_out = 0
    plan.bytes[0] = 0x80
    plan.bytes[1] = <uint8_t>(view.marker << 7)
    plan.transport_cc_at = plan.abs_send_time_at = 0
    plan.two_byte = 0
    plan.elements = 0
    for kind in range(1, EXTENSION_KINDS):
        size = _size_of(view, kind, mask)
        if size > ONE_BYTE_ELEMENT_MAX and not _is_too_long(size, mask):
            plan.two_byte = 1
    for kind in range(1, EXTENSION_KINDS):
        size = _size_of(view, kind, mask)
        if size == 0:
            continue
        element = at
        if at + 2 + size > PLAN_HEADER_MAX - 3 or _is_too_long(size, mask):
            left_out += 1
            continue
        if plan.two_byte:
            plan.bytes[at] = 0
            plan.bytes[at + 1] = <uint8_t>size
            at += 2
        else:
            plan.bytes[at] = <uint8_t>(size - 1)
            at += 1
        if kind == KIND_TRANSPORT_CC:
            plan.transport_cc_at = <uint16_t>at
        elif kind == KIND_ABS_SEND_TIME:
            plan.abs_send_time_at = <uint16_t>at
        else:
            memcpy(plan.bytes + at, view.data + view.extension_at[kind], <size_t>size)
        plan.element_at[plan.elements] = <uint16_t>element
        plan.element_kind[plan.elements] = <uint8_t>kind
        plan.elements += 1
        at += size
    if plan.elements == 0:
        plan.length = RTP_FIXED_HEADER
        return left_out
    plan.bytes[0] |= 0x10
    memset(plan.bytes + at, 0, 3)
    at = (at + 3) & ~3
    store16(plan.bytes + RTP_FIXED_HEADER, 0x1000 if plan.two_byte else 0xBEDE)
    store16(plan.bytes + RTP_FIXED_HEADER + 2, <uint32_t>(at - RTP_FIXED_HEADER - 4) // 4)
    plan.length = <uint16_t>at
    return left_out
