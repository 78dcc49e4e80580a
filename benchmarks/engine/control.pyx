"""RTCP and consent; the contract is in ``control.pxd``."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from benchmarks.engine.inbound cimport inbound_nack
from benchmarks.engine.outbound cimport outbound_report, outbound_retransmit
from benchmarks.engine.state cimport (
    CONSENT_MARK,
    COUNT_CONSENT_SENT,
    COUNT_FAILED_AUTH,
    COUNT_RTCP_RECEIVED,
    COUNT_RTCP_SENT,
    NOBODY,
    RTX_FLAG,
    inbound,
    net_send,
    next_random,
    next_share,
    outbound,
    stream_of,
)
from router._fastpath.deadlines cimport NEVER_US, deadlines_set
from router._fastpath.reception cimport reception_report
from router._fastpath.rtcp cimport (
    PSFB_FIR,
    PSFB_PLI,
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
    rtcp_write_pli,
    rtcp_write_rr,
    rtcp_write_sdes,
)
from router._fastpath.sha1 cimport HMAC_SHA1_LENGTH, hmac_sha1
from router._fastpath.srtp cimport srtcp_open, srtcp_seal
from router._fastpath.transport_cc cimport ARRIVAL_LOG_FULL, arrival_feedback, arrival_note
from router._fastpath.wire cimport load32, store16, store32, store64

cdef enum:
    PACKET = 2048               # bytes of a compound packet, with room for the trailer
    BLOCKS = 31
    SENDER_REPORTS = 8          # in one compound
    NACKED = 512
    KEY_FRAME_US = 500000       # between two PLIs for one stream
    NTP_EPOCH = 2208988800

    STUN_HEADER = 20
    STUN_MAX = 256
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    PRIORITY = 0x0024
    FINGERPRINT = 0x8028
    ICE_CONTROLLING = 0x802A
    PEER_REFLEXIVE = 0x6E001EFF


cdef uint32_t _sender_ssrc(engine_state *e, const connection *c) noexcept nogil:
    cdef int32_t index = c.first_outbound
    while index != NOBODY:
        if e.outbounds[index].packets:
            return e.outbounds[index].ssrc
        index = e.outbounds[index].next
    return c.local_ssrc


cdef void _send(engine_state *e, connection *c, uint8_t *packet, int length) noexcept nogil:
    length = srtcp_seal(&c.keys[0], packet, length, c.rtcp_index)
    c.rtcp_index = (c.rtcp_index + 1) & 0x7FFFFFFF
    if length > 0 and net_send(c.fd, &c.way, packet, <uint32_t>length, 0) == 0:
        e.counts[COUNT_RTCP_SENT] += 1


# Receiving

cdef void _read_blocks(
    engine_state *e, connection *c, const uint8_t *blocks, int length, int count
) noexcept nogil:
    cdef outbound *s
    cdef int32_t index
    cdef int i
    for i in range(count):
        if (i + 1) * RTCP_REPORT_BLOCK > length:
            return
        index = c.first_outbound
        while index != NOBODY:
            s = &e.outbounds[index]
            if s.ssrc == load32(blocks + i * RTCP_REPORT_BLOCK):
                s.fraction_lost = blocks[i * RTCP_REPORT_BLOCK + 4]
            index = s.next


cdef outbound *_outbound_of(engine_state *e, connection *c, uint32_t ssrc) noexcept nogil:
    cdef int32_t index = c.first_outbound
    while index != NOBODY:
        if e.outbounds[index].ssrc == ssrc:
            return &e.outbounds[index]
        index = e.outbounds[index].next
    return NULL


cdef void _want_key_frame(outbound *s) noexcept nogil:
    if s != NULL:
        s.key_frame_requests += 1
        s.key_frame_wanted = s.is_video


cdef void _receive_one(
    engine_state *e, connection *c, const rtcp_packet *packet, int64_t now_us
) noexcept nogil:
    cdef uint16_t seqs[NACKED]
    cdef outbound *s
    cdef inbound *r
    cdef int32_t index
    cdef int count
    cdef int i
    if packet.packet_type == RTCP_SR and packet.length >= 24:
        index = stream_of(c, load32(packet.body))
        if index != NOBODY and not index & RTX_FLAG:
            r = &e.inbounds[index]
            r.last_sr = load32(packet.body + 6)     # the middle of the NTP timestamp
            r.last_sr_us = now_us
            r.sender_reports += 1
        _read_blocks(e, c, packet.body + 24, packet.length - 24, packet.count)
    elif packet.packet_type == RTCP_RR and packet.length >= 4:
        _read_blocks(e, c, packet.body + 4, packet.length - 4, packet.count)
    elif packet.packet_type == RTCP_RTPFB and packet.length >= 8:
        if packet.count == RTPFB_NACK:
            s = _outbound_of(e, c, load32(packet.body + 4))
            count = rtcp_nack_expand(packet.body + 8, packet.length - 8, seqs, NACKED)
            for i in range(count if s != NULL else 0):
                outbound_retransmit(e, c, s, seqs[i])
        elif packet.count == RTPFB_TRANSPORT_CC and c.first_outbound != NOBODY:
            e.outbounds[c.first_outbound].transport_cc += 1
    elif packet.packet_type == RTCP_PSFB and packet.length >= 8:
        if packet.count == PSFB_PLI:
            _want_key_frame(_outbound_of(e, c, load32(packet.body + 4)))
        elif packet.count == PSFB_FIR:
            for i in range((packet.length - 8) // 8):
                _want_key_frame(_outbound_of(e, c, load32(packet.body + 8 + 8 * i)))


cdef void control_receive(
    engine_state *e, connection *c, uint8_t *data, int length, int64_t now_us
) noexcept nogil:
    cdef rtcp_packet packet
    cdef uint32_t index = 0
    cdef int at = 0
    length = srtcp_open(&c.keys[1], data, length, &index)
    if length < 0:
        e.counts[COUNT_FAILED_AUTH] += 1
        return
    e.counts[COUNT_RTCP_RECEIVED] += 1
    while rtcp_next(data, length, &at, &packet) == 1:
        _receive_one(e, c, &packet, now_us)


# Sending

# Write blocks for streams from ``index[0]`` on, at most BLOCKS; return how many.
cdef int _write_blocks(
    engine_state *e, int32_t *index, uint8_t *out, int64_t now_us
) noexcept nogil:
    cdef inbound *s
    cdef uint32_t delay
    cdef int count = 0
    while index[0] != NOBODY and count < BLOCKS:
        s = &e.inbounds[index[0]]
        index[0] = s.next
        if not s.statistics.started:
            continue
        delay = 0
        if s.last_sr_us:
            delay = <uint32_t>((now_us - s.last_sr_us) * 65536 // 1000000)
        reception_report(
            &s.statistics, out + count * RTCP_REPORT_BLOCK, s.ssrc, s.last_sr, delay
        )
        count += 1
    return count


cdef int _finish_reports(connection *c, uint8_t *out, int at, uint32_t ssrc) noexcept nogil:
    return at + rtcp_write_sdes(out + at, &ssrc, 1, c.cname, c.cname_length)


cdef void _report(engine_state *e, connection *c, int64_t now_us) noexcept nogil:
    cdef uint8_t out[PACKET]
    cdef uint64_t ntp
    cdef int64_t wall_us = now_us + e.realtime_offset_us
    cdef int32_t sending = c.first_outbound
    cdef int32_t receiving = c.first_inbound
    cdef uint32_t sender_ssrc = _sender_ssrc(e, c)
    cdef int reports = 0
    cdef int at = 0
    cdef int blocks
    ntp = (<uint64_t>(wall_us // 1000000) + NTP_EPOCH) << 32
    ntp |= (<uint64_t>(wall_us % 1000000) << 32) // 1000000
    while sending != NOBODY and reports < SENDER_REPORTS:
        at += outbound_report(&e.outbounds[sending], now_us, ntp, out + at)
        sending = e.outbounds[sending].next
        reports += 1
    while True:
        blocks = _write_blocks(e, &receiving, out + at + 8, now_us)
        if blocks or at == 0:
            rtcp_write_rr(out + at, sender_ssrc, blocks)
            at += 8 + blocks * RTCP_REPORT_BLOCK
        at = _finish_reports(c, out, at, sender_ssrc)
        _send(e, c, out, at)
        if receiving == NOBODY:
            return
        at = 0


cdef void _feed_back(engine_state *e, connection *c) noexcept nogil:
    cdef uint8_t out[PACKET]
    cdef int length
    if c.arrivals == NULL:
        return
    while True:
        length = arrival_feedback(c.arrivals, out, _sender_ssrc(e, c), c.arrivals_ssrc)
        if length == 0:
            return
        _send(e, c, out, length)


cdef void control_assume(
    engine_state *e, connection *c, uint16_t first, const int64_t *at_us, int64_t count
) noexcept nogil:
    cdef int64_t i
    if c.arrivals == NULL or c.first_inbound == NOBODY:
        return
    c.arrivals_ssrc = e.inbounds[c.first_inbound].ssrc
    for i in range(count):
        arrival_note(c.arrivals, <uint16_t>(first + i), at_us[i])
        if c.arrivals.unreported >= ARRIVAL_LOG_FULL:
            _feed_back(e, c)
    _feed_back(e, c)


cdef void _repair(
    engine_state *e, connection *c, inbound *s, int64_t now_us
) noexcept nogil:
    cdef uint8_t out[PACKET]
    cdef int length = inbound_nack(e, s, _sender_ssrc(e, c), out, now_us)
    if length:
        _send(e, c, out, length)
    if s.key_frame_wanted and now_us - s.key_frame_at_us >= KEY_FRAME_US:
        s.key_frame_wanted = False
        s.key_frame_at_us = now_us
        s.plis += 1
        _send(e, c, out, rtcp_write_pli(out, _sender_ssrc(e, c), s.ssrc))


# Consent

cdef uint32_t _crc(const uint8_t *data, int length) noexcept nogil:
    cdef uint32_t crc = <uint32_t>0xFFFFFFFF
    cdef int i
    cdef int _bit
    for i in range(length):
        crc ^= data[i]
        for _bit in range(8):
            crc = (crc >> 1) ^ (<uint32_t>0xEDB88320 if crc & 1 else <uint32_t>0)
    return ~crc


cdef int _put(uint8_t *out, int at, int kind, int length) noexcept nogil:
    store16(out + at, <uint32_t>kind)
    store16(out + at + 2, <uint32_t>length)
    return at + 4


cdef void _ask_consent(engine_state *e, connection *c) noexcept nogil:
    """A binding request (RFC 8445 section 7.1.1, RFC 7675)."""
    cdef uint8_t out[STUN_MAX]
    cdef int at = STUN_HEADER
    store16(out, 0x0001)
    store32(out + 4, 0x2112A442)
    store32(out + 8, CONSENT_MARK)
    store64(out + 12, next_random(e))
    at = _put(out, at, USERNAME, c.username_length)
    memcpy(out + at, c.username, <size_t>c.username_length)
    at += c.username_length
    while at & 3:
        out[at] = 0
        at += 1
    at = _put(out, at, ICE_CONTROLLING, 8)
    store64(out + at, c.tie_breaker)
    at = _put(out, at + 8, PRIORITY, 4)
    store32(out + at, PEER_REFLEXIVE)
    at += 4
    store16(out + 2, <uint32_t>(at + 4 + HMAC_SHA1_LENGTH - STUN_HEADER))
    hmac_sha1(&c.consent_key, out, at, NULL, 0, out + at + 4)
    at = _put(out, at, MESSAGE_INTEGRITY, HMAC_SHA1_LENGTH) + HMAC_SHA1_LENGTH
    store16(out + 2, <uint32_t>(at + 8 - STUN_HEADER))
    store32(out + at + 4, _crc(out, at) ^ 0x5354554E)
    _put(out, at, FINGERPRINT, 4)
    net_send(c.fd, &c.way, out, <uint32_t>(at + 8), 0)
    e.counts[COUNT_CONSENT_SENT] += 1


cdef void control_timer(engine_state *e, connection *c, int64_t now_us) noexcept nogil:
    cdef inbound *s
    cdef int32_t index = c.first_inbound
    cdef int64_t at_us
    if now_us >= c.feedback_us:
        c.feedback_us = NEVER_US
        _feed_back(e, c)
    if now_us >= c.report_us:
        _report(e, c, now_us)
        c.report_us = now_us + <int64_t>(REPORT_US * (0.75 + next_share(e) / 2))
    if now_us >= c.consent_us:
        _ask_consent(e, c)
        c.consent_us = now_us + <int64_t>(
            <double>c.consent_interval_us * (0.8 + 0.4 * next_share(e))
        )
    at_us = min(c.feedback_us, c.report_us, c.consent_us)
    while index != NOBODY:
        s = &e.inbounds[index]
        index = s.next
        if s.is_video:
            _repair(e, c, s, now_us)
            if s.losses != NULL:
                at_us = min(at_us, s.losses.next_at_us)
            if s.key_frame_wanted:
                at_us = min(at_us, s.key_frame_at_us + KEY_FRAME_US)
    deadlines_set(&e.control, <uint32_t>(c - e.connections), at_us)
