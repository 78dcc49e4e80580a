"""
The loop; the contract is in ``loop.pxd``.

Waking costs 10 to 20 us, as much as forwarding dozens of packets. So when a wake-up brings few
packets and there is time, the thread sleeps on to the next half millisecond and takes what has
come by then into the same fan-out, unless a frame of video comes first. Under load batches form by
themselves, and it forwards at once.

Where a few packets come within half a millisecond again and again, as the audio of a large room
does, or checks and reports of many at a time, the thread wakes at ticks only, until these bring
frames. Ticks are longer while all that comes is sound that the fan-out would hold anyway: see
``fanout.pxd``.
"""

from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from router._fastpath.commands cimport ALL_COMMANDS, commands_run
from router._fastpath.core cimport core_finish, core_receive, core_timer
from router._fastpath.counters cimport COUNT_WAKEUPS
from router._fastpath.deadlines cimport deadlines_next
from router._fastpath.errors cimport FP_OK
from router._fastpath.fanout cimport HOLD_TICK_US, fanout_due, fanout_may_wait, fanout_release
from router._fastpath.link cimport links_wait
from router._fastpath.link_receive cimport links_receive
from router._fastpath.ring cimport ring_sleep, ring_stay_awake, ring_wake
from router._fastpath.shedding cimport LOAD_WINDOW_US, load_window, shedding_look
from router._fastpath.state cimport count
from router._fastpath.udp cimport (
    UDP_BATCH,
    datagram,
    udp_count_drops,
    udp_newest_came_at_us,
    udp_receive,
)

cdef enum:
    GATHER_TICK_US = 500
    GATHER_BELOW_PACKETS = 4
    TICKING_AFTER = 2           # times in a row that a tick would have spared a wake-up
    TICKING_UNTIL = 2           # ticks in a row that brought nothing, or frames
    COMMANDS_PER_WAKE = 32      # so that a rush of joins does not hold up media
    DRAIN_ROUNDS = 4            # so that a flood of input cannot starve timers and commands
    LONGEST_SLEEP_US = 1000000
    # By how much timers may be late, so that they mostly run when something comes anyway.
    TIMER_SLACK_US = 1000
    # Where something comes all the time. The kernel's own clock tick is mostly due before that, so
    # that no timer is programmed for each sleep, which costs much on a virtual machine.
    BUSY_TIMER_SLACK_US = 10000
    BUSY_BELOW_US = 1000        # of sleep at a time, on average


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
    int ppoll(pollfd *fds, unsigned long nfds, const timespec *timeout, const void *sigmask)


cdef extern from "<time.h>" nogil:
    enum:
        TIMER_ABSTIME
    int clock_nanosleep(int clock, int flags, const timespec *request, timespec *remain)


cdef struct load_meter:
    int64_t window_at_us
    load_window window
    bint high               # more than 70 % of the last window was busy


# Whether the thread wakes at ticks, and what speaks for changing that.
cdef struct tick_mode:
    bint on
    int in_a_row
    int64_t few_at_us       # when few packets came last


cdef inline void _note_few(tick_mode *ticks, bint within_tick, int64_t now_us) noexcept nogil:
    ticks.few_at_us = now_us
    ticks.in_a_row = ticks.in_a_row + 1 if within_tick else 0
    if ticks.in_a_row >= TICKING_AFTER:
        ticks.on = True
        ticks.in_a_row = 0


cdef inline void _note_tick(tick_mode *ticks, bint brought_few, bint high) noexcept nogil:
    ticks.in_a_row = 0 if brought_few else ticks.in_a_row + 1
    if high or ticks.in_a_row >= TICKING_UNTIL:
        ticks.on = False
        ticks.in_a_row = 0


cdef int64_t monotonic_us() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000 + now.tv_nsec // 1000


cdef int64_t wall_offset_us() noexcept nogil:
    cdef timespec wall
    clock_gettime(CLOCK_REALTIME, &wall)
    return <int64_t>wall.tv_sec * 1000000 + wall.tv_nsec // 1000 - monotonic_us()


