"""Skipped packets; the contract is in ``skips.pxd``."""

from libc.string cimport memset


cdef extern from *:
    int popcount "__builtin_popcountll" (unsigned long long value) noexcept nogil


cdef void skips_init(skip_list *skips) noexcept nogil:
    memset(skips, 0, sizeof(skip_list))


cdef inline void _mark(skip_list *skips, int64_t ext_seq, bint skip) noexcept nogil:
    cdef uint64_t position = <uint64_t>ext_seq % SEQUENCE_WINDOW
    cdef uint64_t bit = <uint64_t>1 << (position & 63)
    if skip:
        skips.skipped[position >> 6] |= bit
        skips.total += 1
    else:
        skips.skipped[position >> 6] &= ~bit


cdef bint skips_advance(
    skip_list *skips, int64_t ext_seq, uint32_t rtp_ts, bint padding, bint marker
) noexcept nogil:
    cdef bint unseen = (
        padding and skips.ended and rtp_ts == skips.rtp_ts
        and ext_seq - skips.highest <= SKIPPED_GAP_MAX
    )
    cdef int64_t step
    if ext_seq - skips.highest >= SEQUENCE_WINDOW:
        memset(skips.skipped, 0, sizeof(skips.skipped))
    else:
        for step in range(skips.highest + 1, ext_seq):
            _mark(skips, step, unseen)
    _mark(skips, ext_seq, padding)
    skips.highest = ext_seq
    skips.rtp_ts = rtp_ts
    skips.ended = padding or marker
    return unseen


cdef bint skips_contain(const skip_list *skips, int64_t ext_seq) noexcept nogil:
    cdef uint64_t position = <uint64_t>ext_seq % SEQUENCE_WINDOW
    return skips.skipped[position >> 6] >> (position & 63) & 1


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
