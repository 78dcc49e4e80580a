"""Commands, carried out on the plane's thread in the order in which they were given."""

from libc.stdint cimport int64_t

from router._fastpath.state cimport plane_state


cdef enum:
    ALL_COMMANDS = 0x7FFFFFFF


# Carry out at most ``limit`` of the commands that wait. Stale ids change nothing (counted).
cdef void commands_run(plane_state *p, int64_t now_us, int limit) noexcept nogil
