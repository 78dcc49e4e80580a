"""Shedding; the contract is in ``shedding.pxd``."""

from libc.stdint cimport int32_t, uint8_t

from router._fastpath.counters cimport COUNT_OVERLOADS, COUNT_SLOTS_SHED
from router._fastpath.event cimport EVENT_KIND_SHED
from router._fastpath.keyframe cimport key_frame_request
from router._fastpath.state cimport (
    SHED_LOWERED,
    SHED_NOT,
    SHED_OFF,
    count,
    event_push,
    inbound_stream,
    link_bound,
    stream_of,
    transport,
    unlink_bound,
)

cdef enum:
    SMOOTHING_US = 320000       # over which the load is smoothed
    BUSY_PERMILLE = 900         # less is no overload, whatever the kernel dropped
    FREE_PERMILLE = 800         # above, nothing is restored
    FILLED_PERMILLE = 850       # what restoring may lead to
    PATIENT_WINDOWS = 2         # without an empty socket
    SHED_PART = 8               # of the running video slots, in one window
    RESTORE_PART = 8            # of the slots that are shed: comes back at least, at a time
    RESTORE_US = 1000000        # without overload, before slots are restored
    RESTORE_MAX_US = 32000000
    TOO_EARLY_US = 5000000      # overload so soon after slots were restored was their fault


cdef inline bint _runs(const outbound_slot *slot) noexcept nogil:
    return slot.video and slot.stream >= 0 and slot.started and slot.shed != SHED_OFF


cdef void _set(plane_state *p, outbound_slot *slot, uint8_t shed) noexcept nogil:
    if shed and not slot.shed:
        p.shed_slots += 1
        count(p, COUNT_SLOTS_SHED)
    elif slot.shed and not shed:
        p.shed_slots -= 1
    slot.shed = shed
    slot.started = False


# Point the slot at another rendition, for a while.
cdef void _repoint(plane_state *p, outbound_slot *slot, inbound_stream *s) noexcept nogil:
    unlink_bound(p, slot)
    link_bound(p, slot, s)


cdef void shedding_forget(plane_state *p, outbound_slot *slot) noexcept nogil:
    if slot.shed:
        _set(p, slot, SHED_NOT)


# The next lower rendition that is sent, or NULL.
cdef inbound_stream *_lower(plane_state *p, const inbound_stream *s) noexcept nogil:
    cdef inbound_stream *lower = stream_of(p, s.lower) if s.lower else NULL
    return lower if lower != NULL and lower.started else NULL


# Count what runs, for each subscriber too. Stores the most that one has.
cdef uint32_t _count(plane_state *p, uint32_t *most) noexcept nogil:
    cdef transport *t
    cdef uint32_t total = 0
    cdef uint32_t i
    cdef int32_t at
    most[0] = 0
    for i in range(p.transports_end):
        t = &p.transports[i]
        t.running = 0
        at = t.first_slot if t.used else -1
        while at >= 0:
            t.running += _runs(&p.slots[at])
            at = p.slots[at].next
        total += t.running
        if t.running > most[0]:
            most[0] = t.running
    return total


# Take the subscriber's newest slot that runs, or that runs and can be lowered; return how many.
cdef uint32_t _shed_one(
    plane_state *p, transport *t, bint lowering, int64_t now_us
) noexcept nogil:
    cdef outbound_slot *slot
    cdef inbound_stream *lower
    cdef int32_t at = t.first_slot
    while at >= 0:
        slot = &p.slots[at]
        at = slot.next
        if not _runs(slot):
            continue
        lower = _lower(p, &p.streams[slot.stream])
        if lowering and lower == NULL:
            continue
        if not slot.shed:
            slot.shed_from = p.streams[slot.stream].id
        _set(p, slot, SHED_LOWERED if lowering else SHED_OFF)
        if lowering:
            _repoint(p, slot, lower)
            key_frame_request(p, lower, now_us)
        t.running -= 1
        return 1
    return 0


cdef void _shed(plane_state *p, int64_t now_us) noexcept nogil:
    cdef transport *t
    cdef uint32_t most
    cdef uint32_t wanted = _count(p, &most) // SHED_PART
    cdef uint32_t _turn
    cdef bint lowering = True
    if most == 0:
        return
    wanted = max(wanted, 1)
    while wanted and (lowering or most):
        for _turn in range(p.transports_end):
            t = &p.transports[p.shed_next % p.transports_end]
            p.shed_next += 1
            if t.used and t.running >= (1 if lowering else most):
                wanted -= _shed_one(p, t, lowering, now_us)
                if wanted == 0:
                    break
        if lowering:
            lowering = False    # one step of each subscriber at a time
        else:
            most -= 1


