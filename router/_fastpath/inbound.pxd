"""
Inbound RTP: authenticated, deduplicated, counted, kept and handed to the fan-out.

Packets of an SSRC that has no stream yet are authenticated, reported once (and once more if only
a later packet tells mid or rid) and dropped: forwarding begins with a key frame, which is
requested when the stream is bound, so holding them back would gain nothing.
"""

from libc.stdint cimport int64_t, uint32_t

from router._fastpath.state cimport inbound_stream, plane_state, transport
from router._fastpath.tags cimport tag_ahead
from router._fastpath.udp cimport datagram


# Take an SRTP packet from validated address ``which`` of a transport that has keys.
cdef void inbound_receive(
    plane_state *p, transport *t, uint32_t which, const datagram *d, const tag_ahead *ahead,
    int64_t now_us
) noexcept nogil
