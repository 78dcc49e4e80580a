"""Rewriting; the contract is in ``rewrite.pxd``."""

from libc.stdint cimport uint16_t
from libc.string cimport memcpy

from router._fastpath.command cimport NO_PAYLOAD_TYPE
from router._fastpath.counters cimport (
    COUNT_INDICES_EXHAUSTED,
    COUNT_RTP_SHED,
    COUNT_RTP_UNMAPPED_PAYLOAD,
)
from router._fastpath.deadlines cimport deadlines_advance
from router._fastpath.event cimport EVENT_KIND_SLOT_STARTED
from router._fastpath.header_plan cimport plan_write
from router._fastpath.keyframe cimport key_frame_request
from router._fastpath.output cimport output_add, output_reserve, output_seal
from router._fastpath.payload cimport payload_shows_key_frames
from router._fastpath.sequence cimport SEQUENCE_END
from router._fastpath.srtp cimport srtp_tag_length
from router._fastpath.state cimport SHED_OFF, STREAM_PENDING_MAX, count, event_push
from router._fastpath.wire cimport store16

cdef enum:
    FIRST_REPORT_US = 100000        # a started slot's first sender report, for lip sync


cdef bint _may_start(
    const plane_state *p, const outbound_slot *slot, const stored_packet *packet
) noexcept nogil:
    if not slot.video:
        return True
    if payload_shows_key_frames(p.codecs[packet.codec].payload_format):
        return packet.payload.key_frame
    return packet.view.payload_length > 0


cdef void _start(
    plane_state *p, outbound_slot *slot, const stored_packet *packet, int64_t now_us
) noexcept nogil:
    cdef uint32_t clock_rate = p.codecs[packet.codec].clock_rate
    cdef int64_t elapsed
    cdef uint32_t rtp_ts = packet.view.rtp_ts
    slot.started = True
    slot.start_ext_seq = packet.ext_seq
    slot.seq_offset = slot.highest_index + 1 - packet.ext_seq
    if slot.ever_sent:
        elapsed = (now_us - slot.newest_at_us) * clock_rate // 1000000
        rtp_ts = slot.newest_rtp_ts + <uint32_t>(elapsed if elapsed > 0 else 1)
    slot.ts_offset = rtp_ts - packet.view.rtp_ts
    slot.picture_id_offset = 0
    slot.tl0_offset = 0
    if packet.payload.picture_id_bytes and slot.picture_id_known:
        slot.picture_id_offset = <uint16_t>(slot.picture_id + 1 - packet.payload.picture_id)
    if packet.payload.tl0_present and slot.tl0_known:
        slot.tl0_offset = <uint8_t>(slot.tl0 + 1 - packet.payload.tl0)
    if not slot.announced:
        slot.announced = event_push(p, EVENT_KIND_SLOT_STARTED, slot.id, now_us)


cdef bint slot_is_open(
    plane_state *p, const outbound_slot *slot, const transport *t, uint8_t codec, int packets
) noexcept nogil:
    if not t.has_keys or t.selected < 0:
        return False
    if slot.shed == SHED_OFF:
        p.counts[COUNT_RTP_SHED] += <uint64_t>packets
        return False
    if slot.highest_index >= SEQUENCE_END - (SLOT_GAP_MAX + 1) * STREAM_PENDING_MAX:
        count(p, COUNT_INDICES_EXHAUSTED)
        return False
    if t.configuration.payload_out[codec] == NO_PAYLOAD_TYPE:
        p.counts[COUNT_RTP_UNMAPPED_PAYLOAD] += <uint64_t>packets
        return False
    return True


cdef bint slot_takes(
    plane_state *p, inbound_stream *s, outbound_slot *slot, transport *t,
    const stored_packet *packet, int64_t now_us
) noexcept nogil:
    if slot.started and slot_would_jump(slot, packet):
        slot.started = False
        if not _may_start(p, slot, packet):
            key_frame_request(p, s, now_us)
    if slot.started:
        return packet.ext_seq >= slot.start_ext_seq
    if not _may_start(p, slot, packet):
        return False
    _start(p, slot, packet, now_us)
    if t.report_at_us > now_us + FIRST_REPORT_US:
        t.report_at_us = now_us + FIRST_REPORT_US
        deadlines_advance(&p.timers, slot.transport, t.report_at_us)
    return True


cdef void slot_note_sent(
    outbound_slot *slot, const stored_packet *packet, int64_t index, int64_t now_us
) noexcept nogil:
    if slot.ever_sent and index <= slot.highest_index:
        return
    slot.ever_sent = True
    slot.highest_index = index
    slot.newest_rtp_ts = packet.view.rtp_ts + slot.ts_offset
    slot.newest_at_us = now_us
    if packet.payload.picture_id_bytes:
        slot.picture_id_known = True
        slot.picture_id = <uint16_t>(packet.payload.picture_id + slot.picture_id_offset)
    if packet.payload.tl0_present:
        slot.tl0_known = True
        slot.tl0 = <uint8_t>(packet.payload.tl0 + slot.tl0_offset)


cdef uint32_t slot_write(
    plane_state *p, outbound_slot *slot, transport *t, const header_plan *plan,
    const stored_packet *packet, int how, int64_t now_us
) noexcept nogil:
    cdef uint8_t *out = output_reserve(&p.out)
    cdef const uint8_t *payload = packet.view.data + packet.view.header_length
    cdef uint32_t payload_length = packet.view.payload_length
    cdef int64_t original = packet.ext_seq + slot.seq_offset
    cdef int64_t index = original
    cdef uint32_t ssrc = slot.ssrc
    cdef uint32_t length
    cdef uint8_t *copy
    if how == SEND_RTX:
        index = slot.rtx_index
        slot.rtx_index += 1
        ssrc = slot.rtx_ssrc
    else:
        payload_length += packet.padding
    plan_write(plan, out, <uint16_t>index, packet.view.rtp_ts + slot.ts_offset, ssrc)
    if plan.transport_cc_at:
        store16(out + plan.transport_cc_at, t.transport_seq)
        t.transport_seq += 1
    # A packet that is sent again may be displaced from the store before it is sealed.
    if how != SEND_FIRST or slot_patches_payload(slot):
        copy = out + plan.length
        if how == SEND_RTX:
            store16(copy, <uint32_t>original)
            copy += 2
        memcpy(copy, payload, payload_length)
        if payload_length:
            slot_patch_payload(slot, packet, copy)
        payload = out + plan.length
        if how == SEND_RTX:
            payload_length += 2
    if how == SEND_FIRST:
        slot_note_sent(slot, packet, index, now_us)
    length = plan.length + payload_length + <uint32_t>srtp_tag_length(&t.keys.outbound)
    output_seal(
        &p.out, &t.keys.outbound, out, payload, plan.length, payload_length,
        <uint32_t>(index >> 16),
    )
    output_add(&p.out, slot.transport, &t.addresses[t.selected].path, length)
    return length
