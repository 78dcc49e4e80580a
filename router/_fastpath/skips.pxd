"""
The packets of one inbound stream that are not forwarded, and how the others are numbered then.

A sender without RTX probes for bandwidth with packets of the stream that hold only padding. They
tell a subscriber nothing, so they are skipped, and what follows moves up: forwarded packets are
numbered one after another, with gaps only where a packet has not come. A packet that comes late is
never skipped, since a number was left free for it.
"""

from libc.stdint cimport int64_t, uint64_t

from router._fastpath.sequence cimport SEQUENCE_WINDOW, SEQUENCE_WORDS


cdef struct skip_list:
    int64_t total                   # packets skipped so far
    int64_t highest                 # ext_seq up to which `skipped` is good
    uint64_t skipped[SEQUENCE_WORDS]    # bit (ext_seq mod SEQUENCE_WINDOW)


cdef void skips_init(skip_list *skips) noexcept nogil

# Go on to a packet with a higher number than all before it, and skip it or not.
cdef void skips_advance(skip_list *skips, int64_t ext_seq, bint skip) noexcept nogil

# Return the number under which a packet is forwarded. It is at most SEQUENCE_WINDOW older than the
# newest that was gone on to.
cdef int64_t skips_number(const skip_list *skips, int64_t ext_seq) noexcept nogil
