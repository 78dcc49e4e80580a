"""Inbound RTP; the contract is in ``inbound.pxd``."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memmove

from router._fastpath.counters cimport (
    COUNT_KEY_FRAMES,
    COUNT_MALFORMED,
    COUNT_RTP_BYTES_IN,
    COUNT_RTP_DUPLICATE,
    COUNT_RTP_GIVEN_UP,
    COUNT_RTP_IN,
    COUNT_RTP_PADDING_ONLY,
    COUNT_RTP_RECOVERED,
    COUNT_RTP_UNKNOWN_PAYLOAD,
    COUNT_RTP_UNKNOWN_SSRC,
    COUNT_RTP_UNREPORTED_SSRC,
    COUNT_SRTP_REPLAYED,
    COUNT_SRTP_UNAUTHENTICATED,
)
from router._fastpath.deadlines cimport deadlines_advance
from router._fastpath.event cimport (
    EVENT_ID_MAX,
    EVENT_KIND_SSRC,
    EVENT_KIND_STREAM_STARTED,
    plane_event,
)
from router._fastpath.fanout cimport fanout_add
from router._fastpath.keyframe cimport key_frame_arrived, key_frame_request
from router._fastpath.link cimport copies_send
from router._fastpath.loss cimport loss_note_arrival, loss_note_gap
from router._fastpath.payload cimport payload_parse, payload_view
from router._fastpath.reception cimport reception_note
from router._fastpath.ring cimport ring_commit
from router._fastpath.rtp cimport (
    KIND_MID,
    KIND_REPAIRED_RID,
    KIND_RID,
    KIND_TRANSPORT_CC,
    rtp_parse,
    rtp_strip_padding,
    rtp_view,
)
from router._fastpath.sequence cimport (
    sequence_accept,
    sequence_estimate,
    sequence_is_new,
    sequence_nearest,
    sequence_resume,
    sequence_window,
)
from router._fastpath.skips cimport skips_advance, skips_contain, skips_number
from router._fastpath.srtp cimport SRTP_MAX_PAYLOAD, srtp_open, srtp_open_tagged
from router._fastpath.state cimport (
    count,
    event_begin,
    event_push,
    known_ssrc,
    recall_ssrc,
    retired_index,
    ssrc_key,
)
from router._fastpath.store cimport store_put, stored_packet
from router._fastpath.table cimport table_find
from router._fastpath.transport_cc cimport ARRIVAL_LOG_FULL, arrival_note
from router._fastpath.wire cimport load16

cdef enum:
    PAYLOAD_FLAG_RTX = 0x80
    CODEC_MASK = 0x3F
    FEEDBACK_INTERVAL_US = 50000


# Open the packet in place. A packet that is the first of its SSRC may come from behind one
# roll-over, when those before it were dropped, so the next counter is tried too. Returns the
# length without the tag and stores the index, or returns a value below 0 (counted).
cdef int _open(
    plane_state *p, transport *t, const rtp_view *view, const sequence_window *window,
    int length, const tag_ahead *ahead, int64_t *index
) noexcept nogil:
    cdef int opened
    index[0] = sequence_estimate(window, view.seq)
    if not sequence_is_new(window, index[0]):
        count(p, COUNT_SRTP_REPLAYED)
        return -1
    if ahead.session == &t.keys.inbound and ahead.roc == <uint32_t>(index[0] >> 16):
        opened = srtp_open_tagged(
            &t.keys.inbound, view.data, length, view.header_length, ahead.roc, ahead.tag
        )
    else:
        opened = srtp_open(
            &t.keys.inbound, view.data, length, view.header_length, <uint32_t>(index[0] >> 16)
        )
    if opened < 0 and not window.started:
        index[0] += 65536
        opened = srtp_open(&t.keys.inbound, view.data, length, view.header_length, 1)
    if opened < 0:
        count(p, COUNT_SRTP_UNAUTHENTICATED)
    return opened


cdef void inbound_receive(
    plane_state *p, transport *t, uint32_t which, const datagram *d, const tag_ahead *ahead,
    int64_t now_us
) noexcept nogil:
    cdef rtp_view view
    cdef sequence_window remembered
    cdef sequence_window *window
    cdef inbound_stream *s = NULL
    cdef known_ssrc *known = NULL
    cdef uint32_t *found
    cdef int64_t index
    cdef int64_t highest
    cdef int length
    cdef bint is_rtx = False
    if d.length > SRTP_MAX_PAYLOAD or rtp_parse(
        &view, d.data, <int>d.length, t.configuration.extensions_in
    ):
        count(p, COUNT_MALFORMED)
        return
    found = table_find(&p.by_inbound_ssrc, ssrc_key(<uint32_t>(t - p.transports), view.ssrc))
    if found != NULL:
        s = &p.streams[found[0] // 2]
        is_rtx = found[0] & 1
        window = &s.redundancy if is_rtx else &s.media
    else:
        # No window is kept, only the counter: what comes here is reported, never forwarded.
        known = recall_ssrc(t.keys.unknown_ssrcs, view.ssrc, False, now_us)
        index = known.highest if known != NULL else retired_index(
            &t.keys.inbound_retired, view.ssrc, False
        )
        remembered.started = False
        if index >= 0:
            sequence_resume(&remembered, index)
        window = &remembered
    length = _open(p, t, &view, window, <int>d.length, ahead, &index)
    if length < 0:
        return
    t.authenticated_at_us = t.addresses[which].authenticated_at_us = now_us
    t.packets_in += 1
    t.bytes_in += d.length
    t.rate_bytes += d.length
    p.counts[COUNT_RTP_IN] += 1
    p.counts[COUNT_RTP_BYTES_IN] += d.length
    if rtp_strip_padding(&view, length):
        count(p, COUNT_MALFORMED)
        return
    _note_transport_seq(p, t, &view, now_us)
    if s == NULL:
        _report_unknown(p, t, &view, index, now_us)
        return
    highest = window.highest if window.started else index - 1
    sequence_accept(window, index)
    if not is_rtx:
        _take(p, t, s, &view, index, highest, False, now_us)
    elif _unwrap_rtx(p, s, &view, &index):
        highest = s.media.highest
        sequence_accept(&s.media, index)
        _take(p, t, s, &view, index, highest, True, now_us)


cdef void _note_transport_seq(
    plane_state *p, transport *t, const rtp_view *view, int64_t now_us
) noexcept nogil:
    if t.arrivals == NULL or view.extension_length[KIND_TRANSPORT_CC] != 2:
        return
    arrival_note(t.arrivals, load16(view.data + view.extension_at[KIND_TRANSPORT_CC]), now_us)
    t.media_ssrc = view.ssrc
    if t.arrivals.unreported >= ARRIVAL_LOG_FULL:
        t.feedback_at_us = now_us
    elif t.feedback_at_us > now_us + FEEDBACK_INTERVAL_US:
        t.feedback_at_us = now_us + FEEDBACK_INTERVAL_US
    deadlines_advance(&p.timers, <uint32_t>(t - p.transports), t.feedback_at_us)


cdef inline uint8_t _copy_id(uint8_t *out, const rtp_view *view, int kind) noexcept nogil:
    cdef uint8_t length = view.extension_length[kind]
    if view.extension_at[kind] == 0 or length > EVENT_ID_MAX:
        return 0
    memcpy(out, view.data + view.extension_at[kind], length)
    return length


cdef void _report_unknown(
    plane_state *p, transport *t, const rtp_view *view, int64_t index, int64_t now_us
) noexcept nogil:
    cdef known_ssrc *known = recall_ssrc(t.keys.unknown_ssrcs, view.ssrc, True, now_us)
    cdef bint identified = view.extension_at[KIND_MID] or view.extension_at[KIND_RID] or (
        view.extension_at[KIND_REPAIRED_RID]
    )
    cdef plane_event *event
    count(p, COUNT_RTP_UNKNOWN_SSRC)
    if known == NULL:
        count(p, COUNT_RTP_UNREPORTED_SSRC)
        return
    if index > known.highest:
        known.highest = index
    if known.reported and (known.identified or not identified):
        return
    event = event_begin(p, EVENT_KIND_SSRC, t.id, now_us)
    if event == NULL:
        return      # told with the next packet
    known.reported = 1
    known.identified = identified
    event.body.report.ssrc = view.ssrc
    event.body.report.payload_type = view.payload_type
    event.body.report.mid_length = _copy_id(event.body.report.mid, view, KIND_MID)
    event.body.report.rid_length = _copy_id(event.body.report.rid, view, KIND_RID)
    event.body.report.repaired_rid_length = _copy_id(
        event.body.report.repaired_rid, view, KIND_REPAIRED_RID
    )
    ring_commit(p.events)


# Make the original packet of an RTX packet (RFC 4588 section 4). Returns 1 and stores its index,
# or 0 when it is padding, old or known.
cdef bint _unwrap_rtx(
    plane_state *p, inbound_stream *s, rtp_view *view, int64_t *index
) noexcept nogil:
    cdef uint16_t original
    if view.payload_length < 2:
        count(p, COUNT_RTP_PADDING_ONLY)
        return False
    if not s.media.started:
        count(p, COUNT_RTP_DUPLICATE)
        return False
    original = load16(view.data + view.header_length)
    index[0] = sequence_nearest(s.media.highest, original)
    if not sequence_is_new(&s.media, index[0]):
        s.duplicates += 1
        count(p, COUNT_RTP_DUPLICATE)
        return False
    # The header moves up to the payload, over the original sequence number.
    memmove(view.data + 2, view.data, view.header_length)
    view.data += 2
    view.payload_length -= 2
    view.seq = original
    view.ssrc = s.ssrc
    return True


# Look for packets that did not come between the highest one and this one.
cdef void _note_gap(
    plane_state *p, transport *t, inbound_stream *s, int64_t ext_seq, int64_t highest,
    int64_t now_us
) noexcept nogil:
    cdef uint64_t given_up = s.losses.given_up
    cdef int restarted
    if not s.video or ext_seq <= highest + 1:
        return
    restarted = loss_note_gap(&s.losses, highest + 1, ext_seq - 1, now_us)
    p.counts[COUNT_RTP_GIVEN_UP] += s.losses.given_up - given_up
    if restarted:
        if s.slots or s.copy_count:
            key_frame_request(p, s, now_us)
    deadlines_advance(&p.timers, s.transport, s.losses.next_at_us)


cdef void _take(
    plane_state *p, transport *t, inbound_stream *s, const rtp_view *view, int64_t ext_seq,
    int64_t highest, bint recovered, int64_t now_us
) noexcept nogil:
    cdef uint8_t entry = t.configuration.payload_in[view.payload_type]
    cdef uint8_t codec = entry & CODEC_MASK
    cdef uint32_t clock_rate = p.codecs[codec].clock_rate
    cdef payload_view payload
    cdef stored_packet *packet
    if ext_seq > highest:
        if not skips_advance(
            &s.skips, ext_seq, view.rtp_ts, view.payload_length == 0, view.marker
        ):
            _note_gap(p, t, s, ext_seq, highest, now_us)
    else:
        loss_note_arrival(&s.losses, ext_seq, now_us)
    if recovered:
        # Also one that was given up, or that a probing sender sent before its loss showed.
        s.recovered += 1
        count(p, COUNT_RTP_RECOVERED)
    if codec == 0 or clock_rate == 0 or (entry & PAYLOAD_FLAG_RTX and not recovered):
        count(p, COUNT_RTP_UNKNOWN_PAYLOAD)
        return
    reception_note(
        &s.statistics, ext_seq, <uint32_t>view.header_length + view.payload_length, view.rtp_ts,
        0 if recovered else clock_rate, now_us,
    )
    if skips_contain(&s.skips, ext_seq):
        count(p, COUNT_RTP_PADDING_ONLY)
        return
    if payload_parse(
        &payload, p.codecs[codec].payload_format, view.data + view.header_length,
        view.payload_length,
    ):
        count(p, COUNT_MALFORMED)
        return
    if not s.started:
        s.started = True
        s.started_at_us = now_us
    if not s.announced:
        s.announced = event_push(p, EVENT_KIND_STREAM_STARTED, s.id, now_us)
    if ext_seq > highest or s.newest_at_us == 0:
        s.newest_at_us = now_us
        s.newest_rtp_ts = view.rtp_ts
        s.codec = codec
    if payload.key_frame:
        s.key_frames += 1
        count(p, COUNT_KEY_FRAMES)
        key_frame_arrived(s)
    packet = store_put(&s.store, skips_number(&s.skips, ext_seq), view)
    packet.payload = payload
    packet.codec = codec
    if s.copy_count:
        copies_send(p, s, packet)
    if s.slots:
        fanout_add(p, s, packet, now_us)
    elif s.copy_count:
        p.prompt_at_us = now_us
