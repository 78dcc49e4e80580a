"""What other planes sent: packets for our copies of their streams, and requests for ours."""

from libc.stdint cimport int64_t

from router._fastpath.state cimport plane_state


# Take what other planes sent, at most LINK_BATCH of each. Returns how many packets came; they are
# forwarded by core_finish.
cdef int links_receive(plane_state *p, int64_t now_us) noexcept nogil
