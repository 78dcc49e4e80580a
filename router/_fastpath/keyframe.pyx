"""Key frame requests; the contract is in ``keyframe.pxd``."""

from libc.stdint cimport int32_t, uint8_t

from router._fastpath.counters cimport COUNT_PLI_OUT
from router._fastpath.deadlines cimport NEVER_US, deadlines_advance
from router._fastpath.link cimport copy_ask_key_frame
from router._fastpath.payload cimport payload_shows_key_frames
from router._fastpath.rtcp cimport rtcp_write_pli
from router._fastpath.rtcp_send cimport rtcp_begin, rtcp_end
from router._fastpath.state cimport SHED_OFF, count, outbound_slot, transport


cdef int64_t key_frame_due(const inbound_stream *s) noexcept nogil:
    if not s.key_frame_wanted:
        return NEVER_US
    if s.pli_sent_at_us < 0:
        return 0
    if s.pli_repeats < PLI_QUICK_REPEATS:
        return s.pli_sent_at_us + (COPY_INTERVAL_US if s.is_copy else PLI_INTERVAL_US)
    return s.pli_sent_at_us + PLI_SLOW_INTERVAL_US


cdef void key_frame_request(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil:
    if not s.video:
        return
    s.key_frame_wanted = True
    s.pli_repeats = 0
    key_frame_timer(p, s, now_us)
    deadlines_advance(&p.timers, s.transport, key_frame_due(s))


cdef void key_frames_for_subscriber(
    plane_state *p, transport *t, int64_t now_us
) noexcept nogil:
    cdef outbound_slot *slot
    cdef int32_t at = t.first_slot
    if not t.has_keys or t.selected < 0:
        return
    while at >= 0:
        slot = &p.slots[at]
        at = slot.next
        if slot.stream >= 0 and not slot.started and slot.shed != SHED_OFF:
            key_frame_request(p, &p.streams[slot.stream], now_us)


cdef void slots_restart(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil:
    cdef int32_t index = s.first_slot
    s.sr_known = False
    while index >= 0:
        p.slots[index].started = False
        index = p.slots[index].next_bound
    if s.slots or s.copy_count:
        key_frame_request(p, s, now_us)


cdef void key_frame_timer(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil:
    if now_us < key_frame_due(s):
        return
    if s.slots == 0 and s.copy_count == 0 and s.pli_repeats:
        s.key_frame_wanted = False  # nobody waits any more
        return
    s.pli_sent_at_us = now_us
    s.pli_repeats += 1
    if s.is_copy:
        copy_ask_key_frame(p, s)
    elif not _send_pli(p, s):
        return
    if s.codec and not payload_shows_key_frames(p.codecs[s.codec].payload_format):
        s.key_frame_wanted = False  # nobody could tell when it has come


cdef bint _send_pli(plane_state *p, inbound_stream *s) noexcept nogil:
    cdef transport *t = &p.transports[s.transport]
    cdef uint8_t *out
    cdef int length = 0
    out = rtcp_begin(p, t, &length)
    if out == NULL:
        return False
    length += rtcp_write_pli(out + length, t.local_ssrc, s.ssrc)
    rtcp_end(p, t, out, length)
    s.plis += 1
    count(p, COUNT_PLI_OUT)
    return True
