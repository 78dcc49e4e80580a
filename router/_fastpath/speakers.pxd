"""
The fan-out of speakers: single packets of several streams, sent together, subscriber by subscriber.

Audio brings one packet of each speaker every 20 ms. What several speakers sent in one tick goes to
a subscriber as one segmented message, although it belongs to several streams: the kernel looks at
lengths only. So packets go out by length, the longest first, and little is padded.

Most of what a packet costs is its share of a message. Where those who hear a stream hear so many
that waiting joins several packets, its packets wait for a tick that all share: see ``fanout.pxd``.
"""

from libc.stdint cimport int64_t

from router._fastpath.state cimport inbound_stream, plane_state
from router._fastpath.store cimport stored_packet


cdef enum:
    SPEAKERS_MAX = 64
    CROWD_PER_SECOND = 1000     # packets that a subscriber hears: some 20 who speak


cdef struct single_packet:
    stored_packet *packet       # borrowed from the stream's store
    inbound_stream *stream


# Whether the stream's subscribers hear a crowd, on average.
cdef bint speakers_crowd(
    plane_state *p, const inbound_stream *s, int64_t now_us
) noexcept nogil

# Forward up to SPEAKERS_MAX packets, each of another stream; sorts them.
cdef void speakers_forward(
    plane_state *p, single_packet *singles, int number, int64_t now_us
) noexcept nogil
