"""Padding; the contract is in ``padding.pxd``."""

from libc.stdint cimport uint8_t
from libc.string cimport memset

from router._fastpath.store cimport STORE_PADDING_MAX


cdef inline int _limit(int length, int share) noexcept nogil:
    return min(STORE_PADDING_MAX, length // share) if share else 0


cdef void _pad(stored_packet *packet, int length) noexcept nogil:
    cdef uint8_t *end = packet.view.data + packet.view.header_length + packet.view.payload_length
    cdef int padding = length - packet.view.payload_length
    if padding <= 0 or packet.view.payload_length == 0:
        return
    memset(end, 0, <size_t>padding)
    end[padding - 1] = <uint8_t>padding
    packet.padding = <uint8_t>padding


cdef void padding_settle(stored_packet **packets, int number, int share) noexcept nogil:
    cdef int first = 0
    cdef int end
    cdef int low
    cdef int high
    cdef int size
    cdef int i
    while first < number:
        low = high = packets[first].view.payload_length
        end = first + 1
        while end < number:
            size = packets[end].view.payload_length
            if max(high, size) - min(low, size) > _limit(max(high, size), share):
                break
            low = min(low, size)
            high = max(high, size)
            end += 1
        if end < number and packets[end].view.payload_length < high:
            end += 1        # the shorter one that ends the run
        for i in range(first, end - 1):
            _pad(packets[i], high)
        first = end
    for i in range(number):
        packets[i].planned = 1
