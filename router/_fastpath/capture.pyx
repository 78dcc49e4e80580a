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
    sockaddr_in6 destination
    uint32_t length


cdef void _keep(
    capture *c, const uint8_t *data, uint32_t length, const sockaddr_in6 *destination
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
    head.destination = destination[0]
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
                c, message.data + at, min(step, message.length - at), message.destination
            )
            at += step


cdef void capture_free(capture *c) noexcept nogil:
    free(c.bytes)
    c.bytes = NULL
    c.used = c.size = 0


cdef list capture_take(capture *c):
    cdef list taken = []
    cdef size_t at = 0
    cdef record head
    if c.failed:
        c.failed = False
        raise MemoryError
    while at < c.used:
        memcpy(&head, c.bytes + at, sizeof(record))
        at += sizeof(record)
        taken.append(
            ((<const char *>c.bytes)[at:at + head.length], address_to_python(&head.destination))
        )
        at += head.length
    c.used = 0
    return taken


cdef int address_from_python(sockaddr_in6 *out, object address) except -1:
    cdef bytes host = address[0].encode()
    memset(out, 0, sizeof(sockaddr_in6))
    out.sin6_family = AF_INET6
    out.sin6_port = htons(<uint16_t>address[1])
    if inet_pton(AF_INET, host, &out.sin6_addr.s6_addr[12]) == 1:
        out.sin6_addr.s6_addr[10] = out.sin6_addr.s6_addr[11] = 0xFF
    elif inet_pton(AF_INET6, host, &out.sin6_addr.s6_addr[0]) != 1:
        raise ValueError(f"not a numeric address: {address[0]!r}")
    return 0


cdef tuple address_to_python(const sockaddr_in6 *address):
    cdef char text[INET6_ADDRSTRLEN]
    cdef const uint8_t *host = &address.sin6_addr.s6_addr[0]
    cdef uint8_t prefix[12]
    memset(prefix, 0, 10)
    prefix[10] = prefix[11] = 0xFF
    if memcmp(host, prefix, 12) == 0:
        inet_ntop(AF_INET, host + 12, text, sizeof(text))
    else:
        inet_ntop(AF_INET6, host, text, sizeof(text))
    return (<bytes>text).decode(), ntohs(address.sin6_port)
