"""Reception statistics of one SSRC for report blocks (RFC 3550 sections 6.4.1, A.3 and A.8)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef struct reception:
    bint started
    int64_t base_ext_seq
    int64_t highest_ext_seq
    uint64_t packets            # every different packet, recovered ones too
    uint64_t bytes              # of them, with headers, without tags
    uint64_t expected_prior
    uint64_t received_prior
    uint32_t jitter_q4          # in timestamp units, scaled by 16 as in A.8
    uint32_t transit            # relative transit time of the last packet
    bint transit_known


# Note a packet. ``clock_rate`` 0 leaves the jitter alone, as is right for retransmissions.
cdef void reception_note(
    reception *r, int64_t ext_seq, uint32_t length, uint32_t rtp_ts, uint32_t clock_rate,
    int64_t now_us
) noexcept nogil

# Return packets expected minus received so far; negative never, duplicates are not counted.
cdef int64_t reception_lost(const reception *r) noexcept nogil

# Write a report block (24 bytes) and begin the next interval.
cdef void reception_report(
    reception *r, uint8_t *out, uint32_t ssrc, uint32_t last_sr, uint32_t delay_since_sr
) noexcept nogil
