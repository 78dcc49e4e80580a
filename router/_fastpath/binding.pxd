"""
The ICE-lite side of a media transport: connectivity checks answered, addresses validated.

RFC 8445 section 7.3, RFC 8489, RFC 7675. A verified check validates the path that it came on: the
peer's address together with ours, because a peer may reach us on several of our addresses from one
of its own, and takes answers only from the one that it sent to. The first validated path is
selected; after that the one whose check carries USE-CANDIDATE, and, when nothing authenticated has
come on the selected one for ``SILENCE_US``, any other (a NAT that rebound the peer while its agent
nominates no more).

A path belongs to one transport; another one gets it only after that silence, so that a peer cannot
take over an address by forging it as the source of its own checks.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp

from router._fastpath.state cimport plane_state, transport
from router._fastpath.udp cimport datagram, udp_path


cdef enum:
    SILENCE_US = 1000000
    CONSENT_LIFETIME_US = 30000000      # RFC 7675 section 5.1
    IMPLIED_LIFETIME_US = 10000000      # routes may change


# Take a STUN message.
cdef void binding_receive(plane_state *p, const datagram *d, int64_t now_us) noexcept nogil


# Whether datagrams took the same way: between the same addresses and ports.
cdef inline bint same_path(const udp_path *a, const udp_path *b) noexcept nogil:
    return (
        a.remote.sin6_port == b.remote.sin6_port
        and a.remote.sin6_scope_id == b.remote.sin6_scope_id
        and a.local.ipi6_ifindex == b.local.ipi6_ifindex
        and memcmp(a.remote.sin6_addr.s6_addr, b.remote.sin6_addr.s6_addr, 16) == 0
        and memcmp(a.local.ipi6_addr.s6_addr, b.local.ipi6_addr.s6_addr, 16) == 0
    )


# Return the transport that validated this path and store the index of its entry, or NULL.
cdef transport *address_owner(
    plane_state *p, const udp_path *path, uint32_t *which
) noexcept nogil

# Forget all validated paths; nothing is sent until another one is validated.
cdef void addresses_clear(plane_state *p, transport *t) noexcept nogil

# Tell what is owed (OWED_*), as far as there is room.
cdef void events_pay(plane_state *p, transport *t, int64_t now_us) noexcept nogil

# Install (0: first, 1: after a restart) and forget credentials. Adding returns 0, or -1 when the
# username fragment is in use.
cdef int credentials_add(plane_state *p, transport *t, uint32_t which) noexcept nogil
cdef void credentials_remove(plane_state *p, transport *t, uint32_t which) noexcept nogil


cdef inline udp_path *selected_path(transport *t) noexcept nogil:
    return &t.addresses[t.selected].path if t.selected >= 0 else NULL
