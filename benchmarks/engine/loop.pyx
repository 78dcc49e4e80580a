"""
The engine's Python face.

One lock guards everything. The thread holds it for a round: send what is due, look at all sockets
every few milliseconds; between rounds it sleeps, and lets in whoever waits.
"""

from libc.errno cimport EINVAL, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import os
import threading

from benchmarks.engine.control cimport REPORT_US, control_assume, control_timer
from benchmarks.engine.inbound cimport inbound_assume, inbound_resume
from benchmarks.engine.outbound cimport ARENA_BYTES
from benchmarks.engine.rounds cimport (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLLET,
    EPOLLIN,
    engine_run,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_t,
    pthread_mutex_unlock,
    pthread_self,
    pthread_t,
)
from benchmarks.engine.state cimport (
    COUNTERS,
    LATENCY_BUCKETS,
    LATENCY_STEPS,
    MAX_CNAME,
    MAX_CONNECTIONS,
    MAX_INBOUND,
    MAX_MID,
    MAX_OUTBOUND,
    MAX_SHARED,
    MAX_USERNAME,
    NOBODY,
    QUEUE_SLOTS,
    RTX_FLAG,
    SHARED_ADDRESSES,
    connection as connection_state,
    engine_state,
    inbound,
    net_buffers,
    net_buffers_init,
    net_connect,
    net_drops,
    net_monotonic_us,
    net_prepare,
    net_tell_address,
    net_waiters_add,
    net_way_init,
    next_random,
    next_share,
    outbound,
    queued,
    sent_packet,
    udp_socket,
)
from benchmarks.engine.streams cimport (
    connection_close,
    inbound_close,
    outbound_close,
    table_put,
)
from router._fastpath.deadlines cimport (
    NEVER_US,
    deadlines_free,
    deadlines_init,
    deadlines_set,
)
from router._fastpath.rtp cimport KIND_TRANSPORT_CC
from router._fastpath.sha1 cimport hmac_sha1_init
from router._fastpath.srtp cimport srtp_session, srtp_session_init
from router._fastpath.transport_cc cimport arrival_log

from benchmarks.engine.figures import InboundCounters, Latency, OutboundCounters, Totals
from router.sdp.config import (
    AUDIO_LEVEL_EXTENSION,
    MID_EXTENSION,
    TRANSPORT_WIDE_CC_EXTENSION,
)


cdef extern from "net.h" nogil:
    int64_t net_thread_cpu_ns(pthread_t thread)

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC
    int eventfd(unsigned int value, int flags)

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int fd, void *data, size_t size)
    int close(int fd)

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef enum:
    ONE_BYTE_IDS = 14
    HISTORY_VIDEO = 1024        # packets; a power of two
    HISTORY_AUDIO = 64
    INBOUND_BASE = 1 << 24      # numbers of inbound streams begin here

cdef list _COUNTERS = [
    "sent", "retransmitted", "send_failed", "received", "lost", "reordered", "recovered",
    "given_up", "duplicates", "dropped", "unknown_ssrc", "failed_auth", "bad_payload",
    "rtcp_sent", "rtcp_received", "queue_overflows",
    "consent_sent", "consent_answered",
]
assert len(_COUNTERS) == COUNTERS


