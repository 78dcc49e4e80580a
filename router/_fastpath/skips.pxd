"""
The packets of one inbound stream that are not forwarded, and how the others are numbered then.

A sender without RTX probes for bandwidth with packets of the stream that hold only padding. They
tell a subscriber nothing, so they are skipped, and what follows moves up: forwarded packets are
numbered one after another, with gaps only where a packet has not come. A packet for which a number
was left free is never skipped when it comes after all.

Such padding goes behind the end of a frame and has the frame's timestamp. So what is missing
between the end of a frame, or padding, and padding with the same timestamp was padding too. It is
skipped unseen: a sender does not send padding again, however often it is asked.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from router._fastpath.sequence cimport SEQUENCE_WINDOW, SEQUENCE_WORDS


cdef enum:
    SKIPPED_GAP_MAX = 256


cdef struct skip_list:
    int64_t total                   # packets skipped so far
    int64_t highest                 # ext_seq up to which `skipped` is good
    uint32_t rtp_ts                 # of that packet
    bint ended                      # it was padding, or the last of a frame
    uint64_t skipped[SEQUENCE_WORDS]    # bit (ext_seq mod SEQUENCE_WINDOW)


cdef void skips_init(skip_list *skips) noexcept nogil

# Go on to a packet with a higher number than all before it, which is skipped when it is padding.
# Returns 1 when all that is missing before it was skipped too.
cdef bint skips_advance(
    skip_list *skips, int64_t ext_seq, uint32_t rtp_ts, bint padding, bint marker
) noexcept nogil

# Return 1 when a packet was skipped, seen or unseen. It is at most SEQUENCE_WINDOW older than the
# newest that was gone on to, as below.
cdef bint skips_contain(const skip_list *skips, int64_t ext_seq) noexcept nogil

# Return the number under which a packet is forwarded.
cdef int64_t skips_number(const skip_list *skips, int64_t ext_seq) noexcept nogil
