"""Sending; the contract is in ``outbound.pxd``."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from benchmarks.engine.payload cimport MIN_PAYLOAD, payload_write
from benchmarks.engine.state cimport (
    COUNT_RETRANSMITTED,
    COUNT_SEND_FAILED,
    COUNT_SENT,
    net_send,
    next_share,
    sent_packet,
)
from router._fastpath.deadlines cimport NEVER_US, deadlines_set
from router._fastpath.rtcp cimport rtcp_write_sr
from router._fastpath.srtp cimport srtp_job, srtp_seal, srtp_session, srtp_tag_length
from router._fastpath.wire cimport store16, store32

cdef extern from "srtp_types.h" nogil:
    void srtp_prefetch(const srtp_session *session)

cdef enum:
    RUN = 40                    # packets that are sealed and sent together
    MID_PACKETS = 100           # the first packets of a stream, which say its MID
    LATE_NS = 500000000         # frames that are later than this are left out
    VIDEO_CLOCK = 90000
    AUDIO_CLOCK = 48000
    RTX_HEADER = 2

cdef double REPAYMENT = 0.2


cdef int _put_element(
    uint8_t *out, int at, uint8_t number, const uint8_t *data, int length
) noexcept nogil:
    out[at] = <uint8_t>(number << 4 | (length - 1))
    memcpy(out + at + 1, data, <size_t>length)
    return at + 1 + length


# Write the RTP header; return its length.
cdef int _write_header(
    connection *c, const outbound *s, const sent_packet *packet,
    uint32_t ssrc, uint8_t payload_type, int64_t ext_seq, bint with_mid, uint8_t *out
) noexcept nogil:
    cdef uint8_t content[2]
    cdef int at = 16
    out[1] = <uint8_t>(packet.marker << 7 | payload_type)
    store16(out + 2, <uint32_t>(ext_seq & 0xFFFF))
    store32(out + 4, packet.rtp_ts)
    store32(out + 8, ssrc)
    if with_mid:
        at = _put_element(out, at, c.mid_id, s.mid, s.mid_length)
    if not s.is_video and c.audio_level_id:
        content[0] = 0x80 | 30      # a voice at -30 dBov (RFC 6464 section 3)
        at = _put_element(out, at, c.audio_level_id, content, 1)
    if c.transport_cc_id:
        store16(content, c.transport_cc_seq)
        c.transport_cc_seq += 1
        at = _put_element(out, at, c.transport_cc_id, content, 2)
    if at == 16:
        out[0] = 0x80
        return 12
    while at & 3:
        out[at] = 0
        at += 1
    out[0] = 0x90
    out[12] = 0xBE
    out[13] = 0xDE
    store16(out + 14, <uint32_t>((at - 16) // 4))
    return at


cdef void _send(
    engine_state *e, const connection *c, const uint8_t *data, uint32_t length, uint32_t segment,
    int packets
) noexcept nogil:
    if net_send(c.fd, &c.way, data, length, segment) != 0:
        e.counts[COUNT_SEND_FAILED] += <uint64_t>packets


cdef double _frame_size(engine_state *e, outbound *s) noexcept nogil:
    cdef double size = s.frame_bytes
    cdef double repayment
    if s.variation > 0:
        size *= 1 + s.variation * (2 * next_share(e) - 1)
    if s.key_frame_wanted:
        size *= s.key_frame_weight
    # As rate control does, pay back over the next frames what a key frame took too much.
    repayment = min(s.owed_bytes, s.frame_bytes * REPAYMENT)
    size -= repayment
    if s.variation > 0 or s.key_frame_wanted or repayment > 0:
        s.owed_bytes = max(0.0, s.owed_bytes + size - s.frame_bytes)
    return size


cdef void _send_frame(engine_state *e, outbound *s, int64_t now_us) noexcept nogil:
    cdef connection *c = &e.connections[s.connection]
    cdef srtp_job jobs[RUN]
    cdef uint32_t lengths[RUN]
    cdef sent_packet *packet
    cdef uint8_t *out = e.arena
    cdef int tag = srtp_tag_length(&c.keys[0])
    cdef uint32_t size = max(<uint32_t>_frame_size(e, s), <uint32_t>MIN_PAYLOAD)
    cdef uint32_t count = (size + s.payload_bytes - 1) // s.payload_bytes
    cdef uint32_t base
    cdef uint32_t larger
    cdef uint32_t index
    cdef int gathered = 0
    srtp_prefetch(&c.keys[0])
    if not s.is_video:
        count = 1
        size = min(size, s.payload_bytes)
    # About equal parts, the larger ones first.
    base = size // count
    larger = size % count
    if base < MIN_PAYLOAD:
        base = MIN_PAYLOAD
        larger = 0
    for index in range(count):
        packet = &s.history[<uint32_t>s.ext_seq & s.history_mask]
        packet.sent_us = now_us
        packet.ext_seq = s.ext_seq
        packet.frame = s.frame
        packet.frame_bytes = size
        packet.rtp_ts = <uint32_t><uint64_t>s.rtp_ts
        packet.index = <uint16_t>index
        packet.packets = <uint16_t>count
        packet.payload_length = <uint16_t>(base + (1 if index < larger else 0))
        packet.picture_id = <uint16_t>(s.picture_id & 0x7FFF)
        packet.is_key = s.key_frame_wanted
        packet.marker = s.is_video and index == count - 1
        packet.with_mid = s.mid_length > 0 and c.mid_id and s.packets < MID_PACKETS
        jobs[gathered].session = &c.keys[0]
        jobs[gathered].packet = out
        jobs[gathered].header_length = <uint32_t>_write_header(
            c, s, packet, s.ssrc, s.payload_type, s.ext_seq, packet.with_mid, out
        )
        jobs[gathered].payload = out + jobs[gathered].header_length
        jobs[gathered].payload_length = packet.payload_length
        jobs[gathered].roc = <uint32_t>(s.ext_seq >> 16)
        payload_write(packet, s.is_video, s.publisher, out + jobs[gathered].header_length)
        lengths[gathered] = jobs[gathered].header_length + packet.payload_length + <uint32_t>tag
        out += lengths[gathered]
        gathered += 1
        s.ext_seq += 1
        s.bytes += packet.payload_length
        if gathered == RUN or index == count - 1:
            srtp_seal(jobs, gathered)
            _send_runs(e, c, e.arena, lengths, gathered)
            out = e.arena
            gathered = 0
        s.packets += 1
    if s.first_us == 0:
        s.first_us = now_us
    e.counts[COUNT_SENT] += count
    s.frame_at_us = now_us
    s.frames += 1
    s.key_frames += s.key_frame_wanted
    s.key_frame_wanted = False
    s.frame += 1
    s.picture_id += 1


# Packets stand back to back: a run of equal lengths, and a shorter last one, is one message.
cdef void _send_runs(
    engine_state *e, const connection *c, const uint8_t *data, const uint32_t *lengths, int count
) noexcept nogil:
    cdef int first = 0
    cdef int end
    cdef uint32_t total
    while first < count:
        end = first + 1
        total = lengths[first]
        while end < count and lengths[end] <= lengths[first]:
            total += lengths[end]
            end += 1
            if lengths[end - 1] < lengths[first]:
                break
        _send(e, c, data, total, lengths[first], end - first)
        data += total
        first = end


cdef void outbound_send_due(engine_state *e, outbound *s, int64_t now_us) noexcept nogil:
    cdef int64_t now_ns = now_us * 1000
    cdef int64_t skipped
    cdef double step
    if s.interval_ns == 0:
        deadlines_set(&e.sending[s.is_video], <uint32_t>(s - e.outbounds), NEVER_US)
        return
    step = <double>s.interval_ns * (VIDEO_CLOCK if s.is_video else AUDIO_CLOCK) / 1e9
    if now_ns - s.due_ns > LATE_NS:
        skipped = (now_ns - s.due_ns) // s.interval_ns
        s.due_ns += skipped * s.interval_ns
        s.rtp_ts += step * <double>skipped
        s.late_frames += <uint64_t>skipped
    while s.due_ns <= now_ns:
        _send_frame(e, s, now_us)
        s.due_ns += s.interval_ns
        s.rtp_ts += step
    deadlines_set(&e.sending[s.is_video], <uint32_t>(s - e.outbounds), s.due_ns // 1000 + 1)


cdef void outbound_retransmit(
    engine_state *e, connection *c, outbound *s, uint16_t seq
) noexcept nogil:
    cdef srtp_job job
    cdef sent_packet *packet = &s.history[seq & s.history_mask]
    cdef uint8_t *out = e.arena
    cdef int header
    s.nacked += 1
    if s.packets == 0 or <uint16_t>(packet.ext_seq & 0xFFFF) != seq or packet.packets == 0:
        return
    if s.rtx_ssrc:
        header = _write_header(
            c, s, packet, s.rtx_ssrc, s.rtx_payload_type, s.rtx_ext_seq, False, out
        )
        job.roc = <uint32_t>(s.rtx_ext_seq >> 16)
        s.rtx_ext_seq += 1
        store16(out + header, seq)
        payload_write(packet, s.is_video, s.publisher, out + header + RTX_HEADER)
        job.payload_length = packet.payload_length + RTX_HEADER
    else:
        header = _write_header(
            c, s, packet, s.ssrc, s.payload_type, packet.ext_seq, packet.with_mid, out
        )
        job.roc = <uint32_t>(packet.ext_seq >> 16)
        payload_write(packet, s.is_video, s.publisher, out + header)
        job.payload_length = packet.payload_length
    job.session = &c.keys[0]
    job.packet = out
    job.payload = out + header
    job.header_length = <uint32_t>header
    srtp_seal(&job, 1)
    s.retransmitted += 1
    e.counts[COUNT_RETRANSMITTED] += 1
    _send(
        e, c, out,
        job.header_length + job.payload_length + <uint32_t>srtp_tag_length(&c.keys[0]), 0, 1
    )


cdef int outbound_report(
    const outbound *s, int64_t now_us, uint64_t ntp, uint8_t *out
) noexcept nogil:
    cdef double clock = VIDEO_CLOCK if s.is_video else AUDIO_CLOCK
    cdef double step
    cdef double rtp_ts
    if s.packets == 0:
        return 0
    # ``rtp_ts`` is already that of the next frame.
    step = <double>s.interval_ns * clock / 1e9
    rtp_ts = s.rtp_ts - step + <double>(now_us - s.frame_at_us) * clock / 1e6
    return rtcp_write_sr(
        out, s.ssrc, ntp, <uint32_t><uint64_t>rtp_ts,
        <uint32_t>s.packets, <uint32_t>s.bytes
    )
