"""What other planes sent; the contract is in ``link_receive.pxd``."""

from libc.stdint cimport uint32_t

from router._fastpath.counters cimport COUNT_LINK_IN, COUNT_LINK_STALE
from router._fastpath.fanout cimport fanout_add, fanout_run
from router._fastpath.keyframe cimport key_frame_arrived, key_frame_request, slots_restart
from router._fastpath.link cimport (
    LINK_BATCH,
    LINK_KEY_FRAME,
    LINK_PACKET,
    link_message,
    link_packet,
    link_report,
)
from router._fastpath.ring cimport ring, ring_peek, ring_pop
from router._fastpath.state cimport (
    COPY_OWES_KEY_FRAME,
    COPY_OWES_RESTART,
    count,
    inbound_stream,
    stream_of,
)
from router._fastpath.store cimport store_clear, store_put, stored_packet


cdef void _take_packet(
    plane_state *p, inbound_stream *s, link_packet *given, int64_t now_us
) noexcept nogil:
    cdef stored_packet *packet
    if given.owed & COPY_OWES_RESTART:
        fanout_run(p, now_us)   # what was gathered belongs to the time before
        s.media.started = False
        store_clear(&s.store)
        slots_restart(p, s, now_us)
    elif given.owed & COPY_OWES_KEY_FRAME and s.slots:
        key_frame_request(p, s, now_us)
    if not s.started:
        s.started = True
        s.started_at_us = now_us
    if not s.media.started or given.ext_seq > s.media.highest:
        s.media.started = True
        s.media.highest = given.ext_seq
        s.newest_at_us = now_us
        s.newest_rtp_ts = given.view.rtp_ts
        s.codec = given.codec
    if given.payload.key_frame:
        s.key_frames += 1
        key_frame_arrived(s)
    given.view.data = given.data
    packet = store_put(&s.store, given.ext_seq, &given.view)
    packet.payload = given.payload
    packet.codec = given.codec
    if s.slots:
        fanout_add(p, s, packet, now_us)


cdef void _take_report(inbound_stream *s, const link_report *given, int64_t now_us) noexcept nogil:
    s.sr_known = True
    s.sr_ntp = given.ntp
    s.sr_rtp_ts = given.rtp_ts
    s.sr_at_us = now_us
    s.ntp_offset = given.ntp_offset


cdef bint _take(plane_state *p, link_message *message, int64_t now_us) noexcept nogil:
    cdef inbound_stream *s = stream_of(p, message.id)
    count(p, COUNT_LINK_IN)
    if s == NULL or s.is_copy != (message.kind != LINK_KEY_FRAME):
        count(p, COUNT_LINK_STALE)
    elif message.kind == LINK_PACKET:
        _take_packet(p, s, &message.body.packet, now_us)
        return True
    elif message.kind == LINK_KEY_FRAME:
        if not s.key_frame_wanted:
            key_frame_request(p, s, now_us)     # else the timer repeats it
    else:
        _take_report(s, &message.body.report, now_us)
    return False


cdef int links_receive(plane_state *p, int64_t now_us) noexcept nogil:
    cdef link_message *message
    cdef ring *incoming
    cdef int packets = 0
    cdef uint32_t i
    cdef int _message
    for i in range(p.link_count):
        incoming = p.links[i].incoming
        for _message in range(LINK_BATCH):
            message = <link_message *>ring_peek(incoming)
            if message == NULL:
                break
            packets += _take(p, message, now_us)
            ring_pop(incoming)
    return packets
