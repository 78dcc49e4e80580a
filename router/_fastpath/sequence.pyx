"""Packet indices and replay windows; the contract is in ``sequence.pxd``."""

from libc.string cimport memset


cdef bint sequence_is_new(const sequence_window *window, int64_t index) noexcept nogil:
    cdef uint64_t position = <uint64_t>index % SEQUENCE_WINDOW
    if index < 0 or index >= SEQUENCE_END:
        return False
    if not window.started or index > window.highest:
        return True
    if index <= window.highest - SEQUENCE_WINDOW:
        return False
    return not (window.seen[position >> 6] >> (position & 63)) & 1


cdef void sequence_resume(sequence_window *window, int64_t highest) noexcept nogil:
    window.started = True
    window.highest = highest
    memset(window.seen, 0xFF, sizeof(window.seen))


cdef void sequence_accept(sequence_window *window, int64_t index) noexcept nogil:
    cdef uint64_t position
    cdef int64_t step
    if not window.started:
        window.started = True
        window.highest = index
        memset(window.seen, 0, sizeof(window.seen))
    elif index > window.highest:
        if index - window.highest >= SEQUENCE_WINDOW:
            memset(window.seen, 0, sizeof(window.seen))
        else:
            for step in range(window.highest + 1, index):
                position = <uint64_t>step % SEQUENCE_WINDOW
                window.seen[position >> 6] &= ~(<uint64_t>1 << (position & 63))
        window.highest = index
    position = <uint64_t>index % SEQUENCE_WINDOW
    window.seen[position >> 6] |= <uint64_t>1 << (position & 63)


def accept_sequence(sequence_numbers: list[int]) -> list[int]:
    """
    Return the index under which each packet is accepted by a new window, -1 where it is refused.

    For tests; the data plane uses the C functions.
    """
    cdef sequence_window window
    cdef int64_t index
    cdef int seq
    window.started = False
    window.highest = 0
    accepted = []
    for seq in sequence_numbers:
        index = sequence_estimate(&window, <uint16_t>seq)
        if not sequence_is_new(&window, index):
            accepted.append(-1)
            continue
        sequence_accept(&window, index)
        accepted.append(index)
    return accepted
