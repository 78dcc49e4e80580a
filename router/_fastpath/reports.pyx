"""What is said by the clock; the contract is in ``reports.pxd``."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t

from router._fastpath.binding cimport CONSENT_LIFETIME_US, addresses_clear, events_pay
from router._fastpath.counters cimport (
    COUNT_BYE_OUT,
    COUNT_CONSENT_LOST,
    COUNT_NACKS_OUT,
    COUNT_REMB_OUT,
    COUNT_REQUESTED_PACKETS,
    COUNT_RR_OUT,
    COUNT_RTP_GIVEN_UP,
    COUNT_SR_OUT,
    COUNT_TRANSPORT_CC_OUT,
)
from router._fastpath.deadlines cimport NEVER_US, deadlines_set
from router._fastpath.keyframe cimport key_frame_due, key_frame_timer
from router._fastpath.loss cimport LOSS_CAPACITY, loss_due
from router._fastpath.reception cimport reception_report
from router._fastpath.rtcp cimport (
    RTCP_REPORT_BLOCK,
    rtcp_write_bye,
    rtcp_write_nack,
    rtcp_write_remb,
    rtcp_write_rr,
    rtcp_write_sdes,
    rtcp_write_sr,
)
from router._fastpath.rtcp_send cimport (
    rtcp_begin,
    rtcp_begin_reports,
    rtcp_end,
)
from router._fastpath.state cimport (
    OWED_CONSENT_LOST,
    OWED_RETRY_US,
    count,
    inbound_stream,
    next_random,
    ntp_at,
)
from router._fastpath.transport_cc cimport arrival_feedback

cdef enum:
    REPORTERS_MAX = 10              # sender reports in one datagram, each with an SDES chunk
    BLOCKS_MAX = 31                 # RFC 3550 section 6.4.1: RC has five bits
    WITHOUT_SR_US = 3000000
    SR_VALID_S = 3600
    REMB_LEAST_BPS = 3000000
    REMB_FLOOR_BPS = 150000


cdef void transport_rearm(plane_state *p, transport *t) noexcept nogil:
    cdef int64_t at_us = NEVER_US
    cdef int64_t due
    cdef inbound_stream *s
    cdef int32_t index = t.first_stream
    if t.consent:
        at_us = t.checked_at_us + CONSENT_LIFETIME_US
    if t.owed:
        at_us = min(at_us, t.owed_at_us)
    if t.is_nobody or (t.has_keys and t.selected >= 0):
        at_us = min(at_us, t.report_at_us, t.feedback_at_us)
        while index >= 0:
            s = &p.streams[index]
            index = s.next
            due = min(s.losses.next_at_us, key_frame_due(s))
            at_us = min(at_us, due)
    deadlines_set(&p.timers, <uint32_t>(t - p.transports), at_us)


cdef void transport_timer(plane_state *p, transport *t, int64_t now_us) noexcept nogil:
    cdef inbound_stream *s
    cdef int32_t index = t.first_stream
    if t.consent and now_us - t.checked_at_us >= CONSENT_LIFETIME_US:
        t.consent = False
        addresses_clear(p, t)
        count(p, COUNT_CONSENT_LOST)
        _silence_slots(p, t)
        t.owed |= OWED_CONSENT_LOST
    if t.owed:
        events_pay(p, t, now_us)
        t.owed_at_us = now_us + OWED_RETRY_US
    if t.is_nobody or (t.has_keys and t.selected >= 0):
        while index >= 0:
            s = &p.streams[index]
            index = s.next
            if now_us >= s.losses.next_at_us:
                _send_nacks(p, t, s, now_us)
            key_frame_timer(p, s, now_us)
        if now_us >= t.feedback_at_us:
            t.feedback_at_us = NEVER_US
            _send_arrivals(p, t)
        if now_us >= t.report_at_us:
            t.report_at_us = report_tick(
                now_us + REPORT_INTERVAL_US * 3 // 4
                + <int64_t>(next_random(p) % (REPORT_INTERVAL_US // 2))
            )
            _send_sender_reports(p, t, now_us)
            _send_receiver_reports(p, t, now_us)
    transport_rearm(p, t)


# The publishers' numbers run on while the subscriber cannot be reached. When it comes back, its
# slots start anew, with a key frame and behind what they sent last.
cdef void _silence_slots(plane_state *p, transport *t) noexcept nogil:
    cdef int32_t index = t.first_slot
    while index >= 0:
        p.slots[index].started = False
        index = p.slots[index].next


cdef void _send_nacks(
    plane_state *p, transport *t, inbound_stream *s, int64_t now_us
) noexcept nogil:
    cdef uint16_t seqs[LOSS_CAPACITY]
    cdef uint8_t *out
    cdef int length
    cdef uint64_t given_up = s.losses.given_up
    cdef int number = loss_due(&s.losses, seqs, LOSS_CAPACITY, now_us)
    p.counts[COUNT_RTP_GIVEN_UP] += s.losses.given_up - given_up
    if number == 0:
        return
    out = rtcp_begin(p, t, &length)
    length += rtcp_write_nack(out + length, t.local_ssrc, s.ssrc, seqs, number)
    rtcp_end(p, t, out, length)
    s.nacks += 1
    s.requested += <uint64_t>number
    count(p, COUNT_NACKS_OUT)
    p.counts[COUNT_REQUESTED_PACKETS] += <uint64_t>number


cdef void _send_arrivals(plane_state *p, transport *t) noexcept nogil:
    cdef uint8_t *out
    cdef int prefix
    cdef int length
    if t.arrivals == NULL:
        return
    while True:
        out = rtcp_begin(p, t, &prefix)
        length = arrival_feedback(t.arrivals, out + prefix, t.local_ssrc, t.media_ssrc)
        if length == 0:
            return
        rtcp_end(p, t, out, prefix + length)
        count(p, COUNT_TRANSPORT_CC_OUT)


# Store the RTP timestamp that belongs to our time ``now_us``; return 0 when none is known yet.
cdef bint _timestamp_at(
    plane_state *p, const outbound_slot *slot, int64_t now_us, uint32_t *rtp_ts
) noexcept nogil:
    cdef inbound_stream *s = &p.streams[slot.stream]
    cdef int64_t clock_rate = p.codecs[s.codec].clock_rate
    cdef uint64_t ntp_offset
    cdef int64_t elapsed
    if s.sr_known:
        ntp_offset = s.ntp_offset if s.is_copy else p.transports[s.transport].ntp_offset
        elapsed = <int64_t>(ntp_at(p, now_us) - (s.sr_ntp + ntp_offset)) >> 16
        # Reports of one publisher that contradict each other date nothing.
        if -SR_VALID_S << 16 < elapsed < SR_VALID_S << 16:
            rtp_ts[0] = s.sr_rtp_ts + slot.ts_offset + <uint32_t>(elapsed * clock_rate >> 16)
            return True
    if now_us - s.started_at_us < WITHOUT_SR_US:
        return False
    elapsed = (now_us - s.newest_at_us) * clock_rate // 1000000
    rtp_ts[0] = s.newest_rtp_ts + slot.ts_offset + <uint32_t>elapsed
    return True


cdef void _end_sender_reports(
    plane_state *p, transport *t, uint8_t *out, int length, const uint32_t *ssrcs, int number
) noexcept nogil:
    length += rtcp_write_sdes(
        out + length, ssrcs, number, t.configuration.cname, t.configuration.cname_length
    )
    rtcp_end(p, t, out, length)


cdef void _send_sender_reports(plane_state *p, transport *t, int64_t now_us) noexcept nogil:
    cdef uint32_t ssrcs[REPORTERS_MAX]
    cdef outbound_slot *slot
    cdef int32_t index = t.first_slot
    cdef uint32_t rtp_ts = 0
    cdef uint8_t *out = NULL
    cdef int length = 0
    cdef int number = 0
    while index >= 0:
        slot = &p.slots[index]
        index = slot.next
        if not slot.started or slot.packets == slot.packets_at_report:
            continue    # RFC 3550 section 6.4: only who sent since the last report is a sender
        if not _timestamp_at(p, slot, now_us, &rtp_ts):
            continue
        if number == 0:
            out = rtcp_begin_reports(p, t)
            length = 0
        slot.packets_at_report = slot.packets
        length += rtcp_write_sr(
            out + length, slot.ssrc, ntp_at(p, now_us), rtp_ts,
            <uint32_t>slot.packets, <uint32_t>slot.octets,
        )
        ssrcs[number] = slot.ssrc
        number += 1
        count(p, COUNT_SR_OUT)
        if number == REPORTERS_MAX:
            _end_sender_reports(p, t, out, length, ssrcs, number)
            number = 0
    if number:
        _end_sender_reports(p, t, out, length, ssrcs, number)


cdef void _send_receiver_reports(plane_state *p, transport *t, int64_t now_us) noexcept nogil:
    cdef uint32_t ssrcs[BLOCKS_MAX]
    cdef inbound_stream *s
    cdef int32_t index = t.first_stream
    cdef uint32_t last_sr
    cdef uint32_t delay
    cdef uint32_t worst = 0
    cdef uint8_t *out = NULL
    cdef uint8_t *block
    cdef int number = 0
    while index >= 0:
        s = &p.streams[index]
        index = s.next
        if not s.statistics.started:
            continue
        if number == BLOCKS_MAX:
            _end_receiver_report(p, t, out, NULL, number, 0, now_us)
            number = 0
        if number == 0:
            out = rtcp_begin_reports(p, t)
        last_sr = delay = 0
        if s.sr_known:
            last_sr = <uint32_t>(s.sr_ntp >> 16)
            delay = <uint32_t>((now_us - s.sr_at_us) * 65536 // 1000000)
        block = out + 8 + number * RTCP_REPORT_BLOCK
        reception_report(&s.statistics, block, s.ssrc, last_sr, delay)
        if block[4] > worst:
            worst = block[4]
        ssrcs[number] = s.ssrc
        number += 1
    if number:
        _end_receiver_report(p, t, out, ssrcs, number, worst, now_us)


# The last report of a round also carries the estimate: ssrcs are then those that it names.
cdef void _end_receiver_report(
    plane_state *p, transport *t, uint8_t *out, const uint32_t *ssrcs, int number,
    uint32_t worst, int64_t now_us
) noexcept nogil:
    cdef int length = 8 + number * RTCP_REPORT_BLOCK
    rtcp_write_rr(out, t.local_ssrc, number)
    length += rtcp_write_sdes(
        out + length, &t.local_ssrc, 1, t.configuration.cname, t.configuration.cname_length
    )
    if ssrcs != NULL and t.configuration.remb and not t.configuration.transport_cc:
        length += rtcp_write_remb(
            out + length, t.local_ssrc, _estimate(t, worst, now_us), ssrcs, number
        )
        count(p, COUNT_REMB_OUT)
    rtcp_end(p, t, out, length)
    count(p, COUNT_RR_OUT)


# worst: the largest fraction lost of the interval, in 1/256.
cdef uint64_t _estimate(transport *t, uint32_t worst, int64_t now_us) noexcept nogil:
    cdef int64_t elapsed = now_us - t.rate_since_us
    cdef uint64_t estimate
    if elapsed > 0:
        t.rate_bps = t.rate_bytes * 8000000 // <uint64_t>elapsed
    t.rate_bytes = 0
    t.rate_since_us = now_us
    if worst > 25:
        estimate = t.rate_bps * 9 // 10
        return estimate if estimate > REMB_FLOOR_BPS else REMB_FLOOR_BPS
    estimate = 2 * t.rate_bps
    return estimate if estimate > REMB_LEAST_BPS else REMB_LEAST_BPS


cdef void send_bye(plane_state *p, outbound_slot *slot) noexcept nogil:
    cdef transport *t = &p.transports[slot.transport]
    cdef uint8_t *out
    cdef int length
    if not slot.ever_sent:
        return
    out = rtcp_begin_reports(p, t)
    if out == NULL:
        return
    # A compound packet begins with a report, and BYE comes last (RFC 3550 section 6.1).
    length = rtcp_write_rr(out, slot.ssrc, 0)
    length += rtcp_write_sdes(
        out + length, &slot.ssrc, 1, t.configuration.cname, t.configuration.cname_length
    )
    length += rtcp_write_bye(out + length, &slot.ssrc, 1)
    rtcp_end(p, t, out, length)
    count(p, COUNT_BYE_OUT)
