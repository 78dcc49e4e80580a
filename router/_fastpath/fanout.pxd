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

from router._fastpath.deadlines cimport NEVER_US
from router._fastpath.state cimport inbound_stream, plane_state
from router._fastpath.store cimport stored_packet


cdef enum:
    HOLD_TICK_US = 4000     # a fifth of what an Opus packet lasts
    PROMPT_US = 250000      # without packets that go out at once, until the thread may wait too


# Have the packet forwarded by the next fan-out, at once if too much is gathered already. Sound of
# rooms with many speakers is held until the next HOLD_TICK_US.
cdef void fanout_add(
    plane_state *p, inbound_stream *s, stored_packet *packet, int64_t now_us
) noexcept nogil

# Forward all that is gathered, also what is held, audio first. The output is not flushed.
cdef void fanout_run(plane_state *p, int64_t now_us) noexcept nogil

# Forward what is due.
cdef void fanout_run_due(plane_state *p, int64_t now_us) noexcept nogil


# Let what is held go out with the next fan-out: a tick went by, or there is no time to wait.
cdef inline void fanout_release(plane_state *p) noexcept nogil:
    p.held_until_us = 0


# When what is held is due.
cdef inline int64_t fanout_due(const plane_state *p) noexcept nogil:
    return p.held_until_us if p.held.count else NEVER_US


# Whether all that comes lately would be held.
cdef inline bint fanout_may_wait(const plane_state *p, int64_t now_us) noexcept nogil:
    return now_us - p.held_at_us < PROMPT_US <= now_us - p.prompt_at_us