# The subscriber's slot that is to be restored first, or NULL.
cdef outbound_slot *_shed_slot(plane_state *p, const transport *t) noexcept nogil:
    cdef outbound_slot *found = NULL
    cdef int32_t at = t.first_slot
    while at >= 0:
        if p.slots[at].shed == SHED_OFF:
            return &p.slots[at]
        if p.slots[at].shed:
            found = &p.slots[at]
        at = p.slots[at].next
    return found


cdef void _put_back(plane_state *p, outbound_slot *slot, int64_t now_us) noexcept nogil:
    cdef inbound_stream *s = stream_of(p, slot.shed_from)
    _set(p, slot, SHED_NOT)
    if s != NULL and <int32_t>(s - p.streams) != slot.stream:
        _repoint(p, slot, s)
    key_frame_request(p, &p.streams[slot.stream], now_us)


cdef void shedding_stream_ends(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil:
    cdef int32_t at = s.first_slot
    cdef outbound_slot *slot
    while at >= 0:
        slot = &p.slots[at]
        at = slot.next_bound
        if slot.shed and slot.shed_from != s.id and stream_of(p, slot.shed_from) != NULL:
            _put_back(p, slot, now_us)


# Give slots back to those who have least.
cdef void _restore(plane_state *p, uint32_t wanted, int64_t now_us) noexcept nogil:
    cdef transport *t
    cdef outbound_slot *slot
    cdef uint32_t most
    cdef uint32_t least = 0
    cdef uint32_t _turn
    _count(p, &most)
    while wanted and p.shed_slots and least <= most + 1:
        for _turn in range(p.transports_end):
            t = &p.transports[p.shed_next % p.transports_end]
            p.shed_next += 1
            if not t.used or t.running > least:
                continue
            slot = _shed_slot(p, t)
            if slot == NULL:
                continue
            _put_back(p, slot, now_us)
            t.running += 1
            wanted -= 1
            if wanted == 0:
                break
        least += 1


cdef bint _overloaded(plane_state *p, const load_window *window) noexcept nogil:
    cdef bint lost = window.drops > p.shed_drops
    cdef bint draining = window.queued < p.shed_queued - p.shed_queued // 8
    p.shed_drops = window.drops
    p.shed_queued = window.queued
    p.shed_windows = 0 if window.emptied else p.shed_windows + 1
    if 1000 * window.busy_us < BUSY_PERMILLE * window.length_us:
        return False
    if lost:
        return True
    # What waits from before enough was shed goes by itself.
    return not draining and (
        p.shed_windows >= PATIENT_WINDOWS or 2 * window.queued > window.room
    )


cdef void shedding_look(plane_state *p, const load_window *window, int64_t now_us) noexcept nogil:
    cdef int64_t load = 1000 * window.busy_us // max(window.length_us, 1)
    cdef int64_t weight = min(window.length_us, SMOOTHING_US)
    cdef uint32_t shed_before = p.shed_slots
    cdef uint32_t wanted
    cdef uint32_t most
    load = p.load_permille + (load - p.load_permille) * weight // SMOOTHING_US
    p.load_permille = <uint32_t>min(max(load, 0), 1000)
    if _overloaded(p, window):
        count(p, COUNT_OVERLOADS)
        p.restore_wait_us = max(p.restore_wait_us, RESTORE_US)
        if p.restored_at_us and now_us - p.restored_at_us < TOO_EARLY_US:
            p.restore_wait_us = min(2 * p.restore_wait_us, RESTORE_MAX_US)
            p.restored_at_us = 0
        p.restore_at_us = now_us + p.restore_wait_us
        _shed(p, now_us)
    elif p.shed_slots == 0:
        p.restore_wait_us = RESTORE_US
    elif now_us >= p.restore_at_us and p.load_permille < FREE_PERMILLE:
        wanted = _count(p, &most)
        wanted = wanted * (FILLED_PERMILLE - p.load_permille) // max(p.load_permille, 50)
        wanted = max(wanted, p.shed_slots // RESTORE_PART, 1)
        p.restored_at_us = now_us
        p.restore_at_us = now_us + p.restore_wait_us
        _restore(p, wanted, now_us)
    if (shed_before == 0) != (p.shed_slots == 0):
        event_push(p, EVENT_KIND_SHED, p.shed_slots, now_us)
