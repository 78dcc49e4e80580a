"""Retransmission to subscribers; the contract is in ``resend.pxd``."""

from libc.stdint cimport uint8_t, uint32_t

from router._fastpath.command cimport NO_PAYLOAD_TYPE
from router._fastpath.counters cimport (
    COUNT_NACK_LIMITED,
    COUNT_NACK_MISSES,
    COUNT_RESENT_PLAIN,
    COUNT_RTX_OUT,
)
from router._fastpath.header_plan cimport header_plan, plan_address, plan_header
from router._fastpath.rewrite cimport SEND_AGAIN, SEND_RTX, abs_send_time_of, slot_write
from router._fastpath.sequence cimport sequence_nearest
from router._fastpath.state cimport RESENT_SLOTS, count, ntp_at, resent_packet, transport
from router._fastpath.store cimport store_find, stored_packet


# Return 1 when the packet was not resent too recently or too often, and note that it is now.
cdef bint _allowed(
    outbound_slot *slot, const transport *t, uint16_t seq, int64_t now_us
) noexcept nogil:
    cdef resent_packet *entry = &slot.resent[seq % RESENT_SLOTS]
    cdef uint32_t now_ms = <uint32_t>(now_us // 1000)
    cdef int64_t interval_us = slot.rtt_us if slot.rtt_us else t.rtt_us
    if slot.resend_budget > RESEND_BUDGET_BYTES:
        slot.resend_budget = RESEND_BUDGET_BYTES
    if slot.resend_budget <= 0:
        return False
    if interval_us < RESEND_MIN_INTERVAL_US:
        interval_us = RESEND_MIN_INTERVAL_US
    if entry.used and entry.seq == seq and now_ms - entry.at_ms < 10000:
        if entry.times >= RESEND_MAX_TIMES or now_ms - entry.at_ms < interval_us // 1000:
            return False
        entry.times += 1
    else:
        entry.used = 1
        entry.seq = seq
        entry.times = 1
    entry.at_ms = now_ms
    return True


cdef void resend(
    plane_state *p, outbound_slot *slot, uint16_t seq, int64_t now_us
) noexcept nogil:
    cdef transport *t = &p.transports[slot.transport]
    cdef stored_packet *packet = NULL
    cdef header_plan plan
    cdef int64_t index
    cdef uint32_t length
    cdef uint8_t payload_type
    cdef int how = SEND_RTX
    if not slot.started or not t.has_keys or t.selected < 0:
        count(p, COUNT_NACK_MISSES)
        return
    index = sequence_nearest(slot.highest_index, seq)
    # What was sent before the slot was pointed elsewhere is gone with the stream it came from.
    if index <= slot.highest_index and index - slot.seq_offset >= slot.start_ext_seq:
        packet = store_find(&p.streams[slot.stream].store, index - slot.seq_offset)
    if packet == NULL:
        count(p, COUNT_NACK_MISSES)
        return
    payload_type = t.configuration.rtx_out[packet.codec] if slot.rtx_ssrc else NO_PAYLOAD_TYPE
    if payload_type == NO_PAYLOAD_TYPE:
        how = SEND_AGAIN
        payload_type = t.configuration.payload_out[packet.codec]
        if (
            payload_type == NO_PAYLOAD_TYPE
            or not slot.plain_resend
            or not packet.planned
            or index < slot.resend_floor
        ):
            count(p, COUNT_NACK_MISSES)
            return
    if not _allowed(slot, t, seq, now_us):
        count(p, COUNT_NACK_LIMITED)
        return
    plan_header(&plan, &packet.view, slot.extension_mask)
    plan_address(
        &plan, t.configuration.extensions_out, payload_type,
        how == SEND_AGAIN and packet.padding != 0, abs_send_time_of(ntp_at(p, now_us)),
    )
    length = slot_write(p, slot, t, &plan, packet, how, now_us)
    slot.resend_budget -= length
    if how == SEND_RTX:
        slot.rtx_packets += 1
        count(p, COUNT_RTX_OUT)
    else:
        slot.plain_resends += 1
        count(p, COUNT_RESENT_PLAIN)
    t.packets_out += 1
    t.bytes_out += length
