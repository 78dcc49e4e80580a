"""Pools, lists and tables of a plane; the contract is in ``state.pxd``."""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from router._fastpath.counters cimport COUNT_EVENTS_DROPPED, COUNT_EVENTS_LIMITED
from router._fastpath.deadlines cimport NEVER_US, deadlines_free, deadlines_init
from router._fastpath.output cimport output_free, output_init
from router._fastpath.ring cimport ring_capacity, ring_commit, ring_length, ring_reserve
from router._fastpath.srtp cimport srtp_session_clear
from router._fastpath.store cimport store_free
from router._fastpath.table cimport table_free, table_init

cdef enum:
    SSRC_MEMORY_US = 10000000   # an SSRC that was reported is not forgotten for a newer one
    # What Python may have to do for one peer: data channels at some 2 Mbyte/s.
    EVENTS_BURST = 512
    EVENT_INTERVAL_US = 500


cdef int state_init(
    plane_state *p, uint32_t max_transports, uint32_t max_streams, uint32_t max_slots,
    uint64_t seed, ring *commands, ring *events, output_send send, output_implies implies,
    void *context
) noexcept nogil:
    cdef transport *nobody
    p.max_transports = max_transports
    p.max_streams = max_streams
    p.max_slots = max_slots
    p.commands = commands
    p.events = events
    p.random = seed | 1
    p.transports = <transport *>calloc(max_transports + 1, sizeof(transport))
    p.streams = <inbound_stream *>calloc(max_streams, sizeof(inbound_stream))
    p.slots = <outbound_slot *>calloc(max_slots, sizeof(outbound_slot))
    if p.transports == NULL or p.streams == NULL or p.slots == NULL:
        return -1
    if (
        table_init(&p.by_ufrag, 2 * max_transports, next_random(p))
        or table_init(&p.by_address, ADDRESSES_MAX * max_transports, next_random(p))
        or table_init(&p.by_inbound_ssrc, 2 * max_streams, next_random(p))
        or table_init(&p.by_outbound_ssrc, 2 * max_slots, next_random(p))
    ):
        return -1
    if deadlines_init(&p.timers, max_transports + 1):
        return -1
    nobody = &p.transports[max_transports]
    nobody.is_nobody = True
    nobody.selected = nobody.first_stream = nobody.first_slot = -1
    nobody.report_at_us = nobody.feedback_at_us = NEVER_US
    return output_init(&p.out, send, implies, context)


cdef void state_free(plane_state *p) noexcept nogil:
    cdef uint32_t i
    if p.transports != NULL:
        for i in range(p.max_transports):
            keys_free(p.transports[i].keys)
            free(p.transports[i].arrivals)
    if p.streams != NULL:
        for i in range(p.max_streams):
            if p.streams[i].used:
                store_free(&p.streams[i].store)
    free(p.transports)
    free(p.streams)
    free(p.slots)
    p.transports = NULL
    p.streams = NULL
    p.slots = NULL
    table_free(&p.by_ufrag)
    table_free(&p.by_address)
    table_free(&p.by_inbound_ssrc)
    table_free(&p.by_outbound_ssrc)
    deadlines_free(&p.timers)
    output_free(&p.out)


cdef plane_event *event_begin(
    plane_state *p, uint8_t kind, uint32_t id, int64_t now_us
) noexcept nogil:
    cdef plane_event *event = <plane_event *>ring_reserve(p.events)
    if event == NULL:
        count(p, COUNT_EVENTS_DROPPED)
        return NULL
    event.kind = kind
    event.first = 0
    event.length = 0
    event.id = id
    event.at_us = now_us
    return event


cdef plane_event *event_begin_limited(
    plane_state *p, transport *t, uint8_t kind, uint32_t id, int64_t now_us
) noexcept nogil:
    if not bucket_take(&t.events_paid_us, 1, EVENTS_BURST, EVENT_INTERVAL_US, now_us):
        count(p, COUNT_EVENTS_LIMITED)
        return NULL
    if 4 * <uint64_t>ring_length(p.events) >= 3 * <uint64_t>ring_capacity(p.events):
        count(p, COUNT_EVENTS_DROPPED)
        return NULL
    return event_begin(p, kind, id, now_us)


cdef bint event_push(plane_state *p, uint8_t kind, uint32_t id, int64_t now_us) noexcept nogil:
    if event_begin(p, kind, id, now_us) == NULL:
        return False
    ring_commit(p.events)
    return True


