"""
The arrival log behind transport-wide congestion control feedback.

draft-holmer-rmcat-transport-wide-cc-extensions-01. Times on the wire are in units of 250 us, the
reference time in units of 64 ms.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    ARRIVAL_LOG_SIZE = 1024         # packets; a power of two
    ARRIVAL_LOG_FULL = 800          # unreported packets at which feedback is due at once
    ARRIVAL_FEEDBACK_PACKETS = 800  # statuses in one feedback packet
    ARRIVAL_FEEDBACK_DELTAS = 800   # bytes of receive deltas in it: 1 or 2 for each that came
    ARRIVAL_FEEDBACK_BYTES = 20 + 2 * 115 + ARRIVAL_FEEDBACK_DELTAS + 4


cdef struct arrival_log:
    bint started
    int64_t base        # first extended sequence number that was not reported yet
    int64_t highest     # largest that came
    int64_t at_us[ARRIVAL_LOG_SIZE]     # arrival time plus 1, 0 when it did not come
    uint32_t unreported
    uint8_t feedback_count


# Note the arrival of transport-wide sequence number ``seq``.
cdef void arrival_note(arrival_log *log, uint16_t seq, int64_t now_us) noexcept nogil

# Write one feedback packet (at most ARRIVAL_FEEDBACK_BYTES) for what was not reported; return its
# length, or 0 when nothing is left. Call again until then.
cdef int arrival_feedback(
    arrival_log *log, uint8_t *out, uint32_t sender_ssrc, uint32_t media_ssrc
) noexcept nogil
