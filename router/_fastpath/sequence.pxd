"""
Packet indices and the replay window of one SSRC (RFC 3711 sections 3.3.1 and 3.3.2).

An index is the 48-bit one of RFC 3711 (roll-over counter, sequence number), held in 64 bits; it is
also the extended sequence number of RFC 3550 A.1, counted from roll-over 0.
"""

from libc.stdint cimport int16_t, int64_t, uint16_t, uint64_t


cdef enum:
    # RFC 3711 asks for at least 64. Retransmissions without RTX come late, hence so many.
    SEQUENCE_WINDOW = 1024
    SEQUENCE_WORDS = 16


cdef extern from *:
    """
    #define SEQUENCE_END ((int64_t)1 << 48)
    """
    const int64_t SEQUENCE_END  # behind the last index; new keys are due


cdef struct sequence_window:
    bint started
    int64_t highest                 # largest accepted index
    uint64_t seen[SEQUENCE_WORDS]   # bit (index mod SEQUENCE_WINDOW): accepted


cdef inline int64_t sequence_nearest(int64_t reference, uint16_t seq) noexcept nogil:
    """Return the index with these low 16 bits that is nearest to ``reference`` (may be < 0)."""
    return reference + <int16_t>(seq - <uint16_t>reference)


# Return the index that a packet with ``seq`` most likely has; below 0 there is none.
cdef inline int64_t sequence_estimate(const sequence_window *window, uint16_t seq) noexcept nogil:
    return sequence_nearest(window.highest, seq) if window.started else seq


# Return 1 when ``index`` was neither accepted before nor is older than the window.
cdef bint sequence_is_new(const sequence_window *window, int64_t index) noexcept nogil

# Begin behind ``highest``: it and everything before counts as received.
cdef void sequence_resume(sequence_window *window, int64_t highest) noexcept nogil

# Mark ``index`` as received; only after the packet was authenticated.
cdef void sequence_accept(sequence_window *window, int64_t index) noexcept nogil
