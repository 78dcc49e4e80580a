"""What a plane sends to others; the contract is in ``link.pxd``."""

from libc.string cimport memcpy

from router._fastpath.counters cimport COUNT_LINK_DROPPED, COUNT_LINK_OUT
from router._fastpath.ring cimport ring_bell, ring_peek, ring_publish, ring_reserve
from router._fastpath.state cimport (
    COPIES_MAX,
    COPY_OWES_KEY_FRAME,
    COPY_OWES_RESTART,
    count,
    plane_link,
    stream_copy,
)


cdef link_message *_begin(
    plane_state *p, uint8_t link, uint8_t kind, uint32_t id
) noexcept nogil:
    cdef link_message *message = NULL
    if link < p.link_count:
        message = <link_message *>ring_reserve(p.links[link].outgoing)
    if message == NULL:
        count(p, COUNT_LINK_DROPPED)
        return NULL
    message.kind = kind
    message.id = id
    return message


cdef void _end(plane_state *p, uint8_t link) noexcept nogil:
    ring_publish(p.links[link].outgoing)
    p.links[link].unrung = True
    count(p, COUNT_LINK_OUT)


cdef void copies_send(
    plane_state *p, inbound_stream *s, const stored_packet *packet
) noexcept nogil:
    cdef link_message *message
    cdef stream_copy *copy
    cdef uint32_t i
    for i in range(s.copy_count):
        copy = &s.copies[i]
        message = _begin(p, copy.link, LINK_PACKET, copy.id)
        if message == NULL:
            copy.owed |= COPY_OWES_KEY_FRAME
            continue
        message.body.packet.ext_seq = packet.ext_seq
        message.body.packet.payload = packet.payload
        message.body.packet.view = packet.view
        message.body.packet.codec = packet.codec
        message.body.packet.owed = copy.owed
        memcpy(message.body.packet.data, packet.view.data, packet.length)
        copy.owed = 0
        _end(p, copy.link)


cdef void _report(plane_state *p, const inbound_stream *s, const stream_copy *copy) noexcept nogil:
    cdef link_message *message = _begin(p, copy.link, LINK_REPORT, copy.id)
    if message == NULL:
        return      # the next one will do
    message.body.report.ntp = s.sr_ntp
    message.body.report.ntp_offset = p.transports[s.transport].ntp_offset
    message.body.report.rtp_ts = s.sr_rtp_ts
    _end(p, copy.link)


cdef void copies_report(plane_state *p, inbound_stream *s) noexcept nogil:
    cdef uint32_t i
    if s.sr_known:
        for i in range(s.copy_count):
            _report(p, s, &s.copies[i])


cdef void copies_restart(inbound_stream *s) noexcept nogil:
    cdef uint32_t i
    for i in range(s.copy_count):
        s.copies[i].owed |= COPY_OWES_RESTART


cdef int copy_set(
    plane_state *p, inbound_stream *s, uint8_t link, uint32_t copy_id
) noexcept nogil:
    cdef uint32_t i = 0
    while i < s.copy_count and s.copies[i].link != link:
        i += 1
    if copy_id == 0:
        if i < s.copy_count:
            s.copy_count -= 1
            s.copies[i] = s.copies[s.copy_count]
        return 0
    if i == COPIES_MAX or link >= p.link_count:
        return -1
    s.copies[i].id = copy_id
    s.copies[i].link = link
    s.copies[i].owed = 0
    if i == s.copy_count:
        s.copy_count += 1
    if s.sr_known:
        _report(p, s, &s.copies[i])
    return 0


cdef void copy_ask_key_frame(plane_state *p, const inbound_stream *s) noexcept nogil:
    if _begin(p, s.link, LINK_KEY_FRAME, s.origin) != NULL:
        _end(p, s.link)


cdef void links_ring(plane_state *p) noexcept nogil:
    cdef plane_link *link
    cdef uint32_t i
    for i in range(p.link_count):
        link = &p.links[i]
        if link.unrung:
            link.unrung = False
            ring_bell(link.bell)


cdef bint links_wait(plane_state *p) noexcept nogil:
    cdef uint32_t i
    for i in range(p.link_count):
        if ring_peek(p.links[i].incoming) != NULL:
            return True
    return False
