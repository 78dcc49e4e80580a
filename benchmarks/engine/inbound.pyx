"""Receiving; the contract is in ``inbound.pxd``."""

from libc.stdint cimport int32_t, uint16_t, uint64_t
from libc.stdlib cimport calloc

from benchmarks.engine.payload cimport payload_check
from benchmarks.engine.state cimport (
    COUNT_BAD_PAYLOAD,
    COUNT_DROPPED,
    COUNT_DUPLICATES,
    COUNT_FAILED_AUTH,
    COUNT_GIVEN_UP,
    COUNT_LOST,
    COUNT_RECEIVED,
    COUNT_RECOVERED,
    COUNT_REORDERED,
    COUNT_UNKNOWN_SSRC,
    LATENCY_BUCKETS,
    LATENCY_STEPS,
    NOBODY,
    RECENT,
    RTX_FLAG,
    next_random,
    stream_of,
    udp_socket,
)
from router._fastpath.deadlines cimport NEVER_US, deadlines_advance
from router._fastpath.loss cimport (
    LOSS_CAPACITY,
    loss_due,
    loss_init,
    loss_list,
    loss_note_arrival,
    loss_note_gap,
)
from router._fastpath.reception cimport reception_note
from router._fastpath.rtcp cimport rtcp_write_nack
from router._fastpath.rtp cimport KIND_TRANSPORT_CC, rtp_parse, rtp_strip_padding, rtp_view
from router._fastpath.sequence cimport (
    SEQUENCE_WINDOW,
    sequence_accept,
    sequence_estimate,
    sequence_is_new,
    sequence_nearest,
    sequence_resume,
    sequence_window,
)
from router._fastpath.srtp cimport srtp_open
from router._fastpath.transport_cc cimport (
    ARRIVAL_LOG_FULL,
    ARRIVAL_LOG_SIZE,
    arrival_log,
    arrival_note,
)
from router._fastpath.wire cimport load16, load32

cdef enum:
    FEEDBACK_US = 100000
    START = 1 << 16             # so that what was overtaken by the first packet has an index
    RTX_HEADER = 2
    VIDEO_CLOCK = 90000
    AUDIO_CLOCK = 48000
    HEADER_BYTES = 96           # more than any header has
    LEAST_HEADER_BYTES = 12
    REPAIR_US = 200000          # in which repairs come, that have to be opened
    DOUBT_US = 2000000          # at first
    MAX_DOUBT_US = 64000000


cdef extern from *:
    """
    #define prefetch(line) __builtin_prefetch(line)
    """
    void prefetch(const char *line) noexcept nogil

cdef enum:
    CACHE_LINE = 64


# What a message's next packet is likely to continue.
cdef struct last_packet:
    uint32_t ssrc
    int32_t stream
    int64_t ext_seq
    uint32_t rtp_ts
    int32_t transport_cc_seq    # -1: it had none


cdef void _note_latency(engine_state *e, int64_t us) noexcept nogil:
    cdef int octave = 0
    cdef int bucket
    if us < 1:
        us = 1
    if us > e.latency_max_us:
        e.latency_max_us = us
    while us >> octave >= 2 * LATENCY_STEPS:
        octave += 1
    # Below LATENCY_STEPS each bucket is a microsecond.
    bucket = octave * LATENCY_STEPS + <int>(us >> octave)
    e.latency[min(bucket, LATENCY_BUCKETS - 1)] += 1


# Open a packet. Returns its payload's length, or -1.
cdef int _open(
    engine_state *e, connection *c, rtp_view *view, int length, int64_t ext_seq
) noexcept nogil:
    length = srtp_open(
        &c.keys[1], view.data, length, view.header_length,
        <uint32_t>(ext_seq >> 16),
    )
    if length < 0 or rtp_strip_padding(view, length) != 0:
        e.counts[COUNT_FAILED_AUTH] += 1
        return -1
    return view.payload_length


cdef void _check(engine_state *e, const uint8_t *payload, int length, int64_t at_us) noexcept nogil:
    cdef int64_t sent_us = 0
    cdef int found = payload_check(payload, length, &sent_us)
    if found < 0:
        e.counts[COUNT_BAD_PAYLOAD] += 1
    elif found > 0 and at_us:
        _note_latency(e, at_us - sent_us)


cdef inline void _read_whole(
    engine_state *e, const connection *c, int64_t until_us
) noexcept nogil:
    cdef udp_socket *sock = &e.sockets[c.socket]
    sock.whole_until_us = max(sock.whole_until_us, until_us)


