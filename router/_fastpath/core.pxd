"""The sans-IO core of the plane: datagrams and time in, output and events out."""

from libc.stdint cimport int64_t

from router._fastpath.state cimport plane_state
from router._fastpath.udp cimport datagram


# Take at most UDP_BATCH datagrams; what is to be forwarded is gathered until core_finish. The bytes
# of the datagrams are written to, and are not needed any more when this returns.
cdef void core_receive(
    plane_state *p, const datagram *batch, int number, int64_t now_us
) noexcept nogil

# Act on all deadlines that have passed.
cdef void core_timer(plane_state *p, int64_t now_us) noexcept nogil

# Forward what is gathered and due, and send everything.
cdef void core_finish(plane_state *p, int64_t now_us) noexcept nogil
