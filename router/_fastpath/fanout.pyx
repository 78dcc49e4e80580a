"""The fan-out; the contract is in ``fanout.pxd``."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from router._fastpath.counters cimport COUNT_RTP_HEADER_TOO_LONG
from router._fastpath.header_plan cimport (
    header_plan,
    plan_address,
    plan_header,
    plan_write,
)
from router._fastpath.output cimport (
    output_add_run,
    output_message_end,
    output_reserve_run,
    output_seal,
    output_seal_jobs,
)
from router._fastpath.padding cimport (
    PADDING_SHARE_NONE,
    PADDING_SHARE_VIDEO,
    padding_settle,
)
from router._fastpath.payload cimport payload_number
from router._fastpath.rewrite cimport (
    SEND_FIRST,
    abs_send_time_of,
    slot_count_sent,
    slot_is_open,
    slot_note_sent,
    slot_patch_payload,
    slot_patches_payload,
    slot_takes,
    slot_would_jump,
    slot_write,
)
from router._fastpath.rtp cimport EXTENSION_KINDS
from router._fastpath.speakers cimport (
    SPEAKERS_MAX,
    single_packet,
    speakers_crowd,
    speakers_forward,
)
from router._fastpath.srtp cimport srtp_session, srtp_tag_length
from router._fastpath.state cimport (
    PENDING_MAX,
    STREAM_PENDING_MAX,
    count,
    ntp_at,
    outbound_slot,
    pending_list,
    transport,
)
from router._fastpath.store cimport STORE_PADDING_MAX
from router._fastpath.udp cimport udp_path
from router._fastpath.wire cimport store16

cdef enum:
    CLASSES = 4                     # classes of subscribers whose plans are kept at a time
    LOOK_PACKETS = 16               # between two looks at whether a stream is held


# Packets of one stream and codec, and what is the same of them for all subscribers.
cdef struct packet_run:
    stored_packet *packets[STREAM_PENDING_MAX]
    int number
    int newest                      # the one with the highest number
    int64_t lowest_ext_seq
    uint64_t octets                 # of payload, for sender reports


# What they are towards one class of subscribers: those that are sent the same but for its numbers.
# Messages are planned here: as many packets of equal length as the kernel takes at once, of which
# the last may be shorter.
cdef struct class_plan:
    uint32_t mask
    uint32_t tag_length
    uint8_t payload_type
    uint8_t ids[EXTENSION_KINDS]
    int message_count
    uint64_t bytes
    uint8_t messages[STREAM_PENDING_MAX]        # packets of each
    uint32_t lengths[STREAM_PENDING_MAX]        # with the tag
    header_plan headers[STREAM_PENDING_MAX]


cdef void fanout_add(
    plane_state *p, inbound_stream *s, stored_packet *packet, int64_t now_us
) noexcept nogil:
    cdef pending_list *waiting
    if not s.video and s.pending == 0:      # never in both lists
        if s.unlooked == 0:
            s.unlooked = LOOK_PACKETS
            s.is_held = speakers_crowd(p, s, now_us)
        s.unlooked -= 1
    waiting = &p.held if s.is_held else &p.pending
    # The store may displace a packet once more than half of its bytes came behind it.
    if (
        waiting.count == PENDING_MAX
        or s.pending == STREAM_PENDING_MAX
        or s.pending_bytes > s.store.size // 2
    ):
        fanout_run(p, now_us)
    if not s.is_held:
        p.prompt_at_us = now_us
    else:
        p.held_at_us = now_us
        if p.held.count == 0:
            p.held_until_us = (now_us // HOLD_TICK_US + 1) * HOLD_TICK_US
    waiting.packets[waiting.count].packet = packet
    waiting.packets[waiting.count].ext_seq = packet.ext_seq
    waiting.packets[waiting.count].stream = <uint32_t>(s - p.streams)
    waiting.count += 1
    s.pending += 1
    s.pending_bytes += <uint32_t>packet.length + STORE_PADDING_MAX


# Forward single packets of several streams together; one alone goes the usual way.
cdef void _forward_singles(
    plane_state *p, single_packet *singles, int number, packet_run *run, int64_t now_us
) noexcept nogil:
    if number == 1:
        run.packets[0] = singles[0].packet
        run.number = 1
        _forward(p, singles[0].stream, run, now_us)
    elif number:
        speakers_forward(p, singles, number, now_us)


cdef void _run_kind(
    plane_state *p, const pending_list *list, bint video, int64_t now_us
) noexcept nogil:
    cdef packet_run run
    cdef single_packet singles[SPEAKERS_MAX]
    cdef int speakers = 0
    cdef stored_packet *packet
    cdef inbound_stream *s
    cdef uint32_t waiting
    cdef int first
    cdef int i
    for first in range(list.count):
        s = &p.streams[list.packets[first].stream]
        waiting = s.pending
        if waiting == 0 or s.video != video:
            continue    # went out with an earlier packet of its stream, or is not asked for
        run.number = 0
        i = first
        while waiting:
            if &p.streams[list.packets[i].stream] == s:
                waiting -= 1
                packet = list.packets[i].packet
                # A very late packet may have taken the place of this one in the store.
                if packet.ext_seq == list.packets[i].ext_seq:
                    if run.number and packet.codec != run.packets[0].codec:
                        _forward(p, s, &run, now_us)
                        run.number = 0
                    run.packets[run.number] = packet
                    run.number += 1
            i += 1
        s.pending = s.pending_bytes = 0
        if run.number == 1 and not s.video:
            singles[speakers].packet = run.packets[0]
            singles[speakers].stream = s
            speakers += 1
            if speakers == SPEAKERS_MAX:
                _forward_singles(p, singles, speakers, &run, now_us)
                speakers = 0
        elif run.number:
            _forward(p, s, &run, now_us)
    _forward_singles(p, singles, speakers, &run, now_us)


cdef void _run_held(plane_state *p, int64_t now_us) noexcept nogil:
    _run_kind(p, &p.held, False, now_us)
    p.held.count = 0


cdef void _run_pending(plane_state *p, int64_t now_us) noexcept nogil:
    _run_kind(p, &p.pending, False, now_us)     # audio goes first
    _run_kind(p, &p.pending, True, now_us)
    p.pending.count = 0


cdef void fanout_run(plane_state *p, int64_t now_us) noexcept nogil:
    _run_held(p, now_us)
    _run_pending(p, now_us)


cdef void fanout_run_due(plane_state *p, int64_t now_us) noexcept nogil:
    if now_us >= fanout_due(p):
        _run_held(p, now_us)
    if p.pending.count:
        _run_pending(p, now_us)


cdef void _plan_class(
    plane_state *p, class_plan *plan, const packet_run *run, uint32_t send_time
) noexcept nogil:
    cdef const stored_packet *packet
    cdef int start = 0
    cdef int end
    cdef int i
    plan.bytes = 0
    for i in range(run.number):
        packet = run.packets[i]
        if plan_header(&plan.headers[i], &packet.view, plan.mask):
            count(p, COUNT_RTP_HEADER_TOO_LONG)
        plan_address(
            &plan.headers[i], plan.ids, plan.payload_type, packet.padding != 0, send_time
        )
        plan.lengths[i] = (
            <uint32_t>plan.headers[i].length + packet.view.payload_length + packet.padding
            + plan.tag_length
        )
        plan.bytes += plan.lengths[i]
    plan.message_count = 0
    while start < run.number:
        end = output_message_end(plan.lengths, run.number, start)
        plan.messages[plan.message_count] = <uint8_t>(end - start)
        plan.message_count += 1
        start = end


cdef class_plan *_plan_for(
    plane_state *p, class_plan *classes, int *class_count, const outbound_slot *slot,
    const transport *t, const packet_run *run, uint32_t send_time
) noexcept nogil:
    cdef int i
    cdef class_plan *plan
    cdef uint32_t tag_length = <uint32_t>srtp_tag_length(&t.keys.outbound)
    cdef uint8_t payload_type = t.configuration.payload_out[run.packets[0].codec]
    for i in range(class_count[0]):
        if (
            classes[i].mask == slot.extension_mask
            and classes[i].payload_type == payload_type
            and classes[i].tag_length == tag_length
            and not memcmp(classes[i].ids, t.configuration.extensions_out, EXTENSION_KINDS)
        ):
            return &classes[i]
    if class_count[0] < CLASSES:
        class_count[0] += 1
    plan = &classes[class_count[0] - 1]     # more classes than that take turns in the last
    plan.mask = slot.extension_mask
    plan.payload_type = payload_type
    plan.tag_length = tag_length
    memcpy(plan.ids, t.configuration.extensions_out, EXTENSION_KINDS)
    _plan_class(p, plan, run, send_time)
    return plan


# Sum up what is the same for all subscribers.
cdef void _sum_up(packet_run *run) noexcept nogil:
    cdef int i
    run.newest = 0
    run.octets = 0
    run.lowest_ext_seq = run.packets[0].ext_seq
    for i in range(run.number):
        if run.packets[i].ext_seq > run.packets[run.newest].ext_seq:
            run.newest = i
        if run.packets[i].ext_seq < run.lowest_ext_seq:
            run.lowest_ext_seq = run.packets[i].ext_seq
        run.octets += run.packets[i].view.payload_length


# Whether the slot has started and takes all packets of the run.
cdef inline bint _takes_all(const outbound_slot *slot, const packet_run *run) noexcept nogil:
    return (
        slot.started
        and run.lowest_ext_seq >= slot.start_ext_seq
        and not slot_would_jump(slot, run.packets[run.newest])
    )


# Write and seal all packets of the run. Payloads that the slot numbers otherwise are changed where
# they are, for as long as that takes.
cdef void _write_all(
    plane_state *p, outbound_slot *slot, transport *t, const class_plan *plan,
    const packet_run *run, int64_t now_us
) noexcept nogil:
    cdef const srtp_session *session = &t.keys.outbound
    cdef const udp_path *path = &t.addresses[t.selected].path
    cdef const header_plan *header
    cdef const stored_packet *packet
    cdef bint patches = slot_patches_payload(slot)
    cdef uint16_t transport_seq = t.transport_seq
    cdef uint32_t ts_offset = slot.ts_offset
    cdef uint32_t ssrc = slot.ssrc
    cdef int64_t seq_offset = slot.seq_offset
    cdef int64_t index
    cdef uint8_t *out
    cdef uint8_t *payload
    cdef int first = 0
    cdef int end
    cdef int message
    cdef int i
    for message in range(plan.message_count):
        end = first + plan.messages[message]
        out = output_reserve_run(&p.out, end - first)
        for i in range(first, end):
            packet = run.packets[i]
            header = &plan.headers[i]
            index = packet.ext_seq + seq_offset
            plan_write(header, out, <uint16_t>index, packet.view.rtp_ts + ts_offset, ssrc)
            if header.transport_cc_at:
                store16(out + header.transport_cc_at, transport_seq)
                transport_seq += 1
            payload = packet.view.data + packet.view.header_length
            if patches and packet.view.payload_length:
                slot_patch_payload(slot, packet, payload)
            output_seal(
                &p.out, session, out, payload, header.length,
                <uint32_t>packet.view.payload_length + packet.padding, <uint32_t>(index >> 16),
            )
            out += plan.lengths[i]
        output_add_run(
            &p.out, slot.transport, path, end - first, plan.lengths[first], plan.lengths[end - 1]
        )
        first = end
    output_seal_jobs(&p.out)    # while the nearest cache holds the headers
    if patches:
        for i in range(run.number):
            packet = run.packets[i]
            if packet.view.payload_length:
                payload_number(
                    &packet.payload, packet.view.data + packet.view.header_length,
                    packet.payload.picture_id, packet.payload.tl0,
                )
    t.transport_seq = transport_seq
    packet = run.packets[run.newest]
    slot_note_sent(slot, packet, packet.ext_seq + seq_offset, now_us)


# Write what the slot takes, packet by packet: it may start, or have to.
cdef void _write_each(
    plane_state *p, inbound_stream *s, outbound_slot *slot, transport *t, const class_plan *plan,
    const packet_run *run, int64_t now_us
) noexcept nogil:
    cdef const stored_packet *packet
    cdef uint32_t length
    cdef int i
    for i in range(run.number):
        packet = run.packets[i]
        if not slot_takes(p, s, slot, t, packet, now_us):
            continue
        length = slot_write(p, slot, t, &plan.headers[i], packet, SEND_FIRST, now_us)
        slot_count_sent(p, slot, t, 1, length, packet.view.payload_length)
    output_seal_jobs(&p.out)


cdef void _forward(
    plane_state *p, inbound_stream *s, packet_run *run, int64_t now_us
) noexcept nogil:
    cdef class_plan classes[CLASSES]
    cdef const class_plan *plan
    cdef outbound_slot *slot
    cdef transport *t
    cdef int32_t at = s.first_slot
    cdef uint32_t send_time
    cdef int class_count = 0
    padding_settle(
        run.packets, run.number, PADDING_SHARE_VIDEO if s.video else PADDING_SHARE_NONE
    )
    if at < 0:
        return
    _sum_up(run)
    send_time = abs_send_time_of(ntp_at(p, now_us))
    while at >= 0:
        slot = &p.slots[at]
        at = slot.next_bound
        t = &p.transports[slot.transport]
        if not slot_is_open(p, slot, t, run.packets[0].codec, run.number):
            continue
        plan = _plan_for(p, classes, &class_count, slot, t, run, send_time)
        if _takes_all(slot, run):
            _write_all(p, slot, t, plan, run, now_us)
            slot_count_sent(p, slot, t, <uint64_t>run.number, plan.bytes, run.octets)
        else:
            _write_each(p, s, slot, t, plan, run, now_us)