cdef class Engine:
    cdef engine_state e
    cdef pthread_mutex_t lock
    cdef pthread_t thread_id
    cdef object thread
    cdef dict remotes           # by connection
    cdef list free_connections
    cdef list free_outbounds
    cdef list free_inbounds
    cdef int32_t connections
    cdef int32_t outbounds
    cdef int32_t inbounds
    cdef dict shared            # index of a shared socket, by descriptor
    cdef uint64_t drops_gone    # of connections that were removed

    def __cinit__(self, *, int64_t tick_us=4000, uint64_t seed=1):
        cdef engine_state *e = &self.e
        e.epoll_fd = e.event_fd = -1
        pthread_mutex_init(&self.lock, NULL)
        if not 1 <= tick_us <= 1000000:
            raise ValueError(f"tick_us {tick_us}")
        e.tick_us = tick_us
        e.random = seed * 2 + 1
        e.connections = <connection_state *>calloc(MAX_CONNECTIONS, sizeof(connection_state))
        e.sockets = <udp_socket *>calloc(MAX_CONNECTIONS + MAX_SHARED, sizeof(udp_socket))
        e.by_address = <int32_t *>calloc(SHARED_ADDRESSES, sizeof(int32_t))
        e.outbounds = <outbound *>calloc(MAX_OUTBOUND, sizeof(outbound))
        e.inbounds = <inbound *>calloc(MAX_INBOUND, sizeof(inbound))
        e.queue = <queued *>calloc(QUEUE_SLOTS, sizeof(queued))
        e.buffers = <net_buffers *>calloc(1, sizeof(net_buffers))
        e.arena = <uint8_t *>calloc(1, ARENA_BYTES)
        if (
            e.connections == NULL or e.sockets == NULL or e.by_address == NULL
            or e.outbounds == NULL or e.inbounds == NULL
            or e.queue == NULL or e.buffers == NULL or e.arena == NULL
            or deadlines_init(&e.sending[0], MAX_OUTBOUND) != 0
            or deadlines_init(&e.sending[1], MAX_OUTBOUND) != 0
            or deadlines_init(&e.control, MAX_CONNECTIONS) != 0
        ):
            raise MemoryError()
        net_buffers_init(e.buffers)
        memset(e.by_address, 0xFF, SHARED_ADDRESSES * sizeof(int32_t))  # NOBODY
        e.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        e.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if e.epoll_fd < 0 or e.event_fd < 0:
            raise OSError("epoll and eventfd cannot be had")
        self.remotes, self.shared = {}, {}
        self.free_connections, self.free_outbounds, self.free_inbounds = [], [], []

    def __dealloc__(self):
        cdef engine_state *e = &self.e
        cdef int32_t i
        for i in range(self.connections):
            if e.connections[i].used:
                connection_close(e, i)
        deadlines_free(&e.sending[0])
        deadlines_free(&e.sending[1])
        deadlines_free(&e.control)
        free(e.connections)
        free(e.sockets)
        free(e.by_address)
        free(e.outbounds)
        free(e.inbounds)
        free(e.queue)
        free(e.buffers)
        free(e.arena)
        if e.epoll_fd >= 0:
            close(e.epoll_fd)
        if e.event_fd >= 0:
            close(e.event_fd)
        pthread_mutex_destroy(&self.lock)

    def __enter__(self):
        started = threading.Event()
        self.thread = threading.Thread(
            target=self._thread, args=(started,), name="load-engine", daemon=True
        )
        self.thread.start()
        started.wait()
        return self

    def __exit__(self, *_):
        self._acquire()
        self.e.stopping = 1
        pthread_mutex_unlock(&self.lock)
        self.thread.join()

    def _thread(self, started):
        self.thread_id = pthread_self()
        started.set()
        with nogil:
            engine_run(&self.e, &self.lock)

    cdef void _acquire(self):
        net_waiters_add(&self.e.waiters, 1)
        with nogil:
            pthread_mutex_lock(&self.lock)
        net_waiters_add(&self.e.waiters, -1)

    # Connections

    def share(self, int fd):
        cdef int32_t index
        self._acquire()
        try:
            if len(self.shared) == MAX_SHARED:
                raise ValueError("too many sockets")
            index = MAX_CONNECTIONS + <int32_t>len(self.shared)
            if net_tell_address(fd) != 0:
                raise OSError(errno, f"descriptor {fd}: {os.strerror(errno)}")
            self._watch(fd, index)
            self.e.sockets[index].shared = True
            self.shared[fd] = index
        finally:
            pthread_mutex_unlock(&self.lock)

    def add_connection(
        self, int fd, remote, *, int profile, bytes send_key not None, bytes send_salt not None,
        bytes receive_key not None, bytes receive_salt not None, extensions, str cname="load",
        uint32_t rtcp_index=1 << 16, consent=None, double consent_interval=5.0, double sampled=0,
        bint reads=True, source=None,
    ):
        cdef connection_state *c
        cdef int32_t index
        salt_length = {7: 12, 1: 14}.get(profile)
        for key, salt in ((send_key, send_salt), (receive_key, receive_salt)):
            if len(key) != 16 or len(salt) != salt_length:
                raise ValueError(f"profile {profile} with key and salt of {len(key)}, {len(salt)}")
        name = cname.encode()
        if not 1 <= len(name) <= MAX_CNAME:
            raise ValueError(f"cname {cname!r}")
        ids = {
            uri: extensions.get(uri, 0)
            for uri in (TRANSPORT_WIDE_CC_EXTENSION, MID_EXTENSION, AUDIO_LEVEL_EXTENSION)
        }
        if not all(0 <= number <= ONE_BYTE_IDS for number in ids.values()):
            raise ValueError(f"extension ids {ids}")
        if not 0 <= sampled <= 1:
            raise ValueError(f"share {sampled}")
        if sampled and source is not None:
            raise ValueError("what shares a socket is not sampled")
        if consent is not None and not 1 <= len(consent[0]) <= MAX_USERNAME:
            raise ValueError("the username of consent is too long")
        self._acquire()
        try:
            if not self.free_connections and self.connections == MAX_CONNECTIONS:
                raise ValueError("too many connections")
            index = (
                self.free_connections.pop() if self.free_connections else self._next_connection()
            )
            c = &self.e.connections[index]
            memset(c, 0, sizeof(connection_state))
            c.used = True
            c.fd = fd
            c.socket = index
            c.first_outbound = c.first_inbound = NOBODY
            c.feedback_us = c.consent_us = NEVER_US
            try:
                if source is None:
                    self._connect(c, remote)
                else:
                    self._join(c, index, source, remote)
                self._set_up(
                    c, profile, send_key, send_salt, receive_key, receive_salt, ids
                )
                if consent is not None:
                    self._set_consent(c, consent[0], consent[1], consent_interval)
                if reads and source is None:
                    self._watch(fd, index)
                    self.e.sockets[index].sampled = <uint32_t>(sampled * 0xFFFFFFFF)
            except BaseException:
                connection_close(&self.e, index)
                self.free_connections.append(index)
                raise
            self.remotes[index] = (remote[0], remote[1])
            c.cname_length = len(name)
            memcpy(c.cname, <const uint8_t *><const char *>name, <size_t>len(name))
            c.sampled = sampled > 0
            c.rtcp_index = rtcp_index & 0x7FFFFFFF
            c.local_ssrc = <uint32_t>(next_random(&self.e) >> 32) | 1
            c.report_us = net_monotonic_us() + <int64_t>(REPORT_US * next_share(&self.e))
            control_timer(&self.e, c, net_monotonic_us())
            return index
        finally:
            pthread_mutex_unlock(&self.lock)

    cdef int32_t _next_connection(self):
        self.connections += 1
        return self.connections - 1

    cdef int _connect(self, connection_state *c, remote) except -1:
        cdef bytes host = remote[0].encode()
        if net_connect(c.fd, host, <uint16_t>remote[1]) != 0:
            if errno == EINVAL:
                raise ValueError(f"not a numeric address: {remote[0]!r}")
            raise OSError(errno, f"{os.strerror(errno)}: {remote[0]} port {remote[1]}")
        return 0

    cdef int _join(self, connection_state *c, int32_t index, source, remote) except -1:
        cdef bytes own = source.encode(), host = remote[0].encode()
        fd = c.fd
        c.fd = -1                   # until nothing can go wrong
        if fd not in self.shared:
            raise ValueError(f"descriptor {fd} is not shared")
        if net_way_init(&c.way, own, host, <uint16_t>remote[1]) != 0:
            raise ValueError(f"not both numeric IPv4 addresses: {source!r}, {remote[0]!r}")
        place = &self.e.by_address[c.way.source & (SHARED_ADDRESSES - 1)]
        if place[0] != NOBODY:
            c.way.source = 0
            raise ValueError(f"{source} or one with the same end is in use")
        place[0] = index
        c.fd = fd
        c.socket = self.shared[fd]
        return 0

    cdef int _set_up(
        self, connection_state *c, int profile, bytes send_key, bytes send_salt,
        bytes receive_key, bytes receive_salt, dict ids
    ) except -1:
        c.keys = <srtp_session *>aligned_alloc(64, 2 * sizeof(srtp_session))
        if c.keys == NULL:
            raise MemoryError()
        memset(c.keys, 0, 2 * sizeof(srtp_session))
        srtp_session_init(&c.keys[0], profile, <const uint8_t *><const char *>send_key,
                          <const uint8_t *><const char *>send_salt)
        srtp_session_init(&c.keys[1], profile, <const uint8_t *><const char *>receive_key,
                          <const uint8_t *><const char *>receive_salt)
        c.transport_cc_id = ids[TRANSPORT_WIDE_CC_EXTENSION]
        c.mid_id = ids[MID_EXTENSION]
        c.audio_level_id = ids[AUDIO_LEVEL_EXTENSION]
        if c.transport_cc_id:
            c.kinds[c.transport_cc_id] = KIND_TRANSPORT_CC
            c.arrivals = <arrival_log *>calloc(1, sizeof(arrival_log))
            if c.arrivals == NULL:
                raise MemoryError()
        return 0

    cdef int _set_consent(
        self, connection_state *c, bytes username, bytes password, double interval
    ) except -1:
        c.username_length = len(username)
        memcpy(c.username, <const uint8_t *><const char *>username, <size_t>len(username))
        hmac_sha1_init(
            &c.consent_key, <const uint8_t *><const char *>password, <int>len(password)
        )
        c.tie_breaker = next_random(&self.e)
        c.consent_interval_us = <int64_t>(interval * 1e6)
        c.consent_us = net_monotonic_us() + <int64_t>(
            <double>c.consent_interval_us * next_share(&self.e)
        )
        return 0

    cdef int _watch(self, int fd, int32_t index) except -1:
        cdef epoll_event event
        cdef udp_socket *sock = &self.e.sockets[index]
        net_prepare(fd)
        event.events = EPOLLIN | EPOLLET
        event.data.u32 = <uint32_t>index
        if epoll_ctl(self.e.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(f"descriptor {fd} cannot be watched")
        memset(sock, 0, sizeof(udp_socket))
        sock.fd = fd
        sock.used = True
        return 0

    cdef connection_state *_connection(self, index) except NULL:
        if not 0 <= index < self.connections or not self.e.connections[<int32_t>index].used:
            raise KeyError(f"connection {index}")
        return &self.e.connections[<int32_t>index]

    def remove_connection(self, connection):
        cdef int32_t stream
        self._acquire()
        try:
            c = self._connection(connection)
            stream = c.first_outbound
            while stream != NOBODY:
                self.free_outbounds.append(stream)
                stream = self.e.outbounds[stream].next
            stream = c.first_inbound
            while stream != NOBODY:
                self.free_inbounds.append(stream)
                stream = self.e.inbounds[stream].next
            if not c.way.source:
                self.drops_gone += net_drops(c.fd)
            connection_close(&self.e, connection)
            self.free_connections.append(connection)
        finally:
            pthread_mutex_unlock(&self.lock)

    def drop(self, connection, double share):
        cdef int32_t i
        if not 0 <= share <= 1:
            raise ValueError(f"share {share}")
        self._acquire()
        try:
            c = self._connection(connection)
            c.drop_share = <uint32_t>(share * 0xFFFFFFFF)
            self.e.sockets[c.socket].lossy = False
            for i in range(self.connections):
                other = &self.e.connections[i]
                if other.used and other.drop_share:
                    self.e.sockets[other.socket].lossy = True
        finally:
            pthread_mutex_unlock(&self.lock)

    def set_consent_interval(self, connection, double seconds):
        self._acquire()
        try:
            c = self._connection(connection)
            if c.consent_us != NEVER_US:
                c.consent_interval_us = <int64_t>(seconds * 1e6)
                c.consent_us = net_monotonic_us()
                control_timer(&self.e, c, c.consent_us)
        finally:
            pthread_mutex_unlock(&self.lock)

    # Streams

    def add_outbound(
        self, connection, *, uint32_t ssrc, int payload_type, uint32_t rtx_ssrc=0,
        int rtx_payload_type=0, str mid="", uint32_t publisher, pattern
    ):
        cdef outbound *s
        cdef int32_t index
        cdef int64_t now_us
        name = mid.encode()
        if ssrc == 0 or not 0 <= payload_type <= 127 or not 0 <= rtx_payload_type <= 127:
            raise ValueError(f"SSRC {ssrc}, payload types {payload_type} and {rtx_payload_type}")
        if len(name) > MAX_MID:
            raise ValueError(f"mid {mid!r}")
        self._acquire()
        try:
            c = self._connection(connection)
            if not self.free_outbounds and self.outbounds == MAX_OUTBOUND:
                raise ValueError("too many streams")
            if self.free_outbounds:
                index = self.free_outbounds.pop()
            else:
                index = self.outbounds
                self.outbounds += 1
            s = &self.e.outbounds[index]
            memset(s, 0, sizeof(outbound))
            s.is_video = not hasattr(pattern, "frame_interval")
            s.history_mask = (HISTORY_VIDEO if s.is_video else HISTORY_AUDIO) - 1
            s.history = <sent_packet *>calloc(s.history_mask + 1, sizeof(sent_packet))
            if s.history == NULL:
                self.free_outbounds.append(index)
                raise MemoryError()
            s.used = True
            s.connection = connection
            s.next = c.first_outbound
            c.first_outbound = index
            s.ssrc, s.rtx_ssrc = ssrc, rtx_ssrc
            s.payload_type, s.rtx_payload_type = payload_type, rtx_payload_type
            s.mid_length = len(name)
            memcpy(s.mid, <const uint8_t *><const char *>name, <size_t>len(name))
            s.publisher = publisher
            s.ext_seq = <int64_t>(next_random(&self.e) >> 50)
            s.rtx_ext_seq = <int64_t>(next_random(&self.e) >> 50)
            s.rtp_ts = <double>(next_random(&self.e) >> 33)
            s.picture_id = <uint32_t>(next_random(&self.e) >> 49)
            s.key_frame_wanted = s.is_video
            now_us = net_monotonic_us()
            self._set_pattern(s, pattern, now_us)
            return index
        finally:
            pthread_mutex_unlock(&self.lock)

    cdef int _set_pattern(self, outbound *s, pattern, int64_t now_us) except -1:
        s.interval_ns = pattern.interval_ns
        s.frame_bytes = pattern.frame_bytes
        s.variation = pattern.variation
        s.key_frame_weight = pattern.key_frame_weight
        s.payload_bytes = pattern.payload_bytes
        # Streams are spread over the interval.
        s.due_ns = now_us * 1000 + <int64_t>(<double>s.interval_ns * next_share(&self.e))
        deadlines_set(
            &self.e.sending[s.is_video], <uint32_t>(s - self.e.outbounds),
            s.due_ns // 1000 + 1 if s.interval_ns else NEVER_US
        )
        return 0

    cdef outbound *_outbound(self, stream) except NULL:
        if not 0 <= stream < self.outbounds or not self.e.outbounds[<int32_t>stream].used:
            raise KeyError(f"outbound stream {stream}")
        return &self.e.outbounds[<int32_t>stream]

    cdef inbound *_inbound(self, stream) except NULL:
        cdef int64_t index = stream - INBOUND_BASE
        if not 0 <= index < self.inbounds or not self.e.inbounds[index].used:
            raise KeyError(f"inbound stream {stream}")
        return &self.e.inbounds[index]

    def set_pattern(self, stream, pattern):
        if not 40 <= pattern.payload_bytes <= 1400 or pattern.bitrate_bps < 0:
            raise ValueError(f"{pattern}")
        self._acquire()
        try:
            self._set_pattern(self._outbound(stream), pattern, net_monotonic_us())
        finally:
            pthread_mutex_unlock(&self.lock)

    def add_inbound(
        self, connection, *, uint32_t ssrc, str kind, uint32_t rtx_ssrc=0, highest=None
    ):
        cdef inbound *s
        cdef int32_t index
        if kind not in ("audio", "video") or ssrc == 0:
            raise ValueError(f"SSRC {ssrc} of kind {kind!r}")
        self._acquire()
        try:
            c = self._connection(connection)
            if not self.free_inbounds and self.inbounds == MAX_INBOUND:
                raise ValueError("too many streams")
            if self.free_inbounds:
                index = self.free_inbounds.pop()
            else:
                index = self.inbounds
                self.inbounds += 1
            s = &self.e.inbounds[index]
            memset(s, 0, sizeof(inbound))
            s.used = True
            s.is_video = kind == "video"
            s.connection = connection
            s.next = c.first_inbound
            c.first_inbound = index
            s.ssrc, s.rtx_ssrc = ssrc, rtx_ssrc
            if highest is not None:
                inbound_resume(&self.e, c, s, highest)
            if table_put(c, ssrc, index) != 0 or (
                rtx_ssrc and table_put(c, rtx_ssrc, index | RTX_FLAG) != 0
            ):
                raise MemoryError()
            return index + INBOUND_BASE
        finally:
            pthread_mutex_unlock(&self.lock)

    def request_key_frame(self, stream):
        self._acquire()
        try:
            s = self._inbound(stream)
            s.key_frame_wanted = True
            control_timer(&self.e, &self.e.connections[s.connection], net_monotonic_us())
        finally:
            pthread_mutex_unlock(&self.lock)

    def remove(self, stream):
        self._acquire()
        try:
            if stream >= INBOUND_BASE:
                self._inbound(stream)
                inbound_close(&self.e, stream - INBOUND_BASE)
                self.free_inbounds.append(stream - INBOUND_BASE)
            else:
                self._outbound(stream)
                outbound_close(&self.e, stream)
                self.free_outbounds.append(stream)
        finally:
            pthread_mutex_unlock(&self.lock)

    def assume_sent(self, stream, uint64_t packets, uint32_t timestamp):
        self._acquire()
        try:
            s = self._outbound(stream)
            s.packets += packets
            s.rtp_ts, s.frame_at_us = timestamp, net_monotonic_us()
            return s.key_frame_requests
        finally:
            pthread_mutex_unlock(&self.lock)

    def assume_received(self, connection, packets, uint16_t first, const int64_t[::1] arrivals_us):
        cdef int64_t count = arrivals_us.shape[0]
        self._acquire()
        try:
            c = self._connection(connection)
            for stream, number in packets.items():
                inbound_assume(&self.e, self._inbound(stream), number)
            if count:
                with nogil:
                    control_assume(&self.e, c, first, &arrivals_us[0], count)
        finally:
            pthread_mutex_unlock(&self.lock)

    # What comes back

    def fileno(self):
        return self.e.event_fd

    def datagrams(self):
        cdef engine_state *e = &self.e
        cdef queued *slot
        cdef uint64_t unused
        found = []
        self._acquire()
        try:
            read(e.event_fd, &unused, sizeof(unused))
            while e.queue_head != e.queue_tail:
                slot = &e.queue[e.queue_head & (QUEUE_SLOTS - 1)]
                data = (<const char *>&slot.data[0])[:slot.length]
                found.append((slot.connection, data, self.remotes[slot.connection]))
                e.queue_head += 1
        finally:
            pthread_mutex_unlock(&self.lock)
        return found

    def outbound(self, stream):
        self._acquire()
        try:
            s = self._outbound(stream)[0]
        finally:
            pthread_mutex_unlock(&self.lock)
        return OutboundCounters(
            packets=s.packets, bytes=s.bytes, frames=s.frames, key_frames=s.key_frames,
            nacked=s.nacked, retransmitted=s.retransmitted,
            key_frame_requests=s.key_frame_requests, late_frames=s.late_frames,
            transport_cc=s.transport_cc, fraction_lost=s.fraction_lost / 256.0, first_us=s.first_us,
        )

    def inbound(self, stream):
        cdef uint64_t given_up = 0
        cdef inbound s
        self._acquire()
        try:
            s = self._inbound(stream)[0]
            if s.losses != NULL:
                given_up = s.losses.given_up
        finally:
            pthread_mutex_unlock(&self.lock)
        return InboundCounters(
            packets=s.statistics.packets, bytes=s.bytes, duplicates=s.duplicates, lost=s.lost,
            reordered=s.reordered, recovered=s.recovered, given_up=given_up, nacks=s.nacks,
            plis=s.plis, sender_reports=s.sender_reports, highest=s.window.highest,
            first_us=s.first_us, last_us=s.last_us,
        )

    def totals(self):
        cdef int32_t i
        cdef uint64_t drops
        self._acquire()
        try:
            counts = [self.e.counts[i] for i in range(COUNTERS)]
            drops = self.drops_gone
            for i in range(self.connections):
                if self.e.connections[i].used and not self.e.connections[i].way.source:
                    drops += net_drops(self.e.connections[i].fd)
            for i in range(len(self.shared)):
                drops += net_drops(self.e.sockets[MAX_CONNECTIONS + i].fd)
        finally:
            pthread_mutex_unlock(&self.lock)
        return Totals(**dict(zip(_COUNTERS, counts)), receive_drops=drops)

    def latency(self):
        cdef int i
        self._acquire()
        try:
            buckets = [self.e.latency[i] for i in range(LATENCY_BUCKETS)]
            max_us = self.e.latency_max_us
            memset(self.e.latency, 0, sizeof(self.e.latency))
            self.e.latency_max_us = 0
        finally:
            pthread_mutex_unlock(&self.lock)
        return Latency(buckets, LATENCY_STEPS, max_us)

    def cpu_ns(self):
        return net_thread_cpu_ns(self.thread_id) if self.thread.is_alive() else 0