cdef void link_stream(plane_state *p, inbound_stream *s, transport *t) noexcept nogil:
    cdef int32_t index = <int32_t>(s - p.streams)
    s.previous = -1
    s.next = t.first_stream
    if s.next >= 0:
        p.streams[s.next].previous = index
    t.first_stream = index
    t.streams += 1
    p.used_streams += 1


cdef void unlink_stream(plane_state *p, inbound_stream *s) noexcept nogil:
    if s.previous >= 0:
        p.streams[s.previous].next = s.next
    else:
        p.transports[s.transport].first_stream = s.next
    if s.next >= 0:
        p.streams[s.next].previous = s.previous
    p.transports[s.transport].streams -= 1
    p.used_streams -= 1


cdef void link_slot(plane_state *p, outbound_slot *slot, transport *t) noexcept nogil:
    cdef int32_t index = <int32_t>(slot - p.slots)
    slot.previous = -1
    slot.next = t.first_slot
    if slot.next >= 0:
        p.slots[slot.next].previous = index
    t.first_slot = index
    t.slots += 1
    p.used_slots += 1


cdef void unlink_slot(plane_state *p, outbound_slot *slot) noexcept nogil:
    if slot.previous >= 0:
        p.slots[slot.previous].next = slot.next
    else:
        p.transports[slot.transport].first_slot = slot.next
    if slot.next >= 0:
        p.slots[slot.next].previous = slot.previous
    p.transports[slot.transport].slots -= 1
    p.used_slots -= 1


cdef void link_bound(plane_state *p, outbound_slot *slot, inbound_stream *s) noexcept nogil:
    cdef int32_t index = <int32_t>(slot - p.slots)
    slot.stream = <int32_t>(s - p.streams)
    slot.previous_bound = -1
    slot.next_bound = s.first_slot
    if slot.next_bound >= 0:
        p.slots[slot.next_bound].previous_bound = index
    s.first_slot = index
    s.slots += 1


cdef void unlink_bound(plane_state *p, outbound_slot *slot) noexcept nogil:
    if slot.stream < 0:
        return
    if slot.previous_bound >= 0:
        p.slots[slot.previous_bound].next_bound = slot.next_bound
    else:
        p.streams[slot.stream].first_slot = slot.next_bound
    if slot.next_bound >= 0:
        p.slots[slot.next_bound].previous_bound = slot.previous_bound
    p.streams[slot.stream].slots -= 1
    slot.stream = -1


cdef known_ssrc *recall_ssrc(
    known_ssrc *known, uint32_t ssrc, bint make, int64_t now_us
) noexcept nogil:
    cdef known_ssrc *oldest = &known[0]
    cdef int i
    for i in range(KNOWN_SSRCS):
        if known[i].used and known[i].ssrc == ssrc:
            return &known[i]
        if not known[i].used:
            if oldest.used:
                oldest = &known[i]
        elif oldest.used and known[i].at_us < oldest.at_us:
            oldest = &known[i]
    if not make or (oldest.used and now_us - oldest.at_us < SSRC_MEMORY_US):
        return NULL
    memset(oldest, 0, sizeof(known_ssrc))
    oldest.used = 1
    oldest.ssrc = ssrc
    oldest.at_us = now_us
    oldest.highest = -1
    return oldest


cdef int retire_ssrc(retired_list *retired, uint32_t ssrc, int64_t index) noexcept nogil:
    cdef retired_ssrc *grown
    cdef uint32_t room
    if retired.count == retired.room:
        room = 2 * retired.room if retired.room else 8
        grown = NULL
        if room <= RETIRED_MAX:
            grown = <retired_ssrc *>realloc(retired.entries, room * sizeof(retired_ssrc))
        if grown == NULL:
            retired.incomplete = True
            return -1
        retired.entries = grown
        retired.room = room
    retired.entries[retired.count].ssrc = ssrc
    retired.entries[retired.count].index = index
    retired.count += 1
    return 0


cdef int64_t retired_index(retired_list *retired, uint32_t ssrc, bint forget) noexcept nogil:
    cdef int64_t index
    cdef uint32_t i
    for i in range(retired.count):
        if retired.entries[i].ssrc == ssrc:
            index = retired.entries[i].index
            if forget:
                retired.count -= 1
                retired.entries[i] = retired.entries[retired.count]
            return index
    return -1


cdef void keys_free(media_keys *keys) noexcept nogil:
    if keys == NULL:
        return
    free(keys.inbound_retired.entries)
    free(keys.outbound_retired.entries)
    srtp_session_clear(&keys.inbound)
    srtp_session_clear(&keys.outbound)
    free(keys)
