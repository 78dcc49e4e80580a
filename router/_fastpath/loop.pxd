"""The thread's loop: socket, commands and deadlines, on CLOCK_MONOTONIC."""

from libc.stdint cimport int64_t, uint64_t

from router._fastpath.state cimport plane_state
from router._fastpath.udp cimport udp_socket


# Return CLOCK_MONOTONIC, and CLOCK_REALTIME minus CLOCK_MONOTONIC, in microseconds.
cdef int64_t monotonic_us() noexcept nogil
cdef int64_t wall_offset_us() noexcept nogil

# Run until ``stopping`` is set and the commands' doorbell rung. Returns FP_OK or FP_ERR_SYSTEM.
# busy_us: time spent awake, readable by others.
cdef int loop_run(
    plane_state *p, udp_socket *socket, const int *stopping, uint64_t *busy_us
) noexcept nogil