# Count a stream of which the first packet came.
cdef void _begin(engine_state *e, connection *c, const inbound *s) noexcept nogil:
    cdef udp_socket *sock = &e.sockets[c.socket]
    c.streams += 1
    c.speakers += not s.is_video
    sock.streams = max(sock.streams, c.streams)
    sock.speakers = max(sock.speakers, c.speakers)


# Mark those behind the highest as received: mostly in one word of the window.
cdef inline void _accept_indices(
    sequence_window *window, int64_t first, int64_t count
) noexcept nogil:
    cdef uint64_t position = <uint64_t>first % SEQUENCE_WINDOW
    cdef int64_t index
    if first == window.highest + 1 and count < 64 and (position & 63) + <uint64_t>count <= 64:
        window.seen[position >> 6] |= ((<uint64_t>1 << count) - 1) << (position & 63)
        window.highest += count
        return
    for index in range(first, first + count):
        sequence_accept(window, index)


# Note the arrival of packets that were sent in a row.
cdef inline void _note_arrivals(
    arrival_log *log, uint16_t first, int64_t count, int64_t now_us
) noexcept nogil:
    cdef int64_t i
    if first != <uint16_t>(log.highest + 1) or count >= ARRIVAL_LOG_SIZE:
        for i in range(count):
            arrival_note(log, <uint16_t>(first + i), now_us)
        return
    for i in range(1, count + 1):
        log.at_us[<uint64_t>(log.highest + i) & (ARRIVAL_LOG_SIZE - 1)] = now_us + 1
    log.highest += count
    log.base = max(log.base, log.highest - ARRIVAL_LOG_SIZE + 1)
    log.unreported += <uint32_t>count


# Count packets behind the highest.
cdef void _accept_run(
    engine_state *e, inbound *s, int64_t first, int64_t count, int64_t bytes
) noexcept nogil:
    _accept_indices(&s.window, first, count)
    s.statistics.highest_ext_seq = s.window.highest
    s.statistics.packets += <uint64_t>count
    s.statistics.bytes += <uint64_t>bytes
    s.bytes += <uint64_t>bytes
    e.counts[COUNT_RECEIVED] += <uint64_t>count


cdef void _note_gap(
    engine_state *e, inbound *s, int64_t first, int64_t last, int64_t now_us
) noexcept nogil:
    s.lost += <uint64_t>(last - first + 1)
    e.counts[COUNT_LOST] += <uint64_t>(last - first + 1)
    _read_whole(e, &e.connections[s.connection], now_us + REPAIR_US)
    if not s.is_video:
        return
    if s.losses == NULL:
        s.losses = <loss_list *>calloc(1, sizeof(loss_list))
        if s.losses == NULL:
            return
        loss_init(s.losses)
    if loss_note_gap(s.losses, first, last, now_us) != 0:
        s.key_frame_wanted = True
    deadlines_advance(&e.control, <uint32_t>s.connection, s.losses.next_at_us)


# Count a packet by its extended sequence number; returns whether it is the first copy.
cdef bint _count(
    engine_state *e, inbound *s, int64_t ext_seq, int length, uint32_t rtp_ts, bint repaired,
    int64_t now_us
) noexcept nogil:
    cdef connection *c = &e.connections[s.connection]
    cdef int64_t highest = s.window.highest
    cdef int64_t unseen
    cdef uint32_t clock = VIDEO_CLOCK if s.is_video else AUDIO_CLOCK
    cdef bint asked
    if not sequence_is_new(&s.window, ext_seq):
        s.duplicates += 1
        e.counts[COUNT_DUPLICATES] += 1
        inbound_doubt(e, c, now_us)
        return False
    if not s.window.started:
        s.first_us = now_us
        _begin(e, c, s)
    elif ext_seq > highest + 1:
        if c.unseen and not s.is_video:
            unseen = min(c.unseen, ext_seq - highest - 1)
            c.unseen -= unseen
            _accept_run(e, s, highest + 1, unseen, unseen * length)
            highest += unseen
        if ext_seq > highest + 1:
            _note_gap(e, s, highest + 1, ext_seq - 1, now_us)
    elif ext_seq < highest:
        asked = repaired
        if s.losses != NULL:
            highest = <int64_t>s.losses.recovered
            loss_note_arrival(s.losses, ext_seq, now_us)
            asked = asked or <int64_t>s.losses.recovered != highest
        if ext_seq < s.statistics.base_ext_seq:
            pass                        # older than the first: never counted as lost
        elif asked:
            s.recovered += 1
            e.counts[COUNT_RECOVERED] += 1
        else:
            s.reordered += 1
            e.counts[COUNT_REORDERED] += 1
    sequence_accept(&s.window, ext_seq)
    reception_note(
        &s.statistics, ext_seq, <uint32_t>length, rtp_ts, 0 if repaired else clock, now_us
    )
    s.bytes += <uint64_t>length
    s.last_us = now_us
    e.counts[COUNT_RECEIVED] += 1
    return True


