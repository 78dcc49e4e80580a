"""Kept output; the contract is in ``capture.pxd``."""

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset


cdef extern from "<arpa/inet.h>" nogil:
    enum:
        AF_INET
        AF_INET6
        INET6_ADDRSTRLEN
    int inet_pton(int family, const char *text, void *address)
    const char *inet_ntop(int family, const void *address, char *text, uint32_t size)
    uint16_t htons(uint16_t x)
    uint16_t ntohs(uint16_t x)


cdef struct record:
    udp_path path
    uint32_t length


cdef void _keep(
    capture *c, const uint8_t *data, uint32_t length, const udp_path *path
) noexcept nogil:
    cdef size_t needed = c.used + sizeof(record) + length
    cdef record head
    cdef uint8_t *grown
    if needed > c.size:
        grown = <uint8_t *>realloc(c.bytes, 2 * needed)
        if grown == NULL:
            c.failed = True
            return
        c.bytes = grown
        c.size = 2 * needed
    head.path = path[0]
    head.length = length
    memcpy(c.bytes + c.used, &head, sizeof(record))
    memcpy(c.bytes + c.used + sizeof(record), data, length)
    c.used = needed


cdef void capture_send(void *context, const out_message *messages, int count) noexcept nogil:
    cdef capture *c = <capture *>context
    cdef const out_message *message
    cdef uint32_t at
    cdef uint32_t step
    cdef int i
    for i in range(count):
        message = &messages[i]
        step = message.segment_size if message.segment_size else message.length
        at = 0
        while at < message.length:
            _keep(
                c, message.data + at, min(step, message.length - at), message.path
            )
            at += step


cdef bint capture_implies(void *context, const udp_path *path) noexcept nogil:
    return False


cdef void capture_free(capture *c) noexcept nogil:
    free(c.bytes)
    c.bytes = NULL
    c.used = c.size = 0


cdef list capture_take(capture *c, bint with_local):
    cdef list taken = []
    cdef bytes data
    cdef size_t at = 0
    cdef record head
    if c.failed:
        c.failed = False
        raise MemoryError
    while at < c.used:
        memcpy(&head, c.bytes + at, sizeof(record))
        at += sizeof(record)
        data = (<const char *>c.bytes)[at:at + head.length]
        at += head.length
        remote = address_to_python(&head.path.remote)
        if with_local:
            taken.append((data, remote, host_to_python(&head.path.local.ipi6_addr)))
        else:
            taken.append((data, remote))
    c.used = 0
    return taken


cdef int address_from_python(sockaddr_in6 *out, object address) except -1:
    memset(out, 0, sizeof(sockaddr_in6))
    out.sin6_family = AF_INET6
    out.sin6_port = htons(<uint16_t>address[1])
    return host_from_python(&out.sin6_addr, address[0])


cdef tuple address_to_python(const sockaddr_in6 *address):
    return host_to_python(&address.sin6_addr), ntohs(address.sin6_port)


cdef int host_from_python(in6_addr *out, object host) except -1:
    memset(out, 0, sizeof(in6_addr))
    if host is None:
        return 0
    cdef bytes text = host.encode()
    if inet_pton(AF_INET, text, &out.s6_addr[12]) == 1:
        out.s6_addr[10] = out.s6_addr[11] = 0xFF
    elif inet_pton(AF_INET6, text, &out.s6_addr[0]) != 1:
        raise ValueError(f"not a numeric address: {host!r}")
    return 0


cdef object host_to_python(const in6_addr *host):
    cdef char text[INET6_ADDRSTRLEN]
    cdef uint8_t prefix[12]
    memset(prefix, 0, 12)
    if memcmp(host.s6_addr, prefix, 12) == 0 and memcmp(host.s6_addr + 12, prefix, 4) == 0:
        return None
    prefix[10] = prefix[11] = 0xFF
    if memcmp(host.s6_addr, prefix, 12) == 0:
        inet_ntop(AF_INET, host.s6_addr + 12, text, sizeof(text))
    else:
        inet_ntop(AF_INET6, host.s6_addr, text, sizeof(text))
    return (<bytes>text).decode()
