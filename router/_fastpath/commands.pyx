"""Commands; the contract is in ``commands.pxd``."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from router._fastpath.binding cimport (
    addresses_clear,
    credentials_add,
    credentials_remove,
    selected_path,
)
from router._fastpath.command cimport (
    COMMAND_ADD_COPY,
    COMMAND_ADD_LINK,
    COMMAND_ADD_SLOT,
    COMMAND_ADD_STREAM,
    COMMAND_ADD_TRANSPORT,
    COMMAND_BIND_SLOT,
    COMMAND_CONFIGURE_TRANSPORT,
    COMMAND_COPY_STREAM,
    COMMAND_DEFINE_CODEC,
    COMMAND_REMOVE_SLOT,
    COMMAND_REMOVE_STREAM,
    COMMAND_REMOVE_TRANSPORT,
    COMMAND_REQUEST_KEY_FRAME,
    COMMAND_RESTART_TRANSPORT,
    COMMAND_SEND_DATAGRAM,
    COMMAND_SET_KEYS,
    COMMAND_SET_STREAM_LOWER,
    COMMAND_SET_STREAM_RTX,
    NO_PAYLOAD_TYPE,
    credentials_command,
    link_command,
    plane_command,
    rtp_endpoint_command,
)
from router._fastpath.counters cimport (
    COUNT_COMMANDS,
    COUNT_COMMANDS_REFUSED,
    COUNT_COMMANDS_STALE,
    COUNT_DTLS_OUT,
    COUNT_DTLS_UNSENT,
)
from router._fastpath.deadlines cimport NEVER_US
from router._fastpath.fanout cimport fanout_run
from router._fastpath.header_plan cimport MASK_MIXED, sending_kinds
from router._fastpath.keyframe cimport (
    key_frame_request,
    key_frames_for_subscriber,
    slots_restart,
)
from router._fastpath.link cimport copies_restart, copy_set
from router._fastpath.loss cimport loss_init
from router._fastpath.output cimport NO_OWNER, output_add, output_flush, output_reserve
from router._fastpath.reports cimport (
    REPORT_INTERVAL_US,
    report_tick,
    send_bye,
    transport_rearm,
)
from router._fastpath.ring cimport ring_peek, ring_pop
from router._fastpath.rtp cimport (
    EXTENSION_KINDS,
    KIND_MID,
    KIND_REPAIRED_RID,
    KIND_RID,
)
from router._fastpath.sequence cimport sequence_resume, sequence_window
from router._fastpath.shedding cimport shedding_forget, shedding_stream_ends
from router._fastpath.skips cimport skips_init
from router._fastpath.srtp cimport srtp_session_init
from router._fastpath.state cimport (
    LINKS_MAX,
    inbound_stream,
    keys_free,
    known_ssrc,
    link_bound,
    link_slot,
    link_stream,
    count,
    media_keys,
    next_random,
    outbound_slot,
    recall_ssrc,
    retire_ssrc,
    retired_index,
    slot_of,
    ssrc_key,
    stream_of,
    transport,
    transport_of,
    unlink_bound,
    unlink_slot,
    unlink_stream,
)
from router._fastpath.store cimport store_clear, store_free, store_init
from router._fastpath.table cimport table_find, table_put, table_remove
from router._fastpath.transport_cc cimport arrival_log

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *p, size_t length)


cdef enum:
    # Some 1.5 s of video at 2.5 Mbit/s, and of audio in small packets.
    VIDEO_STORE_PACKETS = 1024
    VIDEO_STORE_BYTES = 1 << 19
    AUDIO_STORE_PACKETS = 128
    AUDIO_STORE_BYTES = 1 << 15
    RESEND_FIRST_BUDGET = 1 << 16

cdef enum:
    DONE = 0
    STALE = 1
    REFUSED = 2


cdef void commands_run(plane_state *p, int64_t now_us, int limit) noexcept nogil:
    cdef plane_command *command
    cdef int outcome
    cdef int _done
    for _done in range(limit):
        command = <plane_command *>ring_peek(p.commands)
        if command == NULL:
            break
        fanout_run(p, now_us)   # what was gathered belongs to the time before
        outcome = _run(p, command, now_us)
        if command.kind == COMMAND_SET_KEYS:
            explicit_bzero(&command.body.keys, sizeof(command.body.keys))
        ring_pop(p.commands)
        count(p, COUNT_COMMANDS)
        if outcome == STALE:
            count(p, COUNT_COMMANDS_STALE)
        elif outcome == REFUSED:
            count(p, COUNT_COMMANDS_REFUSED)
    output_flush(&p.out)


cdef int _run(plane_state *p, plane_command *command, int64_t now_us) noexcept nogil:
    cdef transport *t
    cdef inbound_stream *s
    if command.kind == COMMAND_DEFINE_CODEC:
        p.codecs[command.body.codec.codec].payload_format = command.body.codec.payload_format
        p.codecs[command.body.codec.codec].clock_rate = command.body.codec.clock_rate
        return DONE
    if command.kind == COMMAND_ADD_TRANSPORT:
        return _add_transport(p, command, now_us)
    if command.kind == COMMAND_ADD_STREAM:
        return _add_stream(p, command, now_us)
    if command.kind == COMMAND_REMOVE_STREAM or command.kind == COMMAND_REQUEST_KEY_FRAME:
        s = stream_of(p, command.id)
        if s == NULL:
            return STALE
        if command.kind == COMMAND_REQUEST_KEY_FRAME:
            key_frame_request(p, s, now_us)
        else:
            _remove_stream(p, s, now_us)
        return DONE
    if command.kind == COMMAND_SET_STREAM_RTX:
        s = stream_of(p, command.id)
        return STALE if s == NULL else _set_rtx(p, s, command.body.endpoint.rtx_ssrc)
    if command.kind == COMMAND_SET_STREAM_LOWER:
        s = stream_of(p, command.id)
        if s == NULL:
            return STALE
        s.lower = command.body.stream_id
        return DONE
    if command.kind == COMMAND_ADD_LINK:
        return _add_link(p, &command.body.link)
    if command.kind == COMMAND_ADD_COPY:
        return _add_copy(p, command)
    if command.kind == COMMAND_COPY_STREAM:
        s = stream_of(p, command.id)
        if s == NULL:
            return STALE
        return REFUSED if copy_set(
            p, s, command.body.copy.link, command.body.copy.stream_id
        ) else DONE
    if command.kind == COMMAND_ADD_SLOT:
        return _add_slot(p, command, now_us)
    if command.kind == COMMAND_BIND_SLOT:
        return _bind_slot(p, command, now_us)
    if command.kind == COMMAND_REMOVE_SLOT:
        if slot_of(p, command.id) == NULL:
            return STALE
        _remove_slot(p, slot_of(p, command.id), now_us)
        return DONE
    t = transport_of(p, command.id)
    if t == NULL:
        return STALE
    if command.kind == COMMAND_RESTART_TRANSPORT:
        credentials_remove(p, t, 1)
        return _set_credentials(p, t, 1, &command.body.credentials)
    if command.kind == COMMAND_SET_KEYS:
        return _set_keys(p, t, command, now_us)
    if command.kind == COMMAND_CONFIGURE_TRANSPORT:
        return _configure(p, t, command, now_us)
    if command.kind == COMMAND_SEND_DATAGRAM:
        return _send_datagram(p, t, command)
    if command.kind == COMMAND_REMOVE_TRANSPORT:
        _remove_transport(p, t, now_us)
        return DONE
    return REFUSED


# Transports


cdef int _set_credentials(
    plane_state *p, transport *t, uint32_t which, const credentials_command *given
) noexcept nogil:
    t.credentials[which].ufrag_length = given.ufrag_length
    t.credentials[which].password_length = given.password_length
    memcpy(t.credentials[which].ufrag, given.ufrag, given.ufrag_length)
    memcpy(t.credentials[which].password, given.password, given.password_length)
    return REFUSED if credentials_add(p, t, which) else DONE


cdef int _add_transport(
    plane_state *p, const plane_command *command, int64_t now_us
) noexcept nogil:
    cdef transport *t = &p.transports[command.id & 0xFFFF]
    if command.id & 0xFFFF >= p.max_transports or t.used:
        return REFUSED
    memset(t, 0, sizeof(transport))
    t.id = command.id
    t.selected = -1
    t.first_stream = t.first_slot = -1
    t.report_at_us = t.feedback_at_us = NEVER_US
    memset(t.configuration.payload_out, NO_PAYLOAD_TYPE, 64)
    memset(t.configuration.rtx_out, NO_PAYLOAD_TYPE, 64)
    t.local_ssrc = <uint32_t>next_random(p)
    t.transport_seq = <uint32_t>next_random(p) & 0x7FFF
    t.rate_since_us = now_us
    if _set_credentials(p, t, 0, &command.body.credentials) != DONE:
        return REFUSED
    t.used = True
    p.used_transports += 1
    p.transports_end = max(p.transports_end, (command.id & 0xFFFF) + 1)
    return DONE


cdef int _set_keys(
    plane_state *p, transport *t, const plane_command *command, int64_t now_us
) noexcept nogil:
    output_flush(&p.out)    # packets that wait to be sealed borrow the keys
    keys_free(t.keys)
    t.has_keys = False
    t.keys = <media_keys *>aligned_alloc(64, (sizeof(media_keys) + 63) & ~<size_t>63)
    if t.keys == NULL:
        return REFUSED
    memset(t.keys, 0, sizeof(media_keys))
    if srtp_session_init(
        &t.keys.inbound, command.body.keys.profile,
        command.body.keys.receive_key, command.body.keys.receive_salt,
    ) or srtp_session_init(
        &t.keys.outbound, command.body.keys.profile,
        command.body.keys.send_key, command.body.keys.send_salt,
    ):
        return REFUSED
    t.has_keys = True
    _forget_indices(p, t, now_us)
    if t.report_at_us == NEVER_US:
        t.report_at_us = report_tick(now_us + <int64_t>(next_random(p) % REPORT_INTERVAL_US))
    transport_rearm(p, t)
    key_frames_for_subscriber(p, t, now_us)
    return DONE


# New keys begin with new roll-over counters, in both directions.
cdef void _forget_indices(plane_state *p, transport *t, int64_t now_us) noexcept nogil:
    cdef inbound_stream *s
    cdef outbound_slot *slot
    cdef int32_t index = t.first_stream
    while index >= 0:
        s = &p.streams[index]
        index = s.next
        s.redundancy.started = False
        if not s.media.started:
            continue
        s.media.started = False
        memset(&s.statistics, 0, sizeof(s.statistics))
        loss_init(&s.losses)
        skips_init(&s.skips)
        store_clear(&s.store)
        copies_restart(s)
        slots_restart(p, s, now_us)
    index = t.first_slot
    while index >= 0:
        slot = &p.slots[index]
        index = slot.next
        slot.started = slot.resumed = False
        slot.highest_index &= 0x3FFF
        slot.rtx_index &= 0x3FFF
        slot.resend_floor = 0


cdef uint32_t _slot_mask(const transport *t, const outbound_slot *slot) noexcept nogil:
    if slot.video and slot.rtx_ssrc == 0:
        return t.extension_mask & ~sending_kinds()      # see resend.pxd
    return t.extension_mask


cdef int _configure(
    plane_state *p, transport *t, const plane_command *command, int64_t now_us
) noexcept nogil:
    cdef outbound_slot *slot
    cdef int32_t index = t.first_slot
    cdef int kind
    cdef bint same_headers = memcmp(
        t.configuration.payload_out, command.body.configuration.payload_out, 64
    ) == 0 and memcmp(
        t.configuration.extensions_out, command.body.configuration.extensions_out, 16
    ) == 0 and (
        t.configuration.extmap_allow_mixed == command.body.configuration.extmap_allow_mixed
    )
    t.configuration = command.body.configuration
    t.extension_mask = MASK_MIXED if t.configuration.extmap_allow_mixed else 0
    for kind in range(1, EXTENSION_KINDS):
        if kind != KIND_MID and kind != KIND_RID and kind != KIND_REPAIRED_RID:
            if 1 <= t.configuration.extensions_out[kind] <= 14:
                t.extension_mask |= <uint32_t>1 << kind
    while index >= 0:
        slot = &p.slots[index]
        index = slot.next
        slot.extension_mask = _slot_mask(t, slot)
        slot.plain_resend = not slot.extension_mask & sending_kinds()
        if not same_headers:
            slot.resend_floor = slot.highest_index + 1
    if not t.configuration.transport_cc:
        free(t.arrivals)
        t.arrivals = NULL
    elif t.arrivals == NULL:
        t.arrivals = <arrival_log *>calloc(1, sizeof(arrival_log))
        if t.arrivals == NULL:
            return REFUSED
    return DONE


cdef int _send_datagram(
    plane_state *p, transport *t, const plane_command *command
) noexcept nogil:
    cdef uint8_t *out
    if t.selected < 0:
        count(p, COUNT_DTLS_UNSENT)
        return DONE
    out = output_reserve(&p.out)
    memcpy(out, command.body.datagram.data, command.body.datagram.length)
    output_add(&p.out, NO_OWNER, selected_path(t), command.body.datagram.length)
    count(p, COUNT_DTLS_OUT)
    return DONE


cdef void _remove_transport(plane_state *p, transport *t, int64_t now_us) noexcept nogil:
    while t.first_stream >= 0:
        _remove_stream(p, &p.streams[t.first_stream], now_us)
    while t.first_slot >= 0:
        _remove_slot(p, &p.slots[t.first_slot], now_us)
    output_flush(&p.out)    # while the keys are there
    addresses_clear(p, t)
    credentials_remove(p, t, 0)
    credentials_remove(p, t, 1)
    t.consent = False
    t.owed = 0
    t.has_keys = False
    keys_free(t.keys)
    free(t.arrivals)
    t.keys = NULL
    t.arrivals = NULL
    t.used = False
    transport_rearm(p, t)
    p.used_transports -= 1


# Streams


# Enter both SSRCs of an endpoint; return 0, or -1 when one of them is in use.
cdef int _enter_ssrcs(
    plane_state *p, bint outbound, uint32_t transport_index, uint32_t ssrc, uint32_t rtx_ssrc,
    uint32_t index
) noexcept nogil:
    cdef uint64_t key = ssrc_key(transport_index, ssrc)
    cdef uint64_t rtx_key = ssrc_key(transport_index, rtx_ssrc)
    if table_find(&p.by_outbound_ssrc if outbound else &p.by_inbound_ssrc, key) != NULL:
        return -1
    if rtx_ssrc and (
        rtx_ssrc == ssrc
        or table_find(&p.by_outbound_ssrc if outbound else &p.by_inbound_ssrc, rtx_key) != NULL
    ):
        return -1
    if table_put(&p.by_outbound_ssrc if outbound else &p.by_inbound_ssrc, key, 2 * index):
        return -1
    if rtx_ssrc:
        return table_put(
            &p.by_outbound_ssrc if outbound else &p.by_inbound_ssrc, rtx_key, 2 * index + 1
        )
    return 0


cdef void _forget_ssrcs(
    plane_state *p, bint outbound, uint32_t transport_index, uint32_t ssrc, uint32_t rtx_ssrc
) noexcept nogil:
    table_remove(
        &p.by_outbound_ssrc if outbound else &p.by_inbound_ssrc, ssrc_key(transport_index, ssrc)
    )
    if rtx_ssrc:
        table_remove(
            &p.by_outbound_ssrc if outbound else &p.by_inbound_ssrc,
            ssrc_key(transport_index, rtx_ssrc),
        )


# Let a window go on where its SSRC was last heard: before it had a stream, or when it had one.
cdef void _resume_window(
    sequence_window *window, media_keys *keys, uint32_t ssrc
) noexcept nogil:
    cdef known_ssrc *unknown
    cdef int64_t highest
    if keys == NULL:
        return
    unknown = recall_ssrc(keys.unknown_ssrcs, ssrc, False, 0)
    highest = retired_index(&keys.inbound_retired, ssrc, True)
    if unknown != NULL:
        unknown.used = 0
        highest = max(highest, unknown.highest)
    if highest >= 0:
        sequence_resume(window, highest)


cdef void _retire_window(
    const sequence_window *window, media_keys *keys, uint32_t ssrc
) noexcept nogil:
    if keys != NULL and window.started:
        retire_ssrc(&keys.inbound_retired, ssrc, window.highest)


# Returns 0, or -1 without memory.
cdef int _init_stream(
    inbound_stream *s, uint32_t id, uint32_t transport_index, bint video
) noexcept nogil:
    memset(s, 0, sizeof(inbound_stream))
    if video:
        if store_init(&s.store, VIDEO_STORE_PACKETS, VIDEO_STORE_BYTES):
            return -1
    elif store_init(&s.store, AUDIO_STORE_PACKETS, AUDIO_STORE_BYTES):
        return -1
    s.used = True
    s.id = id
    s.video = video
    s.transport = transport_index
    s.first_slot = -1
    s.pli_sent_at_us = -1
    loss_init(&s.losses)
    skips_init(&s.skips)
    return 0


cdef int _add_stream(
    plane_state *p, const plane_command *command, int64_t now_us
) noexcept nogil:
    cdef const rtp_endpoint_command *given = &command.body.endpoint
    cdef transport *t = transport_of(p, given.transport_id)
    cdef inbound_stream *s = &p.streams[command.id & 0xFFFF]
    cdef uint32_t transport_index
    if t == NULL:
        return STALE
    if command.id & 0xFFFF >= p.max_streams or s.used or command.id == 0:
        return REFUSED
    transport_index = <uint32_t>(t - p.transports)
    if _init_stream(s, command.id, transport_index, given.video):
        return REFUSED
    if _enter_ssrcs(
        p, False, transport_index, given.ssrc, given.rtx_ssrc, command.id & 0xFFFF
    ):
        s.used = False
        store_free(&s.store)
        return REFUSED
    s.ssrc = given.ssrc
    s.rtx_ssrc = given.rtx_ssrc
    _resume_window(&s.media, t.keys, s.ssrc)
    if s.rtx_ssrc:
        _resume_window(&s.redundancy, t.keys, s.rtx_ssrc)
    link_stream(p, s, t)
    return DONE


cdef int _add_link(plane_state *p, const link_command *given) noexcept nogil:
    if p.link_count == LINKS_MAX:
        return REFUSED
    p.links[p.link_count].incoming = given.incoming
    p.links[p.link_count].outgoing = given.outgoing
    p.links[p.link_count].bell = given.bell
    p.links[p.link_count].unrung = False
    p.link_count += 1
    return DONE


cdef int _add_copy(plane_state *p, const plane_command *command) noexcept nogil:
    cdef inbound_stream *s = &p.streams[command.id & 0xFFFF]
    cdef bint video = command.body.copy.video
    if command.id & 0xFFFF >= p.max_streams or s.used or command.body.copy.link >= p.link_count:
        return REFUSED
    if _init_stream(s, command.id, p.max_transports, video):
        return REFUSED
    s.is_copy = True
    s.link = command.body.copy.link
    s.origin = command.body.copy.stream_id
    link_stream(p, s, &p.transports[p.max_transports])
    return DONE


cdef int _set_rtx(plane_state *p, inbound_stream *s, uint32_t rtx_ssrc) noexcept nogil:
    cdef transport *t = &p.transports[s.transport]
    if rtx_ssrc and table_find(&p.by_inbound_ssrc, ssrc_key(s.transport, rtx_ssrc)) != NULL:
        return DONE if rtx_ssrc == s.rtx_ssrc else REFUSED
    if s.rtx_ssrc:
        table_remove(&p.by_inbound_ssrc, ssrc_key(s.transport, s.rtx_ssrc))
        _retire_window(&s.redundancy, t.keys, s.rtx_ssrc)
    memset(&s.redundancy, 0, sizeof(s.redundancy))
    s.rtx_ssrc = rtx_ssrc
    if rtx_ssrc == 0:
        return DONE
    _resume_window(&s.redundancy, t.keys, rtx_ssrc)
    return DONE if table_put(
        &p.by_inbound_ssrc, ssrc_key(s.transport, rtx_ssrc),
        2 * <uint32_t>(s - p.streams) + 1,
    ) == 0 else REFUSED


cdef void _remove_stream(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil:
    cdef transport *t = &p.transports[s.transport]
    cdef outbound_slot *slot
    shedding_stream_ends(p, s, now_us)
    while s.first_slot >= 0:
        slot = &p.slots[s.first_slot]
        shedding_forget(p, slot)
        unlink_bound(p, slot)
        slot.started = False
    output_flush(&p.out)    # packets that wait to be sealed borrow the store's bytes
    if not s.is_copy:
        _forget_ssrcs(p, False, s.transport, s.ssrc, s.rtx_ssrc)
        # If it is added again, its roll-over counters go on.
        _retire_window(&s.media, t.keys, s.ssrc)
        _retire_window(&s.redundancy, t.keys, s.rtx_ssrc)
    unlink_stream(p, s)
    store_free(&s.store)
    s.used = False
    transport_rearm(p, t)


# Slots


# Where an outbound SSRC starts: low, because a receiver assumes roll-over counter 0 (RFC 3711
# section 3.3.1), or behind all that it sent before, because no index may be used twice.
cdef int64_t _first_index(
    plane_state *p, transport *t, outbound_slot *slot, uint32_t ssrc
) noexcept nogil:
    cdef int64_t index = -1
    if t.keys != NULL:
        index = retired_index(&t.keys.outbound_retired, ssrc, True)
    if index >= 0:
        slot.resumed = True
        return index
    return 1 + <int64_t>(next_random(p) & 0x3FFF)


# Return 1 when nobody can tell any more whether the SSRC was used under these keys.
cdef inline bint _is_doubtful(const transport *t, uint32_t ssrc) noexcept nogil:
    return (
        t.keys != NULL
        and t.keys.outbound_retired.incomplete
        and retired_index(&t.keys.outbound_retired, ssrc, False) < 0
    )


cdef int _add_slot(
    plane_state *p, const plane_command *command, int64_t now_us
) noexcept nogil:
    cdef const rtp_endpoint_command *given = &command.body.endpoint
    cdef transport *t = transport_of(p, given.transport_id)
    cdef outbound_slot *slot = &p.slots[command.id & 0xFFFF]
    cdef uint32_t transport_index
    if t == NULL:
        return STALE
    if command.id & 0xFFFF >= p.max_slots or slot.used:
        return REFUSED
    if _is_doubtful(t, given.ssrc) or (given.rtx_ssrc and _is_doubtful(t, given.rtx_ssrc)):
        return REFUSED
    transport_index = <uint32_t>(t - p.transports)
    if _enter_ssrcs(
        p, True, transport_index, given.ssrc, given.rtx_ssrc, command.id & 0xFFFF
    ):
        return REFUSED
    memset(slot, 0, sizeof(outbound_slot))
    slot.used = True
    slot.id = command.id
    slot.video = given.video
    slot.transport = transport_index
    slot.stream = -1
    slot.ssrc = given.ssrc
    slot.rtx_ssrc = given.rtx_ssrc
    slot.extension_mask = _slot_mask(t, slot)
    slot.plain_resend = not slot.extension_mask & sending_kinds()
    slot.highest_index = _first_index(p, t, slot, slot.ssrc) - 1
    slot.rtx_index = _first_index(p, t, slot, slot.rtx_ssrc) if slot.rtx_ssrc else 0
    slot.resend_budget = RESEND_FIRST_BUDGET
    link_slot(p, slot, t)
    return DONE


cdef int _bind_slot(
    plane_state *p, const plane_command *command, int64_t now_us
) noexcept nogil:
    cdef outbound_slot *slot = slot_of(p, command.id)
    cdef inbound_stream *s = NULL
    if slot == NULL:
        return STALE
    if command.body.stream_id:
        s = stream_of(p, command.body.stream_id)
    shedding_forget(p, slot)
    unlink_bound(p, slot)
    slot.started = slot.announced = False
    if command.body.stream_id == 0:
        return DONE
    if s == NULL:
        return STALE
    link_bound(p, slot, s)
    key_frame_request(p, s, now_us)
    return DONE


cdef void _remove_slot(plane_state *p, outbound_slot *slot, int64_t now_us) noexcept nogil:
    cdef transport *t = &p.transports[slot.transport]
    send_bye(p, slot)
    shedding_forget(p, slot)
    unlink_bound(p, slot)
    _forget_ssrcs(p, True, slot.transport, slot.ssrc, slot.rtx_ssrc)
    if t.keys != NULL and (slot.ever_sent or slot.resumed):
        retire_ssrc(&t.keys.outbound_retired, slot.ssrc, slot.highest_index + 1)
        if slot.rtx_ssrc:
            retire_ssrc(&t.keys.outbound_retired, slot.rtx_ssrc, slot.rtx_index)
    unlink_slot(p, slot)
    slot.used = False
