"""The fan-out of speakers; the contract is in ``speakers.pxd``."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from router._fastpath.counters cimport COUNT_RTP_HEADER_TOO_LONG
from router._fastpath.header_plan cimport header_plan, plan_address, plan_header, plan_write
from router._fastpath.output cimport (
    output_add_run,
    output_message_end,
    output_reserve_run,
    output_seal,
    output_seal_jobs,
)
from router._fastpath.padding cimport PADDING_SHARE_SPEAKERS, padding_settle
from router._fastpath.rewrite cimport (
    SEND_FIRST,
    abs_send_time_of,
    slot_count_sent,
    slot_is_open,
    slot_note_sent,
    slot_patches_payload,
    slot_takes,
    slot_write,
)
from router._fastpath.rtp cimport EXTENSION_KINDS
from router._fastpath.srtp cimport srtp_tag_length
from router._fastpath.state cimport count, ntp_at, outbound_slot, transport
from router._fastpath.udp cimport udp_path
from router._fastpath.wire cimport store16

cdef enum:
    METER_US = 250000
    PLANS_MAX = 128         # of all packets together
    GATHERED_MAX = 1024     # packets to subscribers; what is more goes out in further rounds


# A packet towards one class of subscribers: those that are sent the same but for its numbers.
cdef struct speaker_plan:
    const stored_packet *packet
    uint32_t mask
    uint32_t tag_length
    uint8_t payload_type
    uint8_t ids[EXTENSION_KINDS]
    header_plan header
    uint32_t length         # with the tag


# A packet to one subscriber; all of a subscriber are a list.
cdef struct gathered_packet:
    int32_t next            # 1 + index, 0 for none
    uint32_t slot
    uint32_t plan


cdef struct round_of_speakers:
    speaker_plan plans[PLANS_MAX]
    int plan_count
    gathered_packet packets[GATHERED_MAX]
    int packet_count
    uint32_t transports[GATHERED_MAX]   # that have packets
    int transport_count
    uint32_t send_time


cdef uint32_t _heard_per_second(transport *t, int64_t now_us) noexcept nogil:
    cdef int64_t elapsed_us = now_us - t.audio_metered_at_us
    if elapsed_us >= METER_US:
        t.audio_per_second = <uint32_t>(
            (t.audio_out - t.audio_out_before) * 1000000 // <uint64_t>elapsed_us
        )
        t.audio_out_before = t.audio_out
        t.audio_metered_at_us = now_us
    return t.audio_per_second


cdef bint speakers_crowd(
    plane_state *p, const inbound_stream *s, int64_t now_us
) noexcept nogil:
    cdef uint64_t heard = 0
    cdef int32_t at = s.first_slot
    while at >= 0:
        heard += _heard_per_second(&p.transports[p.slots[at].transport], now_us)
        at = p.slots[at].next_bound
    return s.slots != 0 and heard >= <uint64_t>CROWD_PER_SECOND * s.slots


# The longest first.
cdef inline void _sort(single_packet *singles, int number) noexcept nogil:
    cdef single_packet moved
    cdef int i
    cdef int at
    for i in range(1, number):
        moved = singles[i]
        at = i
        while at and (
            singles[at - 1].packet.view.payload_length < moved.packet.view.payload_length
        ):
            singles[at] = singles[at - 1]
            at -= 1
        singles[at] = moved


# Return the plan of a packet for the class, made at need behind ``first``, where its plans begin;
# NULL without room.
cdef speaker_plan *_plan_for(
    plane_state *p, round_of_speakers *r, int first, const outbound_slot *slot,
    const transport *t, const stored_packet *packet
) noexcept nogil:
    cdef speaker_plan *plan
    cdef uint32_t tag_length = <uint32_t>srtp_tag_length(&t.keys.outbound)
    cdef uint8_t payload_type = t.configuration.payload_out[packet.codec]
    cdef int i
    for i in range(first, r.plan_count):
        plan = &r.plans[i]
        if (
            plan.mask == slot.extension_mask
            and plan.payload_type == payload_type
            and plan.tag_length == tag_length
            and not memcmp(plan.ids, t.configuration.extensions_out, EXTENSION_KINDS)
        ):
            return plan
    if r.plan_count == PLANS_MAX:
        return NULL
    plan = &r.plans[r.plan_count]
    r.plan_count += 1
    plan.packet = packet
    plan.mask = slot.extension_mask
    plan.payload_type = payload_type
    plan.tag_length = tag_length
    memcpy(plan.ids, t.configuration.extensions_out, EXTENSION_KINDS)
    if plan_header(&plan.header, &packet.view, plan.mask):
        count(p, COUNT_RTP_HEADER_TOO_LONG)
    plan_address(&plan.header, plan.ids, payload_type, packet.padding != 0, r.send_time)
    plan.length = (
        <uint32_t>plan.header.length + packet.view.payload_length + packet.padding + tag_length
    )
    return plan


# Write what was gathered for one subscriber from ``at`` on, SPEAKERS_MAX packets at most, and have
# it sealed; returns where the rest begins, or 0.
cdef int32_t _write(
    plane_state *p, round_of_speakers *r, uint32_t index, int32_t at, int64_t now_us
) noexcept nogil:
    cdef const speaker_plan *plans[SPEAKERS_MAX]
    cdef outbound_slot *slots[SPEAKERS_MAX]
    cdef uint32_t lengths[SPEAKERS_MAX]
    cdef transport *t = &p.transports[index]
    cdef const udp_path *path = &t.addresses[t.selected].path
    cdef const speaker_plan *plan
    cdef const stored_packet *packet
    cdef outbound_slot *slot
    cdef int64_t number
    cdef uint8_t *out
    cdef int packets = 0
    cdef int first = 0
    cdef int end
    cdef int i
    while at and packets < SPEAKERS_MAX:
        plans[packets] = &r.plans[r.packets[at - 1].plan]
        slots[packets] = &p.slots[r.packets[at - 1].slot]
        lengths[packets] = plans[packets].length
        packets += 1
        at = r.packets[at - 1].next
    while first < packets:
        end = output_message_end(lengths, packets, first)
        out = output_reserve_run(&p.out, end - first)
        for i in range(first, end):
            plan = plans[i]
            packet = plan.packet
            slot = slots[i]
            number = packet.ext_seq + slot.seq_offset
            plan_write(
                &plan.header, out, <uint16_t>number, packet.view.rtp_ts + slot.ts_offset, slot.ssrc
            )
            if plan.header.transport_cc_at:
                store16(out + plan.header.transport_cc_at, t.transport_seq)
                t.transport_seq += 1
            output_seal(
                &p.out, &t.keys.outbound, out, packet.view.data + packet.view.header_length,
                plan.header.length, <uint32_t>packet.view.payload_length + packet.padding,
                <uint32_t>(number >> 16),
            )
            out += plan.length
            slot_note_sent(slot, packet, number, now_us)
            slot_count_sent(p, slot, t, 1, plan.length, packet.view.payload_length)
        output_add_run(&p.out, index, path, end - first, lengths[first], lengths[end - 1])
        first = end
    return at


cdef void _write_round(plane_state *p, round_of_speakers *r, int64_t now_us) noexcept nogil:
    cdef int32_t at
    cdef int i
    for i in range(r.transport_count):
        at = p.transports[r.transports[i]].gathered
        p.transports[r.transports[i]].gathered = 0
        while at:
            at = _write(p, r, r.transports[i], at, now_us)
    r.transport_count = r.packet_count = 0


# Note the packet for all subscribers of its stream; those with payloads of their own and those for
# whom there is no plan get it at once.
cdef void _gather(
    plane_state *p, round_of_speakers *r, inbound_stream *s, stored_packet *packet, int64_t now_us
) noexcept nogil:
    cdef header_plan header
    cdef speaker_plan *plan
    cdef gathered_packet *entry
    cdef outbound_slot *slot
    cdef transport *t
    cdef uint32_t length
    cdef int32_t at = s.first_slot
    cdef int first = r.plan_count
    while at >= 0:
        slot = &p.slots[at]
        t = &p.transports[slot.transport]
        if slot_is_open(p, slot, t, packet.codec, 1) and (
            slot_takes(p, s, slot, t, packet, now_us)
        ):
            plan = _plan_for(p, r, first, slot, t, packet)
            if plan == NULL or slot_patches_payload(slot):
                plan_header(&header, &packet.view, slot.extension_mask)
                plan_address(
                    &header, t.configuration.extensions_out,
                    t.configuration.payload_out[packet.codec], packet.padding != 0, r.send_time,
                )
                length = slot_write(p, slot, t, &header, packet, SEND_FIRST, now_us)
                slot_count_sent(p, slot, t, 1, length, packet.view.payload_length)
            else:
                if r.packet_count == GATHERED_MAX:
                    _write_round(p, r, now_us)
                if t.gathered == 0:
                    r.transports[r.transport_count] = slot.transport
                    r.transport_count += 1
                entry = &r.packets[r.packet_count]
                r.packet_count += 1
                entry.slot = <uint32_t>at
                entry.plan = <uint32_t>(plan - r.plans)
                entry.next = t.gathered
                t.gathered = r.packet_count
        at = slot.next_bound


cdef void speakers_forward(
    plane_state *p, single_packet *singles, int number, int64_t now_us
) noexcept nogil:
    cdef round_of_speakers r
    cdef stored_packet *packets[SPEAKERS_MAX]
    cdef int i
    r.plan_count = r.packet_count = r.transport_count = 0
    r.send_time = abs_send_time_of(ntp_at(p, now_us))
    _sort(singles, number)
    for i in range(number):
        packets[i] = singles[i].packet
    padding_settle(packets, number, PADDING_SHARE_SPEAKERS)
    for i in range(number - 1, -1, -1):     # lists grow at their heads
        _gather(p, &r, singles[i].stream, packets[i], now_us)
    _write_round(p, &r, now_us)
    output_seal_jobs(&p.out)