# What seems to have come after it was taken came before the kernel began to note when.
cdef void _note_wait(load_window *window, const udp_socket *socket) noexcept nogil:
    cdef int64_t came_at_us = udp_newest_came_at_us(socket)
    window.waited_us = -1
    if came_at_us:
        window.waited_us = max(window.taken_at_us + wall_offset_us() - came_at_us, -1)


cdef void _meter(
    plane_state *p, load_meter *meter, udp_socket *socket, int64_t woke_at_us, int64_t now_us,
    uint64_t *busy_us
) noexcept nogil:
    cdef load_window *window = &meter.window
    window.busy_us += now_us - woke_at_us
    busy_us[0] += <uint64_t>(now_us - woke_at_us)
    window.length_us = now_us - meter.window_at_us
    if window.length_us < LOAD_WINDOW_US:
        return
    meter.high = 10 * window.busy_us > 7 * window.length_us
    window.waited_us = 0
    if meter.high:
        udp_count_drops(socket)
        window.drops = socket.counters.receive_drops
        _note_wait(window, socket)
    shedding_look(p, window, now_us)
    meter.window_at_us = now_us
    window.busy_us = 0
    window.emptied = False


# Sleep until the next tick; ticks are shared by all wake-ups.
cdef void _sleep_to_tick(int64_t now_us, int64_t length_us) noexcept nogil:
    cdef int64_t tick_us = (now_us // length_us + 1) * length_us
    cdef timespec at
    at.tv_sec = tick_us // 1000000
    at.tv_nsec = tick_us % 1000000 * 1000
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)


# Whether what is to be forwarded at once is worth a wake-up.
cdef inline bint _is_frame(const plane_state *p) noexcept nogil:
    return p.pending.count >= GATHER_BELOW_PACKETS


# Take what waits in the socket. Returns how many datagrams, or FP_ERR_SYSTEM; full[0] is set when
# more may wait.
cdef int _drain(
    plane_state *p, udp_socket *socket, datagram *batch, load_window *window, int64_t now_us,
    bint *full
) noexcept nogil:
    cdef uint64_t calls = socket.counters.receive_calls
    cdef int taken = 0
    cdef int number
    cdef int _round
    full[0] = True
    for _round in range(DRAIN_ROUNDS):
        number = udp_receive(socket, batch, UDP_BATCH)
        if number < 0:
            return number
        if number:
            core_receive(p, batch, number, now_us)
            taken += number
        if number < UDP_BATCH and socket.filled < UDP_BATCH:
            full[0] = False     # what came since wakes us at once
            break
    if taken and socket.counters.receive_calls != calls:
        window.taken_at_us = now_us
    return taken


cdef inline int64_t _due(const plane_state *p) noexcept nogil:
    return min(deadlines_next(&p.timers), fanout_due(p))


# Sleep until something comes or is due. rest_us: how long the thread slept at a time, smoothed.
cdef void _sleep(
    plane_state *p, udp_socket *socket, int64_t rest_us, int64_t now_us
) noexcept nogil:
    cdef pollfd fds[2]
    cdef timespec timeout
    cdef int64_t wait_us = min(deadlines_next(&p.timers) - now_us, LONGEST_SLEEP_US)
    wait_us += BUSY_TIMER_SLACK_US if rest_us < BUSY_BELOW_US else TIMER_SLACK_US
    wait_us = min(wait_us, fanout_due(p) - now_us)
    if wait_us < 0:
        wait_us = 0
    timeout.tv_sec = wait_us // 1000000
    timeout.tv_nsec = wait_us % 1000000 * 1000
    fds[0].fd = socket.fd
    fds[1].fd = p.commands.doorbell
    fds[0].events = fds[1].events = POLLIN
    fds[1].revents = 0
    ppoll(&fds[0], 2, &timeout, NULL)
    if fds[1].revents:
        ring_wake(p.commands)


