"""Skipped packets; the contract is in ``skips.pxd``."""

from libc.string cimport memset


cdef extern from *:
    int popcount "__builtin_popcountll" (unsigned long long value) noexcept nogil


cdef void skips_init(skip_list *skips) noexcept nogil:
    memset(skips, 0, sizeof(skip_list))


cdef void skips_advance(skip_list *skips, int64_t ext_seq, bint skip) noexcept nogil:
    cdef int64_t step
    cdef uint64_t position
    if ext_seq - skips.highest >= SEQUENCE_WINDOW:
        memset(skips.skipped, 0, sizeof(skips.skipped))
    else:
        for step in range(skips.highest + 1, ext_seq + 1):
            position = <uint64_t>step % SEQUENCE_WINDOW
            skips.skipped[position >> 6] &= ~(<uint64_t>1 << (position & 63))
    skips.highest = ext_seq
    if skip:
        position = <uint64_t>ext_seq % SEQUENCE_WINDOW
        skips.skipped[position >> 6] |= <uint64_t>1 << (position & 63)
        skips.total += 1


cdef int64_t skips_number(const skip_list *skips, int64_t ext_seq) noexcept nogil:
    cdef int64_t before = skips.total
    cdef int64_t step = ext_seq
    cdef uint64_t position
    cdef uint64_t word
    # Less what was skipped from this packet on, a word of the window at a time.
    while step <= skips.highest and before:
        position = <uint64_t>step % SEQUENCE_WINDOW
        word = skips.skipped[position >> 6] >> (position & 63)
        if skips.highest - step < 64 - <int64_t>(position & 63):
            word &= ~<uint64_t>0 >> (63 - <uint64_t>(skips.highest - step))
        before -= popcount(word)
        step += 64 - <int64_t>(position & 63)
    return ext_seq - before
