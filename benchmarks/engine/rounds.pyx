"""The engine's thread; the contract is in ``rounds.pxd``."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from benchmarks.engine.control cimport control_receive, control_timer
from benchmarks.engine.inbound cimport (
    FEW_SPEAKERS,
    inbound_doubt,
    inbound_prefetch,
    inbound_prefetch_each,
    inbound_read_size,
    inbound_receive,
)
from benchmarks.engine.outbound cimport outbound_send_due
from benchmarks.engine.state cimport (
    CONSENT_MARK,
    COUNT_CONSENT_ANSWERED,
    COUNT_QUEUE_OVERFLOWS,
    NET_BATCH,
    NOBODY,
    QUEUE_BYTES,
    QUEUE_SLOTS,
    SHARED_ADDRESSES,
    connection,
    net_message,
    net_monotonic_us,
    net_read,
    net_realtime_ns,
    net_receive,
    net_sleep_until_us,
    net_thread_setup,
    net_waiters,
    queued,
    udp_socket,
)
from router._fastpath.deadlines cimport deadlines_next
from router._fastpath.wire cimport load16, load32


cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void *data, size_t size)

cdef enum:
    EVENTS = 256
    YIELD_US = 30               # for whoever waits for the lock
    REST_US = 400               # a sleep at least: waking costs more than many packets
    BUSY_REST_US = 1000         # with three tenths of the time to do, until it is a fifth
    BUSY_WINDOW_US = 50000      # over about that long


cdef void _enqueue(engine_state *e, const connection *c, const net_message *m) noexcept nogil:
    cdef queued *slot
    cdef uint64_t one = 1
    if e.queue_tail - e.queue_head == QUEUE_SLOTS or m.length > QUEUE_BYTES:
        e.counts[COUNT_QUEUE_OVERFLOWS] += 1
        return
    slot = &e.queue[e.queue_tail & (QUEUE_SLOTS - 1)]
    slot.connection = <int32_t>(c - e.connections)
    slot.length = m.length
    memcpy(slot.data, m.data, m.length)
    e.queue_tail += 1
    write(e.event_fd, &one, sizeof(one))


cdef bint _answers_consent(const net_message *m) noexcept nogil:
    """A binding success with a transaction id of ours."""
    return m.length >= 20 and load16(m.data) == 0x0101 and load32(m.data + 8) == CONSENT_MARK


cdef void _take(
    engine_state *e, connection *c, net_message *m, int64_t now_us
) noexcept nogil:
    cdef net_message part
    cdef uint32_t at = 0
    cdef int64_t at_us = now_us
    if m.at_ns:
        at_us = m.at_ns // 1000 - e.realtime_offset_us
    if m.length >= 12 and 128 <= m.data[0] <= 191 and not 192 <= m.data[1] <= 223:
        inbound_receive(e, c, m, at_us)
        return
    # The kernel joins datagrams of one length, whatever they are.
    part = m[0]
    while at < m.length:
        part.data = m.data + at
        part.length = part.seen = part.segment = min(m.segment, m.length - at)
        at += part.length
        if at > m.seen:
            inbound_doubt(e, c, now_us)
            return
        if _answers_consent(&part):
            e.counts[COUNT_CONSENT_ANSWERED] += 1
        elif not 128 <= part.data[0] <= 191:
            _enqueue(e, c, &part)
        elif part.length >= 12 and not 192 <= part.data[1] <= 223:
            inbound_receive(e, c, &part, at_us)
        else:
            control_receive(e, c, part.data, <int>part.length, at_us)


cdef inline connection *_receiver(engine_state *e, const net_message *m) noexcept nogil:
    """Of the connections that share a socket, the one with that address; or NULL."""
    cdef int32_t index = e.by_address[m.to & (SHARED_ADDRESSES - 1)]
    if index == NOBODY or e.connections[index].way.source != m.to:
        return NULL
    return &e.connections[index]


cdef void _drain_socket(engine_state *e, int32_t index, int64_t now_us) noexcept nogil:
    cdef udp_socket *sock = &e.sockets[index]
    cdef net_message messages[NET_BATCH]
    cdef connection *receivers[NET_BATCH]
    cdef int count = NET_BATCH
    cdef int i
    cdef uint32_t size
    if not sock.used:
        return
    size = inbound_read_size(e, sock, now_us)
    if not sock.shared:
        inbound_prefetch(e, &e.connections[index])
    while count == NET_BATCH:
        count = net_receive(e.buffers, sock.fd, size)
        for i in range(count):
            net_read(e.buffers, i, &messages[i])
            receivers[i] = _receiver(e, &messages[i]) if sock.shared else &e.connections[index]
            if receivers[i] == NULL:
                continue
            if sock.shared:
                inbound_prefetch(e, receivers[i])
            if receivers[i].speakers > FEW_SPEAKERS:
                inbound_prefetch_each(e, receivers[i], &messages[i])
        for i in range(count):
            if receivers[i] != NULL:
                _take(e, receivers[i], &messages[i], now_us)


cdef inline void _send_due(engine_state *e, int64_t now_us) noexcept nogil:
    cdef int is_video
    for is_video in range(2):
        while deadlines_next(&e.sending[is_video]) <= now_us:
            outbound_send_due(e, &e.outbounds[e.sending[is_video].heap[0]], now_us)


cdef void _drain(engine_state *e, int64_t now_us) noexcept nogil:
    cdef epoll_event events[EVENTS]
    cdef int count = EVENTS
    cdef int i
    e.realtime_offset_us = net_realtime_ns() // 1000 - net_monotonic_us()
    while count == EVENTS:
        count = epoll_wait(e.epoll_fd, events, EVENTS, 0)
        for i in range(count):
            _drain_socket(e, <int32_t>events[i].data.u32, now_us)
            _send_due(e, net_monotonic_us())    # not all of them in one burst behind


cdef int64_t _round(engine_state *e) noexcept nogil:
    """Do what is due; return when the next round is."""
    cdef int64_t now_us = net_monotonic_us()
    _send_due(e, now_us)
    if e.drain_us <= now_us:
        _drain(e, now_us)
        e.drain_us = now_us + e.tick_us
    now_us = net_monotonic_us()
    while deadlines_next(&e.control) <= now_us:
        control_timer(e, &e.connections[e.control.heap[0]], now_us)
    return min(e.drain_us, deadlines_next(&e.sending[True]))


cdef void engine_run(engine_state *e, pthread_mutex_t *lock) noexcept nogil:
    cdef int64_t woke_us = net_monotonic_us()
    cdef int64_t now_us = woke_us
    cdef int64_t work_us
    cdef int64_t slept_us
    cdef int64_t next_us
    cdef int64_t busy_us = 0    # much to do: from 0 on
    net_thread_setup("load-engine")
    while True:
        pthread_mutex_lock(lock)
        if e.stopping:
            pthread_mutex_unlock(lock)
            return
        next_us = _round(e)
        pthread_mutex_unlock(lock)
        now_us = net_monotonic_us()
        if next_us > now_us:
            net_sleep_until_us(max(next_us, now_us + (REST_US if busy_us < 0 else BUSY_REST_US)))
        elif net_waiters(&e.waiters):
            net_sleep_until_us(now_us + YIELD_US)
        slept_us = net_monotonic_us() - now_us
        work_us = now_us - woke_us
        busy_us += (4 * work_us if busy_us >= 0 else 7 * work_us // 3) - slept_us
        busy_us = max(-BUSY_WINDOW_US, min(busy_us, BUSY_WINDOW_US))
        woke_us = now_us + slept_us
