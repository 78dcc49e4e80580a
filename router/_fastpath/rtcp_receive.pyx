"""Inbound RTCP; the contract is in ``rtcp_receive.pxd``."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t

from router._fastpath.counters cimport (
    COUNT_BYE_IN,
    COUNT_FIR_IN,
    COUNT_NACKED_PACKETS,
    COUNT_NACKS_IN,
    COUNT_NACK_LIMITED,
    COUNT_PLI_IN,
    COUNT_PLI_LIMITED,
    COUNT_REMB_IN,
    COUNT_RTCP_IN,
    COUNT_RTCP_MALFORMED,
    COUNT_RTCP_REPLAYED,
    COUNT_RTCP_UNAUTHENTICATED,
    COUNT_SR_IN,
    COUNT_TRANSPORT_CC_IN,
)
from router._fastpath.event cimport EVENT_KIND_BYE
from router._fastpath.keyframe cimport key_frame_request
from router._fastpath.link cimport copies_report
from router._fastpath.resend cimport resend
from router._fastpath.ring cimport ring_commit
from router._fastpath.rtcp cimport (
    PSFB_ALFB,
    PSFB_FIR,
    PSFB_PLI,
    RTCP_BYE,
    RTCP_PSFB,
    RTCP_REPORT_BLOCK,
    RTCP_RR,
    RTCP_RTPFB,
    RTCP_SR,
    RTPFB_NACK,
    RTPFB_TRANSPORT_CC,
    rtcp_nack_expand,
    rtcp_next,
    rtcp_packet,
)
from router._fastpath.srtp cimport SRTP_MAX_PAYLOAD, srtcp_open
from router._fastpath.state cimport (
    SHED_OFF,
    RTCP_SOURCES,
    bucket_take,
    count,
    event_begin_limited,
    inbound_stream,
    ntp_at,
    outbound_slot,
    rtcp_source,
    ssrc_key,
)
from router._fastpath.table cimport table_find
from router._fastpath.wire cimport load24, load32, load64

cdef enum:
    NACKED_MAX = 544        # sequence numbers taken from one NACK packet: 32 pairs
    # Of one subscriber. An outage of a second in 4 Mbit/s is some 500; a datagram can name 6,000.
    NACKED_BURST = 2048
    NACKED_INTERVAL_US = 250
    # Key frames that one subscriber may cause beyond those that others cause: each one costs the
    # publisher's other subscribers quality.
    KEY_FRAMES_BURST = 4
    KEY_FRAME_INTERVAL_US = 4000000


# Return 1, and enter it in the window, when this SRTCP index of this sender is new. Each sender
# counts by itself (RFC 3711 section 3.3.2); of more senders than there is room for, the one heard
# longest ago is forgotten.
cdef bint _is_new(
    transport *t, uint32_t ssrc, uint32_t index, int64_t now_us
) noexcept nogil:
    cdef rtcp_source *source = &t.keys.rtcp_sources[0]
    cdef rtcp_source *candidate
    cdef uint32_t behind
    cdef int i
    for i in range(RTCP_SOURCES):
        candidate = &t.keys.rtcp_sources[i]
        if candidate.used and candidate.ssrc == ssrc:
            source = candidate
            break
        if source.used and (not candidate.used or candidate.at_us < source.at_us):
            source = candidate
    if not source.used or source.ssrc != ssrc:
        source.used = True
        source.ssrc = ssrc
        source.highest = index
        source.seen = 1
        source.at_us = now_us
        return True
    source.at_us = now_us
    if index > source.highest:
        behind = index - source.highest
        source.seen = (source.seen << behind if behind < 64 else 0) | 1
        source.highest = index
        return True
    behind = source.highest - index
    if behind >= 64 or source.seen >> behind & 1:
        return False
    source.seen |= <uint64_t>1 << behind
    return True


cdef inline inbound_stream *_stream(plane_state *p, transport *t, uint32_t ssrc) noexcept nogil:
    cdef uint32_t *found = table_find(
        &p.by_inbound_ssrc, ssrc_key(<uint32_t>(t - p.transports), ssrc)
    )
    return &p.streams[found[0] // 2] if found != NULL and not found[0] & 1 else NULL


cdef inline outbound_slot *_slot(plane_state *p, transport *t, uint32_t ssrc) noexcept nogil:
    cdef uint32_t *found = table_find(
        &p.by_outbound_ssrc, ssrc_key(<uint32_t>(t - p.transports), ssrc)
    )
    return &p.slots[found[0] // 2] if found != NULL and not found[0] & 1 else NULL


cdef void rtcp_receive(
    plane_state *p, transport *t, uint32_t which, const datagram *d, int64_t now_us
) noexcept nogil:
    cdef uint32_t index = 0
    cdef rtcp_packet packet
    cdef int length
    cdef int at = 0
    cdef int more
    if d.length > SRTP_MAX_PAYLOAD:
        count(p, COUNT_RTCP_MALFORMED)
        return
    length = srtcp_open(&t.keys.inbound, d.data, <int>d.length, &index)
    if length < 8:
        count(p, COUNT_RTCP_UNAUTHENTICATED)
        return
    if not _is_new(t, load32(d.data + 4), index, now_us):
        count(p, COUNT_RTCP_REPLAYED)
        return
    t.authenticated_at_us = t.addresses[which].authenticated_at_us = now_us
    t.bytes_in += d.length
    count(p, COUNT_RTCP_IN)
    while True:
        more = rtcp_next(d.data, length, &at, &packet)
        if more < 0:
            count(p, COUNT_RTCP_MALFORMED)
        if more <= 0:
            return
        _take(p, t, &packet, now_us)


cdef void _take(
    plane_state *p, transport *t, const rtcp_packet *packet, int64_t now_us
) noexcept nogil:
    if packet.packet_type == RTCP_SR:
        if packet.length < 24:
            count(p, COUNT_RTCP_MALFORMED)
            return
        _take_sender_report(p, t, packet, now_us)
        _take_report_blocks(p, t, packet, 24, now_us)
    elif packet.packet_type == RTCP_RR:
        _take_report_blocks(p, t, packet, 4, now_us)
    elif packet.packet_type == RTCP_BYE:
        _take_bye(p, t, packet, now_us)
    elif packet.packet_type == RTCP_RTPFB or packet.packet_type == RTCP_PSFB:
        if packet.length < 8:
            count(p, COUNT_RTCP_MALFORMED)
        elif packet.packet_type == RTCP_RTPFB:
            _take_transport_feedback(p, t, packet, now_us)
        else:
            _take_payload_feedback(p, t, packet, now_us)


cdef void _take_sender_report(
    plane_state *p, transport *t, const rtcp_packet *packet, int64_t now_us
) noexcept nogil:
    cdef inbound_stream *s = _stream(p, t, load32(packet.body))
    cdef uint64_t now_ntp = ntp_at(p, now_us)
    cdef int64_t apart
    count(p, COUNT_SR_IN)
    if s == NULL:
        return
    s.sr_ntp = load64(packet.body + 4)
    s.sr_rtp_ts = load32(packet.body + 12)
    s.sr_at_us = now_us
    s.sr_known = True
    # One offset for all streams of the publisher keeps them in sync with each other. It changes
    # only when the publisher's clock was set.
    apart = <int64_t>(now_ntp - (s.sr_ntp + t.ntp_offset))
    if not t.ntp_known or apart > <int64_t>1 << 32 or apart < -(<int64_t>1 << 32):
        t.ntp_known = True
        t.ntp_offset = now_ntp - s.sr_ntp
    copies_report(p, s)


cdef void _take_report_blocks(
    plane_state *p, transport *t, const rtcp_packet *packet, int at, int64_t now_us
) noexcept nogil:
    cdef const uint8_t *block
    cdef outbound_slot *slot
    cdef uint32_t last_sr
    cdef uint32_t round_trip
    cdef int _block
    for _block in range(packet.count):
        if at + RTCP_REPORT_BLOCK > packet.length:
            count(p, COUNT_RTCP_MALFORMED)
            return
        block = packet.body + at
        at += RTCP_REPORT_BLOCK
        slot = _slot(p, t, load32(block))
        if slot == NULL:
            continue
        slot.report_known = True
        slot.fraction_lost = block[4]
        slot.lost = <int32_t>(load24(block + 5) << 8) >> 8
        slot.jitter = load32(block + 12)
        last_sr = load32(block + 16)
        # Middle 32 bits of NTP times: units of 1/65536 s (RFC 3550 section 6.4.1).
        round_trip = <uint32_t>(ntp_at(p, now_us) >> 16) - last_sr - load32(block + 20)
        if last_sr and round_trip < 10 << 16:
            slot.rtt_us = t.rtt_us = <int64_t>round_trip * 1000000 >> 16


cdef void _take_bye(
    plane_state *p, transport *t, const rtcp_packet *packet, int64_t now_us
) noexcept nogil:
    cdef inbound_stream *s
    cdef int i
    count(p, COUNT_BYE_IN)
    for i in range(packet.count):
        if 4 * i + 4 > packet.length:
            count(p, COUNT_RTCP_MALFORMED)
            return
        s = _stream(p, t, load32(packet.body + 4 * i))
        if s != NULL and event_begin_limited(p, t, EVENT_KIND_BYE, s.id, now_us) != NULL:
            ring_commit(p.events)


cdef void _take_transport_feedback(
    plane_state *p, transport *t, const rtcp_packet *packet, int64_t now_us
) noexcept nogil:
    cdef uint16_t seqs[NACKED_MAX]
    cdef outbound_slot *slot
    cdef int64_t taken
    cdef int number
    cdef int i
    if packet.count == RTPFB_TRANSPORT_CC:
        # Counted only: the send-side bandwidth estimate will read the arrival times here.
        t.transport_cc_in += 1
        count(p, COUNT_TRANSPORT_CC_IN)
        return
    if packet.count != RTPFB_NACK:
        return
    count(p, COUNT_NACKS_IN)
    slot = _slot(p, t, load32(packet.body + 4))
    if slot == NULL or slot.stream < 0:
        return
    number = rtcp_nack_expand(packet.body + 8, packet.length - 8, seqs, NACKED_MAX)
    slot.nacks += 1
    p.counts[COUNT_NACKED_PACKETS] += <uint64_t>number
    taken = bucket_take(&t.nacks_paid_us, number, NACKED_BURST, NACKED_INTERVAL_US, now_us)
    p.counts[COUNT_NACK_LIMITED] += <uint64_t>(number - taken)
    for i in range(taken):
        resend(p, slot, seqs[i], now_us)


cdef inline void _wants_key_frame(
    plane_state *p, transport *t, uint32_t ssrc, int64_t now_us
) noexcept nogil:
    cdef outbound_slot *slot = _slot(p, t, ssrc)
    cdef inbound_stream *s
    if slot == NULL or slot.stream < 0:
        return
    slot.plis += 1
    if slot.shed == SHED_OFF:
        return
    s = &p.streams[slot.stream]
    # Joining a request that is under way costs nobody anything.
    if s.key_frame_wanted or bucket_take(
        &slot.key_frames_paid_us, 1, KEY_FRAMES_BURST, KEY_FRAME_INTERVAL_US, now_us
    ):
        key_frame_request(p, s, now_us)
    else:
        count(p, COUNT_PLI_LIMITED)


cdef void _take_payload_feedback(
    plane_state *p, transport *t, const rtcp_packet *packet, int64_t now_us
) noexcept nogil:
    cdef int at = 8
    if packet.count == PSFB_PLI:
        count(p, COUNT_PLI_IN)
        _wants_key_frame(p, t, load32(packet.body + 4), now_us)
    elif packet.count == PSFB_FIR:
        count(p, COUNT_FIR_IN)
        while at + 8 <= packet.length:      # RFC 5104 section 4.3.1: SSRC, number, reserved
            _wants_key_frame(p, t, load32(packet.body + at), now_us)
            at += 8
    elif packet.count == PSFB_ALFB and packet.length >= 16:
        if load32(packet.body + 8) == 0x52454D42:   # "REMB"
            count(p, COUNT_REMB_IN)
            t.remb_bps = <uint64_t>(load24(packet.body + 13) & 0x3FFFF) << (packet.body[13] >> 2)
