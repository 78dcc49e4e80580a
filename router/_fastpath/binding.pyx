"""The ICE-lite responder; the contract is in ``binding.pxd``."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from router._fastpath.counters cimport (
    COUNT_ADDRESS_CONFLICTS,
    COUNT_ADDRESSES_SELECTED,
    COUNT_MALFORMED,
    COUNT_STUN_ERRORS,
    COUNT_STUN_IGNORED,
    COUNT_STUN_REQUESTS,
    COUNT_STUN_SUCCESSES,
    COUNT_STUN_UNAUTHENTICATED,
)
from router._fastpath.deadlines cimport deadlines_advance
from router._fastpath.event cimport EVENT_KIND_CONSENT_LOST, EVENT_KIND_VALIDATED, plane_event
from router._fastpath.keyframe cimport key_frames_for_subscriber
from router._fastpath.output cimport NO_OWNER, output_add, output_flush, output_reserve
from router._fastpath.ring cimport ring_commit
from router._fastpath.state cimport (
    ADDRESSES_MAX,
    OWED_CONSENT_LOST,
    OWED_VALIDATED,
    count,
    event_begin,
    event_begin_limited,
    event_push,
    ice_credentials,
    peer_address,
)
from router._fastpath.stun cimport (
    STUN_BINDING_REQUEST,
    STUN_FINGERPRINT_WRONG,
    STUN_ROLE_CONTROLLED,
    stun_error,
    stun_parse,
    stun_request,
    stun_success,
    stun_verify,
)
from router._fastpath.table cimport table_digest, table_find, table_put, table_remove


cdef uint64_t _path_key(plane_state *p, const udp_path *path) noexcept nogil:
    cdef uint8_t data[40]
    cdef uint32_t scope = path.remote.sin6_scope_id ^ path.local.ipi6_ifindex << 16
    memcpy(data, path.remote.sin6_addr.s6_addr, 16)
    memcpy(data + 16, path.local.ipi6_addr.s6_addr, 16)
    memcpy(data + 32, &scope, 4)
    memcpy(data + 36, &path.remote.sin6_port, 2)
    memset(data + 38, 0, 2)
    return table_digest(&p.by_address, data, 40)


cdef transport *address_owner(
    plane_state *p, const udp_path *path, uint32_t *which
) noexcept nogil:
    cdef uint32_t *found = table_find(&p.by_address, _path_key(p, path))
    cdef transport *t
    if found == NULL:
        return NULL
    t = &p.transports[found[0] // ADDRESSES_MAX]
    which[0] = found[0] % ADDRESSES_MAX
    return t if same_path(&t.addresses[which[0]].path, path) else NULL


cdef void _forget_address(plane_state *p, transport *t, uint32_t which) noexcept nogil:
    cdef peer_address *entry = &t.addresses[which]
    cdef int64_t newest = -1
    cdef int i
    if not entry.used:
        return
    entry.used = False
    table_remove(&p.by_address, _path_key(p, &entry.path))
    if t.selected != <int>which:
        return
    t.selected = -1
    for i in range(ADDRESSES_MAX):
        if t.addresses[i].used and t.addresses[i].authenticated_at_us > newest:
            newest = t.addresses[i].authenticated_at_us
            t.selected = i


cdef void addresses_clear(plane_state *p, transport *t) noexcept nogil:
    cdef int i
    for i in range(ADDRESSES_MAX):
        _forget_address(p, t, <uint32_t>i)


cdef uint64_t _ufrag_key(plane_state *p, const uint8_t *ufrag, int length) noexcept nogil:
    return table_digest(&p.by_ufrag, ufrag, length)


cdef int credentials_add(plane_state *p, transport *t, uint32_t which) noexcept nogil:
    cdef ice_credentials *c = &t.credentials[which]
    cdef uint64_t key = _ufrag_key(p, c.ufrag, c.ufrag_length)
    if table_find(&p.by_ufrag, key) != NULL:
        c.ufrag_length = 0
        return -1
    return table_put(&p.by_ufrag, key, <uint32_t>(t - p.transports) * 2 + which)


cdef void credentials_remove(plane_state *p, transport *t, uint32_t which) noexcept nogil:
    cdef ice_credentials *c = &t.credentials[which]
    if c.ufrag_length:
        table_remove(&p.by_ufrag, _ufrag_key(p, c.ufrag, c.ufrag_length))
    memset(c, 0, sizeof(ice_credentials))


# The peer uses the new credentials: the old ones die (RFC 8445 section 9).
cdef void _complete_restart(plane_state *p, transport *t) noexcept nogil:
    cdef ice_credentials renewed = t.credentials[1]
    credentials_remove(p, t, 1)
    credentials_remove(p, t, 0)
    t.credentials[0] = renewed
    credentials_add(p, t, 0)


cdef ice_credentials *_credentials_of(
    plane_state *p, const uint8_t *ufrag, int length, transport **owner, uint32_t *which
) noexcept nogil:
    cdef uint32_t *found = table_find(&p.by_ufrag, _ufrag_key(p, ufrag, length))
    cdef ice_credentials *c
    if found == NULL:
        return NULL
    owner[0] = &p.transports[found[0] // 2]
    which[0] = found[0] % 2
    c = &owner[0].credentials[which[0]]
    if c.ufrag_length != length or memcmp(c.ufrag, ufrag, <size_t>length) != 0:
        return NULL
    return c


cdef void _answer(plane_state *p, const datagram *d, int length, int which) noexcept nogil:
    if length > 0:
        output_add(&p.out, NO_OWNER, &d.path, <uint32_t>length)
        count(p, which)


# Find out, for messages to come, whether the path's local address has to be given.
cdef void _ask_implied(plane_state *p, peer_address *entry, int64_t now_us) noexcept nogil:
    entry.path.implied = p.out.implies(p.out.context, &entry.path)
    entry.implied_at_us = now_us


# Enter the path; return 0 when it is another transport's and stays so, or there is no room.
cdef int _enter_address(
    plane_state *p, transport *t, const udp_path *path, uint32_t *which, int64_t now_us
) noexcept nogil:
    cdef transport *owner = address_owner(p, path, which)
    cdef plane_event *event
    cdef int i
    cdef int place = ADDRESSES_MAX
    if owner == t:
        t.addresses[which[0]].authenticated_at_us = now_us
        if now_us - t.addresses[which[0]].implied_at_us >= IMPLIED_LIFETIME_US:
            _ask_implied(p, &t.addresses[which[0]], now_us)
        return 1
    if owner != NULL:
        if now_us - owner.addresses[which[0]].authenticated_at_us < SILENCE_US:
            return 0
        _forget_address(p, owner, which[0])
    for i in range(ADDRESSES_MAX):
        if not t.addresses[i].used:
            place = i
            break
        if i != t.selected and (
            place == ADDRESSES_MAX
            or t.addresses[i].authenticated_at_us < t.addresses[place].authenticated_at_us
        ):
            place = i
    _forget_address(p, t, <uint32_t>place)
    if table_put(
        &p.by_address, _path_key(p, path),
        <uint32_t>(t - p.transports) * ADDRESSES_MAX + <uint32_t>place,
    ):
        return 0
    t.addresses[place].used = True
    t.addresses[place].path = path[0]
    t.addresses[place].authenticated_at_us = now_us
    _ask_implied(p, &t.addresses[place], now_us)
    which[0] = <uint32_t>place
    if t.selected < 0:
        event = event_begin(p, EVENT_KIND_VALIDATED, t.id, now_us)
        if event == NULL:
            t.owed |= OWED_VALIDATED
    else:
        event = event_begin_limited(p, t, EVENT_KIND_VALIDATED, t.id, now_us)
    if event != NULL:
        event.first = t.selected < 0
        event.body.address = path.remote
        ring_commit(p.events)
    return 1


cdef void events_pay(plane_state *p, transport *t, int64_t now_us) noexcept nogil:
    cdef plane_event *event
    if t.owed & OWED_CONSENT_LOST and event_push(p, EVENT_KIND_CONSENT_LOST, t.id, now_us):
        t.owed &= <uint8_t>~OWED_CONSENT_LOST
    if not t.owed & OWED_VALIDATED:
        return
    if t.selected < 0:
        t.owed &= <uint8_t>~OWED_VALIDATED     # it is no longer true
        return
    event = event_begin(p, EVENT_KIND_VALIDATED, t.id, now_us)
    if event == NULL:
        return
    event.first = True
    event.body.address = selected_path(t).remote
    ring_commit(p.events)
    t.owed &= <uint8_t>~OWED_VALIDATED


cdef void _select(
    plane_state *p, transport *t, uint32_t which, int64_t now_us
) noexcept nogil:
    cdef bint first = t.selected < 0
    if t.selected == <int>which:
        return
    output_flush(&p.out)    # what is gathered was meant for the address before
    if first:
        deadlines_advance(&p.timers, <uint32_t>(t - p.transports), now_us)  # reports may start
    t.selected = <int>which
    count(p, COUNT_ADDRESSES_SELECTED)
    if first:
        key_frames_for_subscriber(p, t, now_us)


cdef void binding_receive(plane_state *p, const datagram *d, int64_t now_us) noexcept nogil:
    cdef stun_request request
    cdef transport *t = NULL
    cdef ice_credentials *c
    cdef uint32_t which = 0
    cdef uint32_t place = 0
    cdef uint8_t *out
    if stun_parse(d.data, <int>d.length, &request) < 0:
        count(p, COUNT_MALFORMED)
        return
    if request.message_type != STUN_BINDING_REQUEST:
        count(p, COUNT_STUN_IGNORED)
        return
    count(p, COUNT_STUN_REQUESTS)
    if request.fingerprint == STUN_FINGERPRINT_WRONG:
        count(p, COUNT_MALFORMED)
        return
    out = output_reserve(&p.out)
    if request.local_ufrag_length == 0 or request.integrity_offset == 0:
        count(p, COUNT_STUN_UNAUTHENTICATED)
        _answer(p, d, stun_error(&request, 400, NULL, 0, out), COUNT_STUN_ERRORS)
        return
    c = _credentials_of(
        p, d.data + request.username_offset, request.local_ufrag_length, &t, &which
    )
    if c == NULL or stun_verify(&request, d.data, c.password, c.password_length) < 0:
        count(p, COUNT_STUN_UNAUTHENTICATED)
        _answer(p, d, stun_error(&request, 401, NULL, 0, out), COUNT_STUN_ERRORS)
        return
    if request.unknown_count:
        _answer(
            p, d, stun_error(&request, 420, c.password, c.password_length, out),
            COUNT_STUN_ERRORS,
        )
        return
    if request.role == STUN_ROLE_CONTROLLED:
        # A lite agent is always controlled (RFC 8445 section 6.1.1), so the peer has to switch.
        _answer(
            p, d, stun_error(&request, 487, c.password, c.password_length, out),
            COUNT_STUN_ERRORS,
        )
        return
    if not _enter_address(p, t, &d.path, &place, now_us):
        count(p, COUNT_ADDRESS_CONFLICTS)
        return
    t.checks += 1
    t.checked_at_us = t.authenticated_at_us = now_us
    t.consent = True
    deadlines_advance(&p.timers, <uint32_t>(t - p.transports), now_us + CONSENT_LIFETIME_US)
    _answer(
        p, d, stun_success(&request, &d.path.remote, c.password, c.password_length, out),
        COUNT_STUN_SUCCESSES,
    )
    if which == 1:
        _complete_restart(p, t)     # after the answer, which needs the password
    if (
        t.selected < 0
        or request.use_candidate
        or now_us - t.addresses[t.selected].authenticated_at_us >= SILENCE_US
    ):
        _select(p, t, place, now_us)
