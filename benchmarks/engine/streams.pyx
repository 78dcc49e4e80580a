"""Streams and connections; the contract is in ``streams.pxd``."""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from benchmarks.engine.rounds cimport EPOLL_CTL_DEL, epoll_ctl, epoll_event
from benchmarks.engine.state cimport (
    NOBODY,
    RTX_FLAG,
    SHARED_ADDRESSES,
    inbound,
    outbound,
    udp_socket,
)
from router._fastpath.deadlines cimport NEVER_US, deadlines_set
from router._fastpath.srtp cimport srtp_session_clear

cdef enum:
    SMALLEST_TABLE = 8


cdef void _table_insert(connection *c, uint32_t ssrc, int32_t stream) noexcept nogil:
    cdef uint32_t at = ssrc * <uint32_t>2654435761
    at = (at >> 16) & c.table_mask
    while c.table_ssrc[at] and c.table_ssrc[at] != ssrc:
        at = (at + 1) & c.table_mask
    c.table_count += 0 if c.table_ssrc[at] else 1
    c.table_ssrc[at] = ssrc
    c.table_stream[at] = stream


cdef inline void _forget_recent(connection *c) noexcept nogil:
    memset(c.recent_ssrc, 0, sizeof(c.recent_ssrc))


cdef int table_put(connection *c, uint32_t ssrc, int32_t stream) noexcept nogil:
    cdef uint32_t *ssrcs
    cdef int32_t *streams
    cdef uint32_t old_mask = c.table_mask
    cdef uint32_t *old_ssrcs = c.table_ssrc
    cdef int32_t *old_streams = c.table_stream
    cdef uint32_t size
    cdef uint32_t i
    if old_ssrcs == NULL or 2 * (c.table_count + 1) > old_mask + 1:
        size = SMALLEST_TABLE if old_ssrcs == NULL else 2 * (old_mask + 1)
        ssrcs = <uint32_t *>calloc(size, sizeof(uint32_t))
        streams = <int32_t *>calloc(size, sizeof(int32_t))
        if ssrcs == NULL or streams == NULL:
            free(ssrcs)
            free(streams)
            return -1
        c.table_ssrc = ssrcs
        c.table_stream = streams
        c.table_mask = size - 1
        c.table_count = 0
        if old_ssrcs != NULL:
            for i in range(old_mask + 1):
                if old_ssrcs[i]:
                    _table_insert(c, old_ssrcs[i], old_streams[i])
            free(old_ssrcs)
            free(old_streams)
    _table_insert(c, ssrc, stream)
    _forget_recent(c)
    return 0


cdef void _table_forget(connection *c, int32_t stream) noexcept nogil:
    """Leave the SSRCs in place, for nobody."""
    cdef uint32_t i
    _forget_recent(c)
    if c.table_ssrc != NULL:
        for i in range(c.table_mask + 1):
            if c.table_ssrc[i] and (c.table_stream[i] & (RTX_FLAG - 1)) == stream:
                c.table_stream[i] = NOBODY


cdef void outbound_close(engine_state *e, int32_t index) noexcept nogil:
    cdef outbound *s = &e.outbounds[index]
    cdef int32_t *link = &e.connections[s.connection].first_outbound
    while link[0] != index:
        link = &e.outbounds[link[0]].next
    link[0] = s.next
    deadlines_set(&e.sending[s.is_video], <uint32_t>index, NEVER_US)
    free(s.history)
    memset(s, 0, sizeof(outbound))


cdef void inbound_close(engine_state *e, int32_t index) noexcept nogil:
    cdef inbound *s = &e.inbounds[index]
    cdef connection *c = &e.connections[s.connection]
    cdef int32_t *link = &c.first_inbound
    while link[0] != index:
        link = &e.inbounds[link[0]].next
    link[0] = s.next
    _table_forget(c, index)
    c.streams -= s.window.started
    c.speakers -= s.window.started and not s.is_video
    free(s.losses)
    memset(s, 0, sizeof(inbound))


cdef void connection_close(engine_state *e, int32_t index) noexcept nogil:
    cdef connection *c = &e.connections[index]
    cdef epoll_event unused
    while c.first_outbound != NOBODY:
        outbound_close(e, c.first_outbound)
    while c.first_inbound != NOBODY:
        inbound_close(e, c.first_inbound)
    if c.way.source:
        e.by_address[c.way.source & (SHARED_ADDRESSES - 1)] = NOBODY
    else:
        epoll_ctl(e.epoll_fd, EPOLL_CTL_DEL, c.fd, &unused)
        memset(&e.sockets[index], 0, sizeof(udp_socket))
    deadlines_set(&e.control, <uint32_t>index, NEVER_US)
    if c.keys != NULL:
        srtp_session_clear(&c.keys[0])
        srtp_session_clear(&c.keys[1])
    free(c.keys)
    free(c.arrivals)
    free(c.table_ssrc)
    free(c.table_stream)
    memset(c, 0, sizeof(connection))
