"""The fan-out; the contract is in ``fanout.pxd``."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memset

from router._fastpath.command cimport NO_PAYLOAD_TYPE
from router._fastpath.counters cimport (
    COUNT_INDICES_EXHAUSTED,
    COUNT_RTP_BYTES_OUT,
    COUNT_RTP_HEADER_TOO_LONG,
    COUNT_RTP_OUT,
    COUNT_RTP_UNMAPPED_PAYLOAD,
)
from router._fastpath.deadlines cimport deadlines_advance
from router._fastpath.header_plan cimport header_plan, plan_header
from router._fastpath.keyframe cimport key_frame_request
from router._fastpath.output cimport output_flush
from router._fastpath.rewrite cimport (
    SEND_FIRST,
    SLOT_GAP_MAX,
    abs_send_time_of,
    slot_may_start,
    slot_start,
    slot_would_jump,
    slot_write,
)
from router._fastpath.sequence cimport SEQUENCE_END
from router._fastpath.state cimport (
    PENDING_MAX,
    STREAM_PENDING_MAX,
    count,
    ntp_at,
    outbound_slot,
    transport,
)
from router._fastpath.store cimport STORE_PADDING_MAX

cdef enum:
    CLASSES = 4                     # classes of subscribers whose plans are kept at a time
    PADDING_SHARE = 64              # of the payload: padding is at most this part
    FIRST_REPORT_US = 100000        # a started slot's first sender report, for lip sync


cdef struct class_plan:
    bint used
    uint32_t mask
    header_plan headers[STREAM_PENDING_MAX]


cdef void fanout_add(
    plane_state *p, inbound_stream *s, stored_packet *packet, int64_t now_us
) noexcept nogil:
    # The store may displace a packet once more than half of its bytes came behind it.
    if (
        p.pending_count == PENDING_MAX
        or s.pending == STREAM_PENDING_MAX
        or s.pending_bytes > s.store.size // 2
    ):
        fanout_run(p, now_us)
        output_flush(&p.out)    # what is to be sealed borrows the store's bytes
    p.pending[p.pending_count].packet = packet
    p.pending[p.pending_count].ext_seq = packet.ext_seq
    p.pending[p.pending_count].stream = <uint32_t>(s - p.streams)
    p.pending_count += 1
    s.pending += 1
    s.pending_bytes += <uint32_t>packet.length + STORE_PADDING_MAX


cdef void fanout_run(plane_state *p, int64_t now_us) noexcept nogil:
    cdef stored_packet *packets[STREAM_PENDING_MAX]
    cdef inbound_stream *s
    cdef int number
    cdef uint32_t waiting
    cdef int first
    cdef int i
    for first in range(p.pending_count):
        s = &p.streams[p.pending[first].stream]
        waiting = s.pending
        if waiting == 0:
            continue    # went out with an earlier packet of its stream
        number = 0
        i = first
        while waiting:
            if &p.streams[p.pending[i].stream] == s:
                waiting -= 1
                # A very late packet may have taken the place of this one in the store.
                if p.pending[i].packet.ext_seq == p.pending[i].ext_seq:
                    packets[number] = p.pending[i].packet
                    number += 1
            i += 1
        s.pending = s.pending_bytes = 0
        _forward(p, s, packets, number, now_us)
    p.pending_count = 0


cdef class_plan *_plan_for(
    plane_state *p, class_plan *classes, uint32_t mask, stored_packet **packets, int number
) noexcept nogil:
    cdef int i
    cdef class_plan *plan = &classes[CLASSES - 1]   # more classes than that take turns in the last
    for i in range(CLASSES):
        if classes[i].used and classes[i].mask == mask:
            return &classes[i]
        if not classes[i].used:
            plan = &classes[i]
            break
    plan.used = True
    plan.mask = mask
    for i in range(number):
        if plan_header(&plan.headers[i], &packets[i].view, mask):
            count(p, COUNT_RTP_HEADER_TOO_LONG)
    return plan


cdef inline int _padding_limit(int length) noexcept nogil:
    return min(STORE_PADDING_MAX, length // PADDING_SHARE)


cdef void _pad(stored_packet *packet, int length) noexcept nogil:
    cdef uint8_t *end = packet.view.data + packet.view.header_length + packet.view.payload_length
    cdef int padding = length - packet.view.payload_length
    if padding <= 0 or packet.view.payload_length == 0:
        return
    memset(end, 0, <size_t>padding)
    end[padding - 1] = <uint8_t>padding
    packet.padding = <uint8_t>padding


# Settle the padding: packets that follow each other get the length of the longest where that is
# little more. The last of such a run may be shorter anyway, whatever it lacks.
cdef void _plan_padding(
    const inbound_stream *s, stored_packet **packets, int number
) noexcept nogil:
    cdef int first = 0 if s.video else number
    cdef int end
    cdef int low
    cdef int high
    cdef int size
    cdef int i
    while first < number:
        low = high = packets[first].view.payload_length
        end = first + 1
        while end < number:
            size = packets[end].view.payload_length
            if max(high, size) - min(low, size) > _padding_limit(max(high, size)):
                break
            low = min(low, size)
            high = max(high, size)
            end += 1
        if end < number and packets[end].view.payload_length < high:
            end += 1        # the shorter one that ends the run
        for i in range(first, end - 1):
            _pad(packets[i], high)
        first = end
    for i in range(number):
        packets[i].planned = 1


cdef void _forward(
    plane_state *p, inbound_stream *s, stored_packet **packets, int number, int64_t now_us
) noexcept nogil:
    cdef class_plan classes[CLASSES]
    cdef class_plan *plan
    cdef outbound_slot *slot
    cdef transport *t
    cdef int32_t at = s.first_slot
    cdef uint32_t send_time
    cdef uint32_t length
    cdef int i
    cdef uint8_t payload_type
    _plan_padding(s, packets, number)
    if at < 0:
        return
    for i in range(CLASSES):
        classes[i].used = False
    send_time = abs_send_time_of(ntp_at(p, now_us))
    while at >= 0:
        slot = &p.slots[at]
        at = slot.next_bound
        t = &p.transports[slot.transport]
        if not t.has_keys or t.selected < 0:
            continue
        if slot.highest_index >= SEQUENCE_END - (SLOT_GAP_MAX + 1) * STREAM_PENDING_MAX:
            count(p, COUNT_INDICES_EXHAUSTED)
            continue
        plan = _plan_for(p, classes, slot.extension_mask, packets, number)
        for i in range(number):
            payload_type = t.configuration.payload_out[packets[i].codec]
            if payload_type == NO_PAYLOAD_TYPE:
                count(p, COUNT_RTP_UNMAPPED_PAYLOAD)
                continue
            if slot.started and slot_would_jump(slot, packets[i]):
                slot.started = False
                if not slot_may_start(p, slot, packets[i]):
                    key_frame_request(p, s, now_us)
            if not slot.started:
                if not slot_may_start(p, slot, packets[i]):
                    continue
                slot_start(p, slot, packets[i], now_us)
                if t.report_at_us > now_us + FIRST_REPORT_US:
                    t.report_at_us = now_us + FIRST_REPORT_US
                    deadlines_advance(&p.timers, slot.transport, t.report_at_us)
            elif packets[i].ext_seq < slot.start_ext_seq:
                continue
            length = slot_write(
                p, slot, t, &plan.headers[i], packets[i], payload_type, SEND_FIRST, send_time,
                now_us,
            )
            slot.packets += 1
            slot.bytes += length
            slot.octets += packets[i].view.payload_length
            slot.resend_budget += length // 2
            t.packets_out += 1
            t.bytes_out += length
            p.counts[COUNT_RTP_OUT] += 1
            p.counts[COUNT_RTP_BYTES_OUT] += length
