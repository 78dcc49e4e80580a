"""
Authentication tags of AES-CM, computed ahead for what one wake-up brought.

SHA-1 takes sixteen messages of equal length in the time of one (see ``sha1_avx512.h``), and the
packets of a video frame are nearly all of equal length. So the tags of such packets are computed
together, with the roll-over counter that each most likely has; whoever opens a packet looks whether
there is a tag for the counter that it tries.
"""

from libc.stdint cimport uint8_t, uint32_t

from router._fastpath.srtp cimport srtp_session
from router._fastpath.state cimport plane_state
from router._fastpath.udp cimport datagram


cdef struct tag_ahead:
    const srtp_session *session     # NULL when there is none
    uint32_t roc
    uint8_t tag[10]                 # what the packet must end with


# Fill ``ahead``, one for each of at most UDP_BATCH datagrams. Nothing else is changed, and the
# datagrams may be anything.
cdef void tags_compute(
    plane_state *p, const datagram *batch, int number, tag_ahead *ahead
) noexcept nogil
