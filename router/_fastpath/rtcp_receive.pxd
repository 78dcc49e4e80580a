"""Inbound RTCP: reports, requests and feedback of one peer, authenticated and acted on."""

from libc.stdint cimport int64_t, uint32_t

from router._fastpath.state cimport plane_state, transport
from router._fastpath.udp cimport datagram


# Take an SRTCP packet from validated address ``which`` of a transport that has keys.
cdef void rtcp_receive(
    plane_state *p, transport *t, uint32_t which, const datagram *d, int64_t now_us
) noexcept nogil
