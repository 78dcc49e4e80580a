"""
What the plane says by the clock: reports, feedback, requests again, and the end of consent.

Each transport has one deadline. Reports go out about once a second, feedback on arrival times
every 50 ms while packets come, NACKs and PLIs when they are due.

A sender report of a slot gives our clock's time and the RTP timestamp that the publisher's own
reports put at that time, so audio and video of one publisher stay together. A publisher that has
sent no report for three seconds is dated by the arrival of its newest packet.

Without transport-wide feedback a publisher gets REMB, where it takes it: twice of what it sends,
at least 3 Mbit/s, or a tenth less than it sends while more than a tenth of it is lost.
"""

from libc.stdint cimport int64_t, uint32_t

from router._fastpath.state cimport outbound_slot, plane_state, transport


cdef enum:
    REPORT_INTERVAL_US = 1000000    # times 0.75 to 1.25, drawn afresh
    REPORT_TICK_US = 10000          # shared by all, because waking costs as much as ten reports


# The next tick.
cdef inline int64_t report_tick(int64_t at_us) noexcept nogil:
    return (at_us // REPORT_TICK_US + 1) * REPORT_TICK_US


# Do all that is due for the transport and set its next deadline.
cdef void transport_timer(plane_state *p, transport *t, int64_t now_us) noexcept nogil

# Recompute the transport's deadline after a command changed it.
cdef void transport_rearm(plane_state *p, transport *t) noexcept nogil

# Tell the subscriber that a slot ends.
cdef void send_bye(plane_state *p, outbound_slot *slot) noexcept nogil
