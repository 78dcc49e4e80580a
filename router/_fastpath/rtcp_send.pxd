"""Sealed RTCP datagrams towards one peer."""

from libc.stdint cimport uint8_t

from router._fastpath.state cimport plane_state, transport


# Begin a datagram that will carry feedback: where reduced size (RFC 5506) was not negotiated, it
# starts with an empty RR and SDES. Returns where the packets go, and their length so far, or NULL
# when the transport cannot send.
cdef uint8_t *rtcp_begin(plane_state *p, transport *t, int *length) noexcept nogil

# Begin a datagram that will carry reports.
cdef uint8_t *rtcp_begin_reports(plane_state *p, transport *t) noexcept nogil

# Seal and send the datagram of ``length`` bytes.
cdef void rtcp_end(plane_state *p, transport *t, uint8_t *packet, int length) noexcept nogil
