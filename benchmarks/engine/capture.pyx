"""All that comes to a socket; the contract is in ``capture.pxd``, documented in ``capture.pyi``."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from cpython.array cimport array, clone

from array import array as make_array

from benchmarks.engine.rounds cimport (
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from benchmarks.engine.state cimport (
    NET_SLOT,
    net_message,
    net_prepare,
    net_take,
)
from router._fastpath.wire cimport load32

cdef array _signed = make_array("q")


cdef bint _reserve(packet_log *log, size_t length) noexcept nogil:
    """Make room for so many bytes, and one packet more than there are; False without memory."""
    cdef void *larger
    if log.size + length > log.room:
        larger = realloc(log.data, 2 * log.room + (1 << 20))
        if larger == NULL:
            return False
        log.data, log.room = <uint8_t *>larger, 2 * log.room + (1 << 20)
    if log.count == log.places:
        larger = realloc(log.packets, (2 * log.places + 1024) * sizeof(taken))
        if larger == NULL:
            return False
        log.packets, log.places = <taken *>larger, 2 * log.places + 1024
    return True


cdef void _append(
    packet_log *log, const uint8_t *data, uint32_t length, int64_t at_ns
) noexcept nogil:
    cdef taken *packet = &log.packets[log.count]
    packet.at_ns, packet.offset, packet.length = at_ns, log.size, length
    packet.ssrc = load32(data + 8) if length >= 12 else 0
    if data != log.data + log.size:
        memmove(log.data + log.size, data, length)
    log.size += length
    log.count += 1


cdef list _empty(packet_log *log):
    """Return all that is kept, with the time of its arrival, and forget it."""
    cdef list found = []
    cdef taken *one
    cdef size_t i
    for i in range(log.count):
        one = &log.packets[i]
        found.append(((<const char *>log.data)[one.offset:one.offset + one.length], one.at_ns))
    log.size = log.count = 0
    return found


cdef inline bint _is_media(const uint8_t *data, uint32_t length) noexcept nogil:
    return length >= 12 and data[0] >> 6 == 2 and not 192 <= data[1] <= 223


cdef bint _take(intake *k) noexcept nogil:
    """Keep one message; False when none waits, or without memory."""
    cdef net_message m
    cdef packet_log *log
    cdef uint32_t at = 0
    cdef uint32_t length
    if not _reserve(&k.media, NET_SLOT):
        k.out_of_memory = True
        return False
    # What is media stays where the kernel puts it.
    if not net_take(k.fd, k.media.data + k.media.size, &m):
        return False
    while at < m.length:
        length = min(m.segment, m.length - at)
        log = &k.media if _is_media(m.data + at, length) else &k.others
        if not _reserve(log, length):
            k.out_of_memory = True
            return False
        _append(log, m.data + at, length, m.at_ns)
        at += length
    return True


cdef void intake_read(intake *k) noexcept nogil:
    pthread_mutex_lock(&k.lock)
    while _take(k):
        pass
    pthread_mutex_unlock(&k.lock)


# Packets by SSRC, and us of each arrival.
cdef tuple _count(intake *k):
    cdef const taken *packets = k.media.packets
    cdef dict counts = {}
    cdef array arrivals_us = clone(_signed, <Py_ssize_t>(k.media.count - k.counted), False)
    cdef int64_t *at_us = <int64_t *>arrivals_us.data.as_longlongs
    cdef size_t begin = k.counted
    cdef size_t first = begin
    while k.counted < k.media.count:
        at_us[k.counted - begin] = packets[k.counted].at_ns // 1000
        k.counted += 1
        # A frame's packets come one behind the other.
        if k.counted == k.media.count or packets[k.counted].ssrc != packets[first].ssrc:
            counts[packets[first].ssrc] = counts.get(packets[first].ssrc, 0) + k.counted - first
            first = k.counted
    return counts, arrivals_us


# To be unlocked by the caller, unless it raises.
cdef int _lock(intake *k) except -1:
    with nogil:
        pthread_mutex_lock(&k.lock)
    if k.out_of_memory:
        pthread_mutex_unlock(&k.lock)
        raise MemoryError()
    return 0


cdef class Capture:
    def __cinit__(self, socket):
        pthread_mutex_init(&self.k.lock, NULL)
        net_prepare(socket.fileno())
        self.socket, self.k.fd = socket, socket.fileno()

    def __dealloc__(self):
        free(self.k.media.data)
        free(self.k.media.packets)
        free(self.k.others.data)
        free(self.k.others.packets)
        pthread_mutex_destroy(&self.k.lock)

    def read(self):
        with nogil:
            intake_read(&self.k)
        _lock(&self.k)
        try:
            return [data for data, _ in _empty(&self.k.others)]
        finally:
            pthread_mutex_unlock(&self.k.lock)

    def arrivals(self):
        _lock(&self.k)
        try:
            return _count(&self.k)
        finally:
            pthread_mutex_unlock(&self.k.lock)

    def take(self):
        _lock(&self.k)
        try:
            self.k.counted = 0
            return _empty(&self.k.media)
        finally:
            pthread_mutex_unlock(&self.k.lock)