cdef inline int64_t _index(const sequence_window *window, uint16_t seq) noexcept nogil:
    return sequence_estimate(window, seq) if window.started else START + <int64_t>seq


cdef void _receive_rtx(
    engine_state *e, connection *c, inbound *s, rtp_view *view, int length, int seen,
    int64_t now_us
) noexcept nogil:
    cdef int64_t ext_seq = _index(&s.rtx_window, view.seq)
    cdef uint8_t *payload
    cdef int payload_length
    if not sequence_is_new(&s.rtx_window, ext_seq) or length > seen:
        return
    payload_length = _open(e, c, view, length, ext_seq - START)
    if payload_length < 0:
        return
    sequence_accept(&s.rtx_window, ext_seq)
    if payload_length < RTX_HEADER or not s.window.started:
        return      # padding, by which a sender probes
    payload = view.data + view.header_length
    ext_seq = sequence_nearest(s.window.highest, load16(payload))
    if _count(e, s, ext_seq, payload_length - RTX_HEADER, view.rtp_ts, True, now_us) and c.sampled:
        _check(e, payload + RTX_HEADER, payload_length - RTX_HEADER, 0)


cdef void _plan_feedback(engine_state *e, connection *c, int64_t now_us) noexcept nogil:
    if c.feedback_us == NEVER_US:
        c.feedback_us = now_us + FEEDBACK_US
        deadlines_advance(&e.control, <uint32_t>(c - e.connections), c.feedback_us)
    elif c.arrivals.unreported >= ARRIVAL_LOG_FULL:
        c.feedback_us = now_us
        deadlines_advance(&e.control, <uint32_t>(c - e.connections), now_us)


# The same as stream_of; video that came of late is found without looking far.
cdef int32_t _stream_of(engine_state *e, connection *c, uint32_t ssrc) noexcept nogil:
    cdef int32_t stream
    cdef int i
    for i in range(RECENT):
        if c.recent_ssrc[i] == ssrc and ssrc:   # 0 is a free place
            return c.recent_stream[i]
    stream = stream_of(c, ssrc)
    if stream != NOBODY and not stream & RTX_FLAG and e.inbounds[stream].is_video:
        i = <int>(c.recents % RECENT)
        c.recent_ssrc[i] = ssrc
        c.recent_stream[i] = stream
        c.recents += 1
    return stream


cdef inline void _prefetch_stream(const inbound *s) noexcept nogil:
    cdef const char *line = <const char *>s
    while line < <const char *>&s.losses:
        prefetch(line)
        line += CACHE_LINE


cdef void inbound_prefetch(const engine_state *e, const connection *c) noexcept nogil:
    cdef int i
    if c.arrivals != NULL:
        prefetch(<const char *>c.arrivals)
        prefetch(<const char *>&c.arrivals.unreported)
    for i in range(RECENT):
        if c.recent_ssrc[i]:
            _prefetch_stream(&e.inbounds[c.recent_stream[i]])


cdef void inbound_prefetch_each(
    const engine_state *e, const connection *c, const net_message *m
) noexcept nogil:
    cdef uint32_t at = 0
    cdef int32_t stream
    while at + LEAST_HEADER_BYTES <= m.seen:
        stream = stream_of(c, load32(m.data + at + 8))
        if stream != NOBODY:
            _prefetch_stream(&e.inbounds[stream & (RTX_FLAG - 1)])
        at += m.segment


