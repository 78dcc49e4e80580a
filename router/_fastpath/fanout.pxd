"""
The fan-out: what one wake-up brought, sent to everybody, subscriber by subscriber.

Opened packets are gathered by stream. Then, for each subscriber of the stream, all its packets are
written one behind the other, so that the keys are loaded once and the run leaves as one segmented
message. Headers are planned once for each class of subscribers. Streams of which one packet came,
as audio sends them, are forwarded together: see ``speakers.pxd``.

The kernel cuts a message into equal pieces, of which the last may be shorter. Encoders cut a frame
into pieces that differ by a byte, and by what their first packet carries besides. So packets of
nearly equal length get RTP padding (RFC 3550 section 5.1), the same for all subscribers.
"""

from libc.stdint cimport int64_t

from router._fastpath.state cimport inbound_stream, plane_state
from router._fastpath.store cimport stored_packet


# Have the packet forwarded by the next fan-out, at once if too much is gathered already.
cdef void fanout_add(
    plane_state *p, inbound_stream *s, stored_packet *packet, int64_t now_us
) noexcept nogil

# Forward all that is gathered, audio first. The output is not flushed.
cdef void fanout_run(plane_state *p, int64_t now_us) noexcept nogil