# Wait for more until the next tick, or until a frame has come. Returns as _drain, and the time;
# woke_at_us grows by the time that it slept.
cdef int _gather(
    plane_state *p, udp_socket *socket, datagram *batch, load_window *window, int64_t *now_us,
    int64_t *woke_at_us, bint *full
) noexcept nogil:
    cdef int64_t tick_us = (now_us[0] // GATHER_TICK_US + 1) * GATHER_TICK_US
    cdef pollfd readable
    cdef timespec timeout
    cdef int64_t slept_at_us
    cdef int taken = 0
    cdef int more
    readable.fd = socket.fd
    readable.events = POLLIN
    timeout.tv_sec = 0
    while not _is_frame(p) and not full[0] and now_us[0] < tick_us:
        slept_at_us = monotonic_us()
        timeout.tv_nsec = max(tick_us - slept_at_us, 0) * 1000
        ppoll(&readable, 1, &timeout, NULL)
        now_us[0] = monotonic_us()
        woke_at_us[0] += now_us[0] - slept_at_us
        more = _drain(p, socket, batch, window, now_us[0], full)
        if more < 0:
            return more
        taken += more
    return taken


cdef int loop_run(
    plane_state *p, udp_socket *socket, const int *stopping, uint64_t *busy_us
) noexcept nogil:
    cdef datagram batch[UDP_BATCH]
    cdef load_meter meter
    cdef tick_mode ticks
    cdef int64_t woke_at_us = monotonic_us()
    cdef int64_t now_us = woke_at_us
    cdef int64_t rest_us = LONGEST_SLEEP_US
    cdef bint full = False
    cdef bint waited = False    # for a tick of those at which held packets are due
    cdef int crossed
    cdef int taken
    cdef int more
    meter.window_at_us = now_us
    memset(&meter.window, 0, sizeof(load_window))
    meter.high = False
    ticks.on = False
    ticks.in_a_row = 0
    ticks.few_at_us = 0
    while not stopping[0]:
        commands_run(p, now_us, COMMANDS_PER_WAKE)
        crossed = links_receive(p, now_us)
        taken = _drain(p, socket, batch, &meter.window, now_us, &full)
        # What crossed was gathered by the plane that it came from.
        if ticks.on:
            _note_tick(&ticks, taken + crossed > 0 and not _is_frame(p), meter.high)
        elif _is_frame(p):
            ticks.in_a_row = 0
        elif not 0 < taken < GATHER_BELOW_PACKETS or meter.high or crossed:
            pass
        elif p.pending.count == 0:
            _note_few(&ticks, now_us - ticks.few_at_us < GATHER_TICK_US, now_us)
        else:
            more = _gather(
                p, socket, batch, &meter.window, &now_us, &woke_at_us, &full
            )
            _note_few(&ticks, more > 0 and not _is_frame(p), now_us)
            taken = more if more < 0 else taken + more
        if taken < 0:
            return taken
        core_timer(p, now_us)
        if waited or full:
            fanout_release(p)
            waited = False
        core_finish(p, now_us)
        now_us = monotonic_us()
        meter.window.emptied |= not full and not links_wait(p)
        _meter(p, &meter, socket, woke_at_us, now_us, busy_us)
        woke_at_us = now_us
        if full or (_due(p) <= now_us and not ticks.on):
            continue
        if ticks.on:
            waited = fanout_may_wait(p, now_us)
            _sleep_to_tick(now_us, HOLD_TICK_US if waited else GATHER_TICK_US)
            count(p, COUNT_WAKEUPS)
        elif ring_sleep(p.commands) and not links_wait(p):
            if stopping[0]:
                break
            _sleep(p, socket, rest_us, now_us)
            count(p, COUNT_WAKEUPS)
        ring_stay_awake(p.commands)
        now_us = monotonic_us()
        rest_us += (now_us - woke_at_us - rest_us) // 8
        woke_at_us = now_us
    commands_run(p, now_us, ALL_COMMANDS)   # a BYE given just before the end still goes out
    core_finish(p, now_us)
    return FP_OK
