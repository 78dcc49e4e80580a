"""
RTP padding (RFC 3550 section 5.1) that makes packets equally long, so that they share a message.

The kernel cuts a message into equal pieces, of which the last may be shorter. What is settled is
the same for all subscribers, and stays so: a plain resend is the same byte for byte.
"""

from router._fastpath.store cimport stored_packet


cdef enum:
    # Padding is at most one part in so many of the payload.
    PADDING_SHARE_NONE = 0
    PADDING_SHARE_VIDEO = 64
    PADDING_SHARE_SPEAKERS = 1


# Settle the padding of packets that are sent one behind the other: those that follow each other get
# the length of the longest where that is little more, at most STORE_PADDING_MAX bytes and the share
# of PADDING_SHARE_*. The last of such a run may be shorter anyway, whatever it lacks.
cdef void padding_settle(stored_packet **packets, int number, int share) noexcept nogil
