# RTCP and consent of a connection, as a browser has them.

from libc.stdint cimport int64_t, uint8_t, uint16_t

from benchmarks.engine.state cimport connection, engine_state


cdef enum:
    REPORT_US = 1000000         # on average
    CONSENT_US = 5000000        # times 0.8 to 1.2 (RFC 7675 section 5.1)

# Take one SRTCP datagram; it is opened in place.
cdef void control_receive(
    engine_state *e, connection *c, uint8_t *data, int length, int64_t now_us
) noexcept nogil

# Tell of packets as if they had come at ``at_us``, with transport-wide numbers from ``first`` on.
cdef void control_assume(
    engine_state *e, connection *c, uint16_t first, const int64_t *at_us, int64_t count
) noexcept nogil

# Do what is due, and set the connection's next deadline.
cdef void control_timer(engine_state *e, connection *c, int64_t now_us) noexcept nogil
