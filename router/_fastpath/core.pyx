"""The sans-IO core; the contract is in ``core.pxd``."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from router._fastpath.binding cimport address_owner, binding_receive, same_path
from router._fastpath.counters cimport (
    COUNT_BYTES_IN,
    COUNT_DATAGRAMS_IN,
    COUNT_DTLS_IN,
    COUNT_DTLS_UNVALIDATED,
    COUNT_MALFORMED,
    COUNT_SRTP_UNVALIDATED,
    COUNT_SRTP_WITHOUT_KEYS,
    COUNT_UNKNOWN_PROTOCOL,
)
from router._fastpath.deadlines cimport deadlines_next
from router._fastpath.event cimport EVENT_DATA_MAX, EVENT_KIND_DATAGRAM, plane_event
from router._fastpath.fanout cimport fanout_run_due
from router._fastpath.inbound cimport inbound_receive
from router._fastpath.link cimport links_ring
from router._fastpath.output cimport output_flush
from router._fastpath.reports cimport transport_timer
from router._fastpath.ring cimport ring_commit
from router._fastpath.rtcp_receive cimport rtcp_receive
from router._fastpath.state cimport count, event_begin_limited, transport
from router._fastpath.tags cimport tag_ahead, tags_compute
from router._fastpath.udp cimport UDP_BATCH, udp_path


# Whose the last datagram was: mostly several of one peer come together.
cdef struct last_sender:
    const udp_path *path        # borrowed from the batch; NULL when not known any more
    transport *owner
    uint32_t which              # of its addresses


cdef inline void _look_up(
    plane_state *p, last_sender *sender, const udp_path *path
) noexcept nogil:
    if sender.path == NULL or not same_path(sender.path, path):
        sender.path = path
        sender.owner = address_owner(p, path, &sender.which)


cdef void _pass_on(
    plane_state *p, transport *t, const datagram *d, int64_t now_us
) noexcept nogil:
    cdef plane_event *event
    if d.length > EVENT_DATA_MAX:
        count(p, COUNT_MALFORMED)
        return
    count(p, COUNT_DTLS_IN)
    event = event_begin_limited(p, t, EVENT_KIND_DATAGRAM, t.id, now_us)
    if event == NULL:
        return
    event.length = <uint16_t>d.length
    memcpy(event.body.data, d.data, d.length)
    ring_commit(p.events)


# RFC 7983: the first byte tells the protocol. RFC 5761: the second tells RTCP from RTP.
cdef void _receive(
    plane_state *p, const datagram *d, const tag_ahead *ahead, last_sender *sender,
    int64_t now_us
) noexcept nogil:
    cdef transport *t
    cdef uint8_t first
    if d.length < 2:
        count(p, COUNT_MALFORMED)
        return
    first = d.data[0]
    if first <= 3:
        binding_receive(p, d, now_us)
        sender.path = NULL      # a check may make the address another peer's
        return
    if not (20 <= first <= 63 or 128 <= first <= 191):
        count(p, COUNT_UNKNOWN_PROTOCOL)
        return
    _look_up(p, sender, &d.path)
    t = sender.owner
    if first <= 63:
        if t == NULL:
            count(p, COUNT_DTLS_UNVALIDATED)
        else:
            _pass_on(p, t, d, now_us)
    elif t == NULL:
        count(p, COUNT_SRTP_UNVALIDATED)
    elif not t.has_keys:
        count(p, COUNT_SRTP_WITHOUT_KEYS)
    elif 192 <= d.data[1] <= 223:
        rtcp_receive(p, t, sender.which, d, now_us)
    else:
        inbound_receive(p, t, sender.which, d, ahead, now_us)


cdef void core_receive(
    plane_state *p, const datagram *batch, int number, int64_t now_us
) noexcept nogil:
    cdef tag_ahead ahead[UDP_BATCH]
    cdef last_sender sender
    cdef int i
    sender.path = NULL
    sender.which = 0
    tags_compute(p, batch, number, ahead)
    for i in range(number):
        p.counts[COUNT_DATAGRAMS_IN] += 1
        p.counts[COUNT_BYTES_IN] += batch[i].length
        _receive(p, &batch[i], &ahead[i], &sender, now_us)


cdef void core_timer(plane_state *p, int64_t now_us) noexcept nogil:
    while deadlines_next(&p.timers) <= now_us:
        transport_timer(p, &p.transports[p.timers.heap[0]], now_us)


cdef void core_finish(plane_state *p, int64_t now_us) noexcept nogil:
    links_ring(p)       # first: while we forward, so can they
    fanout_run_due(p, now_us)
    output_flush(&p.out)