# Take a packet of which ``seen`` bytes are there, at least its header.
cdef void _receive_packet(
    engine_state *e, connection *c, uint8_t *data, int length, int seen, int64_t now_us,
    last_packet *last
) noexcept nogil:
    cdef rtp_view view
    cdef inbound *s
    cdef int payload_length
    last.transport_cc_seq = -1
    if rtp_parse(&view, data, length, c.kinds) != 0:
        e.counts[COUNT_FAILED_AUTH] += 1
        return
    if last.ssrc != view.ssrc:
        last.ssrc = view.ssrc
        last.stream = _stream_of(e, c, view.ssrc)
    if c.arrivals != NULL and view.extension_length[KIND_TRANSPORT_CC] == 2:
        last.transport_cc_seq = load16(data + view.extension_at[KIND_TRANSPORT_CC])
        arrival_note(c.arrivals, <uint16_t>last.transport_cc_seq, now_us)
        c.arrivals_ssrc = view.ssrc
        _plan_feedback(e, c, now_us)
    if last.stream == NOBODY:
        e.counts[COUNT_UNKNOWN_SSRC] += 1
        return
    s = &e.inbounds[last.stream & (RTX_FLAG - 1)]
    if last.stream & RTX_FLAG:
        _receive_rtx(e, c, s, &view, length, seen, now_us)
        return
    last.ext_seq = _index(&s.window, view.seq)
    last.rtp_ts = view.rtp_ts
    if not _count(e, s, last.ext_seq, length, view.rtp_ts, False, now_us):
        return
    if c.sampled and length <= seen:
        payload_length = _open(e, c, &view, length, last.ext_seq - START)
        if payload_length > 0:
            _check(e, data + view.header_length, payload_length, now_us)


# Count the packets of a message behind the last one, which are not there. Those of a video stream
# follow it: what was something else is missing where it belongs, or comes twice here, and so raises
# doubt. Those of several speakers fill the gaps that they leave.
cdef void _infer(
    engine_state *e, connection *c, const net_message *m, uint32_t at, int64_t now_us,
    const last_packet *last
) noexcept nogil:
    cdef inbound *s
    cdef int64_t count = (m.length - at + m.segment - 1) // m.segment
    cdef int64_t i
    if last.transport_cc_seq >= 0:
        _note_arrivals(c.arrivals, <uint16_t>(last.transport_cc_seq + 1), count, now_us)
        _plan_feedback(e, c, now_us)
    if last.stream == NOBODY or last.stream & RTX_FLAG:
        inbound_doubt(e, c, now_us)
        return
    s = &e.inbounds[last.stream]
    if not s.is_video:
        c.unseen += count
        inbound_doubt(e, c, now_us)
    elif s.window.highest == last.ext_seq:
        _accept_run(e, s, last.ext_seq + 1, count, m.length - at)
    else:
        for i in range(1, count + 1):
            _count(e, s, last.ext_seq + i, <int>m.segment, last.rtp_ts, False, now_us)


cdef void inbound_doubt(engine_state *e, connection *c, int64_t now_us) noexcept nogil:
    c.doubt_us = min(2 * c.doubt_us, MAX_DOUBT_US) if c.doubt_us else DOUBT_US
    _read_whole(e, c, now_us + c.doubt_us)


cdef void inbound_receive(
    engine_state *e, connection *c, const net_message *m, int64_t now_us
) noexcept nogil:
    cdef uint32_t at = 0
    cdef uint32_t length
    cdef last_packet last
    last.ssrc = 0
    last.stream = NOBODY
    last.ext_seq = 0
    last.transport_cc_seq = -1
    while at < m.length:
        length = min(m.segment, m.length - at)
        if at + min(length, <uint32_t>HEADER_BYTES) > m.seen:
            _infer(e, c, m, at, now_us, &last)
            return
        if c.drop_share and <uint32_t>(next_random(e) >> 32) < c.drop_share:
            e.counts[COUNT_DROPPED] += 1
        else:
            _receive_packet(e, c, m.data + at, <int>length, <int>(m.seen - at), now_us, &last)
        at += length


cdef void inbound_resume(
    engine_state *e, connection *c, inbound *s, int64_t highest
) noexcept nogil:
    sequence_resume(&s.window, highest)
    s.statistics.started = True
    s.statistics.base_ext_seq = highest + 1
    s.statistics.highest_ext_seq = highest
    _begin(e, c, s)


cdef void inbound_assume(engine_state *e, inbound *s, int64_t count) noexcept nogil:
    _accept_run(e, s, s.window.highest + 1, count, 0)


cdef int inbound_nack(
    engine_state *e, inbound *s, uint32_t sender_ssrc, uint8_t *out, int64_t now_us
) noexcept nogil:
    cdef uint16_t seqs[LOSS_CAPACITY]
    cdef uint64_t given_up
    cdef int count
    if s.losses == NULL or s.losses.next_at_us > now_us:
        return 0
    count = loss_due(s.losses, seqs, LOSS_CAPACITY, now_us)
    given_up = s.losses.given_up - s.given_up_seen
    if given_up:
        s.given_up_seen = s.losses.given_up
        e.counts[COUNT_GIVEN_UP] += given_up
        s.key_frame_wanted = True
    if count == 0:
        return 0
    s.nacks += <uint64_t>count
    return rtcp_write_nack(out, sender_ssrc, s.ssrc, seqs, count)
