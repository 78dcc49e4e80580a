"""Shedding; the contract is in ``shedding.pxd``."""

from libc.stdint cimport int32_t, uint8_t

from router._fastpath.counters cimport COUNT_OVERLOADS, COUNT_SLOTS_SHED
from router._fastpath.event cimport EVENT_KIND_SHED
from router._fastpath.keyframe cimport key_frame_request
from router._fastpath.state cimport (
    SHED_LOWERED,
    SHED_NOT,
    SHED_NOTES,
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
    BUSY_PERMILLE = 900         # less is no overload, whatever waits or was dropped
    TREND_US = 60000            # of work at least, without an empty socket, until it is overload
    WAIT_US = 10000             # less may wait
    GOING_US = 1000000          # what waits goes by itself when it would be gone by then
    GONE_US = 400000            # when what waits is to be gone
    SPARE_PERMILLE = 30         # is shed beyond what could not be done
    LEAST_KEPT_PERMILLE = 250   # of the running slots, in one window
    LOST_PERMILLE = 125         # shed at least when datagrams were dropped
    CREEP_WINDOWS = 5           # without an empty socket, though nothing in it waited long
    CREEP_PERMILLE = 62         # shed then
    FREE_PERMILLE = 920         # above, nothing is restored
    FILLED_PERMILLE = 950       # what restoring may lead to
    RESTORE_PART = 2            # of the slots that run comes back at a time, or of half the others
    RESTORE_US = 500000         # without overload, before slots are restored
    RESTORE_MAX_US = 16000000
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


cdef void _shed(plane_state *p, int64_t permille, int64_t now_us) noexcept nogil:
    cdef transport *t
    cdef uint32_t most
    cdef uint32_t wanted = <uint32_t>(_count(p, &most) * permille // 1000)
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


# Give slots back to those who have least, as many as the time that is free should allow.
cdef void _restore(plane_state *p, int64_t now_us) noexcept nogil:
    cdef transport *t
    cdef outbound_slot *slot
    cdef uint32_t most
    cdef uint32_t running = _count(p, &most)
    cdef uint32_t wanted = max(running // RESTORE_PART, p.shed_slots // (2 * RESTORE_PART))
    cdef uint32_t least = 0
    cdef uint32_t _turn
    if running:
        wanted = min(
            wanted, running * (FILLED_PERMILLE - p.load_permille) // max(p.load_permille, 1)
        )
    wanted = max(wanted, 1)
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


# Note how long the work of a window took, and within which time it had come.
cdef void _note_work(plane_state *p, int64_t took_us, int64_t came_us) noexcept nogil:
    p.shed_took_us[p.shed_noted % SHED_NOTES] = took_us
    p.shed_came_us[p.shed_noted % SHED_NOTES] = came_us
    p.shed_noted += 1


# Sum up what was noted, but for the window that went worst: that one may be the machine's fault.
# When it is the newest, the next one will tell, and nothing is summed up.
cdef void _sum_work(const plane_state *p, int64_t *took_us, int64_t *came_us) noexcept nogil:
    cdef uint32_t newest = (p.shed_noted - 1) % SHED_NOTES
    cdef uint32_t worst = 0
    cdef uint32_t i
    took_us[0] = came_us[0] = 0
    for i in range(min(p.shed_noted, <uint32_t>SHED_NOTES)):
        took_us[0] += p.shed_took_us[i]
        came_us[0] += p.shed_came_us[i]
        if p.shed_came_us[i] - p.shed_took_us[i] < p.shed_came_us[worst] - p.shed_took_us[worst]:
            worst = i
    took_us[0] = 0 if worst == newest else took_us[0] - p.shed_took_us[worst]
    came_us[0] -= p.shed_came_us[worst]


# Whether what waits will be gone in time, if it goes on like that.
cdef inline bint _is_going(int64_t took_us, int64_t came_us, int64_t waited_us) noexcept nogil:
    return came_us >= took_us + took_us * waited_us // GOING_US


# How many of a thousand running slots are too many. While datagrams wait, those that were taken
# since the last look had come within some time, and took another: so much of the work can be done.
cdef int64_t _excess(plane_state *p, const load_window *window) noexcept nogil:
    cdef bint lost = window.drops > p.shed_drops
    cdef bint shed_since = p.shed_taken_at_us < p.shed_at_us    # then it was other work
    cdef bint known = window.waited_us >= 0 and p.shed_waited_us >= 0
    cdef int64_t waited_us = max(window.waited_us, 0)
    cdef int64_t took_us = window.taken_at_us - p.shed_taken_at_us
    cdef int64_t came_us = took_us - (window.waited_us - p.shed_waited_us)
    cdef int64_t kept
    p.shed_drops = window.drops
    p.shed_taken_at_us = window.taken_at_us
    p.shed_waited_us = window.waited_us
    p.shed_windows = 0 if window.emptied else p.shed_windows + 1
    if window.emptied or shed_since or not known:
        p.shed_noted = 0
    elif took_us > 0:
        _note_work(p, took_us, came_us)
    if shed_since or 1000 * window.busy_us < BUSY_PERMILLE * window.length_us:
        return 0
    if lost:
        came_us = took_us = 1   # what was dropped is not seen to come
    elif not known or waited_us < WAIT_US:
        # It is another plane that sends too much, or the kernel does not tell.
        if p.shed_windows < CREEP_WINDOWS or known and came_us > took_us:
            return 0
        p.shed_windows = 0
        return CREEP_PERMILLE
    elif took_us <= 0 or _is_going(took_us, came_us, waited_us):
        return 0
    else:
        _sum_work(p, &took_us, &came_us)
        if took_us < TREND_US or _is_going(took_us, came_us, waited_us):
            return 0
    kept = 1000 * max(came_us, 0) // took_us * GONE_US // (GONE_US + waited_us)
    kept = max(kept * (1000 - SPARE_PERMILLE) // 1000, LEAST_KEPT_PERMILLE)
    return max(1000 - kept, LOST_PERMILLE if lost else 1)


cdef void shedding_look(plane_state *p, const load_window *window, int64_t now_us) noexcept nogil:
    cdef int64_t load = 1000 * window.busy_us // max(window.length_us, 1)
    cdef int64_t weight = min(window.length_us, SMOOTHING_US)
    cdef int64_t excess = _excess(p, window)
    cdef uint32_t shed_before = p.shed_slots
    load = p.load_permille + (load - p.load_permille) * weight // SMOOTHING_US
    p.load_permille = <uint32_t>min(max(load, 0), 1000)
    if excess:
        count(p, COUNT_OVERLOADS)
        p.restore_wait_us = max(p.restore_wait_us, RESTORE_US)
        if p.restored_at_us and now_us - p.restored_at_us < TOO_EARLY_US:
            p.restore_wait_us = min(2 * p.restore_wait_us, RESTORE_MAX_US)
        p.restored_at_us = 0
        p.shed_at_us = now_us
        p.restore_at_us = now_us + p.restore_wait_us
        _shed(p, excess, now_us)
    elif p.shed_slots == 0:
        p.restore_wait_us = RESTORE_US
    elif now_us >= p.restore_at_us and p.load_permille < FREE_PERMILLE:
        if p.restored_at_us:
            p.restore_wait_us = RESTORE_US      # what came back last could stay
        _restore(p, now_us)
        p.restored_at_us = now_us
        p.restore_at_us = now_us + p.restore_wait_us
    if (shed_before == 0) != (p.shed_slots == 0):
        event_push(p, EVENT_KIND_SHED, p.shed_slots, now_us)
