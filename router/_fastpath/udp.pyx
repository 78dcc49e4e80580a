"""The UDP socket of the data plane as a Python object: for tests and the load generator."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import os

from .errors cimport FP_ERR_FORMAT, FP_ERR_SYSTEM, FP_OK
from .udp cimport (
    UDP_BATCH, datagram, out_message, sockaddr_in6, udp_close, udp_count_drops, udp_implies_local,
    udp_open, udp_path, udp_receive, udp_send, udp_socket,
)


cdef extern from "<arpa/inet.h>" nogil:
    enum:
        AF_INET
        AF_INET6
        INET6_ADDRSTRLEN
    int inet_pton(int family, const char *text, void *address)
    const char *inet_ntop(int family, const void *address, char *text, uint32_t size)
    uint16_t htons(uint16_t x)
    uint16_t ntohs(uint16_t x)

cdef const uint8_t *V4_MAPPED_PREFIX = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"


cdef int parse_address(sockaddr_in6 *out, address) except -1:
    """A numeric address and port; IPv4 becomes IPv4-mapped."""
    cdef bytes host = address[0].encode()
    memset(out, 0, sizeof(sockaddr_in6))
    out.sin6_family = AF_INET6
    out.sin6_port = htons(<uint16_t>address[1])
    if inet_pton(AF_INET, host, &out.sin6_addr.s6_addr[12]) == 1:
        memcpy(&out.sin6_addr.s6_addr[0], V4_MAPPED_PREFIX, 12)
    elif inet_pton(AF_INET6, host, &out.sin6_addr.s6_addr[0]) != 1:
        raise ValueError(f"not a numeric address: {address[0]!r}")
    return 0


cdef format_address(const sockaddr_in6 *address):
    return format_host(<const uint8_t *>&address.sin6_addr), ntohs(address.sin6_port)


cdef format_host(const uint8_t *host):
    cdef char text[INET6_ADDRSTRLEN]
    if host[:12] == V4_MAPPED_PREFIX[:12]:
        inet_ntop(AF_INET, host + 12, text, sizeof(text))
    else:
        inet_ntop(AF_INET6, host, text, sizeof(text))
    return (<bytes>text).decode()


cdef class UdpSocket:
    cdef udp_socket s
    cdef datagram batch[UDP_BATCH]

    def __cinit__(self, address, port=0, *, int receive_buffer=0, int send_buffer=0):
        self.s.fd = -1
        cdef bytes host = address.encode()
        cdef int status = udp_open(&self.s, host, port, receive_buffer, send_buffer)
        if status == FP_ERR_FORMAT:
            raise ValueError(f"not a numeric address: {address!r}")
        if status != FP_OK:
            raise OSError(self.s.error, os.strerror(self.s.error), f"{address} port {port}")

    def __dealloc__(self):
        udp_close(&self.s)

    def close(self):
        udp_close(&self.s)

    def fileno(self):
        return self.s.fd

    @property
    def port(self):
        return self.s.port

    @property
    def dual_stack(self):
        return self.s.family == AF_INET6

    @property
    def gro(self):
        return bool(self.s.gro)

    @property
    def gso(self):
        return bool(self.s.gso)

    @property
    def buffers(self):
        return self.s.receive_buffer, self.s.send_buffer

    def counters(self):
        udp_count_drops(&self.s)
        return self.s.counters

    cdef int _receive(self, int capacity) except -1:
        cdef int count
        if self.s.fd < 0 or not 0 < capacity <= UDP_BATCH:
            raise ValueError(f"a socket that is open and a capacity of 1..{UDP_BATCH} are needed")
        count = udp_receive(&self.s, self.batch, capacity)
        if count == FP_ERR_SYSTEM:
            raise OSError(self.s.error, os.strerror(self.s.error))
        return count

    def receive(self, int capacity=UDP_BATCH):
        cdef int i
        return [
            (self.batch[i].data[:self.batch[i].length], format_address(&self.batch[i].path.remote))
            for i in range(self._receive(capacity))
        ]

    def receive_with_local(self, int capacity=UDP_BATCH):
        cdef int i
        return [
            (
                self.batch[i].data[:self.batch[i].length],
                format_address(&self.batch[i].path.remote),
                format_host(<const uint8_t *>&self.batch[i].path.local.ipi6_addr),
            )
            for i in range(self._receive(capacity))
        ]

    def implies_local(self, address, local):
        cdef udp_path path
        cdef sockaddr_in6 ours
        parse_address(&path.remote, address)
        parse_address(&ours, (local, 0))
        path.local.ipi6_addr = ours.sin6_addr
        return udp_implies_local(&self.s, &path) != 0

    def send(self, messages):
        cdef Py_ssize_t count = len(messages), i
        cdef out_message *array
        cdef udp_path *paths
        cdef sockaddr_in6 local
        cdef bytes data
        if self.s.fd < 0:
            raise ValueError("the socket is closed")
        array = <out_message *>calloc(count + 1, sizeof(out_message))
        paths = <udp_path *>calloc(count + 1, sizeof(udp_path))
        try:
            if array == NULL or paths == NULL:
                raise MemoryError
            for i, (data, address, segment_size, *source) in enumerate(messages):
                parse_address(&paths[i].remote, address)
                if source:
                    parse_address(&local, (*source, 0))
                    paths[i].local.ipi6_addr = local.sin6_addr
                array[i].data = <uint8_t *><char *>data
                array[i].length = <uint32_t>len(data)
                array[i].segment_size = segment_size
                array[i].path = &paths[i]
            return udp_send(&self.s, array, <int>count)
        finally:
            free(array)
            free(paths)
