"""
The packets that one inbound stream misses, and when to ask for them again (RFC 4585 6.2.1).

A gap is asked for after a short wait, because reordered packets come by themselves, and again
after each estimated response time, a bounded number of times. What is then given up need not be
media: padding with which a sender probes is not sent again.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t


cdef enum:
    LOSS_CAPACITY = 256             # a larger gap is a restart of the stream: nothing is asked for
    LOSS_REORDER_WAIT_US = 5000
    LOSS_MAX_AGE_US = 1000000
    LOSS_MAX_REQUESTS = 10
    LOSS_MIN_REPEAT_US = 20000
    LOSS_FIRST_RESPONSE_US = 100000


cdef struct lost_packet:
    int64_t ext_seq
    int64_t since_us
    int64_t asked_at_us
    int64_t next_at_us
    uint32_t requests


cdef struct loss_list:
    lost_packet packets[LOSS_CAPACITY]      # ascending ext_seq
    int count
    int64_t next_at_us                      # earliest next_at_us, or earlier; NEVER_US when empty
    int64_t response_us                     # smoothed time from request to retransmission
    bint response_known                     # it was measured
    uint64_t recovered
    uint64_t given_up


cdef void loss_init(loss_list *losses) noexcept nogil

# Note that ``first``..``last`` (inclusive) did not come. Returns 0, or -1 when the gap is so
# large that it was not noted and all that was missing is forgotten.
cdef int loss_note_gap(
    loss_list *losses, int64_t first, int64_t last, int64_t now_us
) noexcept nogil

# Note that ``ext_seq`` came after all. Returns 1 when it was missed.
cdef bint loss_note_arrival(
    loss_list *losses, int64_t ext_seq, int64_t now_us
) noexcept nogil

# Store the sequence numbers to ask for now, at most ``capacity``; return how many.
cdef int loss_due(
    loss_list *losses, uint16_t *out, int capacity, int64_t now_us
) noexcept nogil
