"""
STUN for the ICE-lite responder (RFC 8489, RFC 8445): parse, verify, answer.

MESSAGE-INTEGRITY-SHA256 is not used: ICE (RFC 8445 7.1) asks for MESSAGE-INTEGRITY.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

from .errors cimport FP_ERR_AUTH, FP_ERR_FORMAT, FP_OK
from .sha1 cimport HMAC_SHA1_LENGTH, hmac_sha1, hmac_sha1_init, hmac_sha1_key
from .udp cimport sockaddr_in6


cdef extern from "bytes.h" nogil:
    uint16_t load_be16(const void *p)
    uint32_t load_be32(const void *p)
    uint64_t load_be64(const void *p)
    void store_be16(void *p, uint16_t x)
    void store_be32(void *p, uint32_t x)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        AF_INET6
    uint16_t htons(uint16_t x)
    uint16_t ntohs(uint16_t x)

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *text, void *address)

cdef enum:
    ATTRIBUTE_HEADER = 4
    INTEGRITY_LENGTH = ATTRIBUTE_HEADER + HMAC_SHA1_LENGTH
    FINGERPRINT_LENGTH = ATTRIBUTE_HEADER + 4
    LENGTH_OFFSET = 2
    COOKIE_OFFSET = 4
    TRANSACTION_OFFSET = 8
    TRANSACTION_LENGTH = 12

    # RFC 8489 18.3 and RFC 8445 16.1; from 0x8000 on, comprehension is optional.
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    COMPREHENSION_OPTIONAL = 0x8000
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A

    FAMILY_IPV4 = 1
    FAMILY_IPV6 = 2
    CLASS_SUCCESS = 0x0100
    CLASS_ERROR = 0x0110
    MAX_USERNAME = 513              # bytes, RFC 8489 14.3

cdef uint32_t MAGIC_COOKIE = 0x2112A442
cdef uint32_t FINGERPRINT_XOR = 0x5354554E
cdef const uint8_t *V4_MAPPED_PREFIX = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"

# CRC-32 of ITU-T V.42, as in zip files.
cdef uint32_t crc_table[256]


cdef void fill_crc_table() noexcept:
    cdef uint32_t value
    cdef int i, _bit
    for i in range(256):
        value = <uint32_t>i
        for _bit in range(8):
            value = (value >> 1) ^ (<uint32_t>0xEDB88320 if value & 1 else <uint32_t>0)
        crc_table[i] = value


fill_crc_table()


cdef uint32_t fingerprint_of(const uint8_t *data, int length) noexcept nogil:
    cdef uint32_t crc = <uint32_t>0xFFFFFFFF
    cdef int i
    for i in range(length):
        crc = crc_table[(crc ^ data[i]) & 0xFF] ^ (crc >> 8)
    return ~crc ^ FINGERPRINT_XOR


# Parsing

cdef inline bint is_understood(int kind) noexcept nogil:
    return (
        kind == USERNAME or kind == MESSAGE_INTEGRITY or kind == PRIORITY
        or kind == USE_CANDIDATE or kind == REALM or kind == NONCE
        or kind == MESSAGE_INTEGRITY_SHA256 or kind == ERROR_CODE
        or kind == UNKNOWN_ATTRIBUTES or kind == XOR_MAPPED_ADDRESS
    )


cdef int read_attribute(
    stun_request *out, int kind, const uint8_t *data, int offset, int length
) noexcept nogil:
    """Note the attribute at `offset`, `length` bytes of value behind its header."""
    cdef const uint8_t *value = data + offset + ATTRIBUTE_HEADER
    cdef const uint8_t *colon
    if kind == USERNAME:
        if out.username_offset or length > MAX_USERNAME:
            return FP_ERR_FORMAT if length > MAX_USERNAME else FP_OK
        out.username_offset = <uint16_t>(offset + ATTRIBUTE_HEADER)
        out.username_length = <uint16_t>length
        colon = <const uint8_t *>memchr(value, c':', length)
        if colon != NULL:
            out.local_ufrag_length = <uint16_t>(colon - value)
    elif kind == MESSAGE_INTEGRITY:
        if length != HMAC_SHA1_LENGTH:
            return FP_ERR_FORMAT
        out.integrity_offset = <uint16_t>offset
    elif kind == PRIORITY:
        if length != 4:
            return FP_ERR_FORMAT
        out.has_priority = 1
        out.priority = load_be32(value)
    elif kind == USE_CANDIDATE:
        if length != 0:
            return FP_ERR_FORMAT
        out.use_candidate = 1
    elif kind == ICE_CONTROLLED or kind == ICE_CONTROLLING:
        if length != 8:
            return FP_ERR_FORMAT
        out.role = STUN_ROLE_CONTROLLED if kind == ICE_CONTROLLED else STUN_ROLE_CONTROLLING
        out.tie_breaker = load_be64(value)
    elif kind < COMPREHENSION_OPTIONAL and not is_understood(kind):
        if out.unknown_count < STUN_MAX_UNKNOWN:
            out.unknown[out.unknown_count] = <uint16_t>kind
            out.unknown_count += 1
    return FP_OK


cdef int read_fingerprint(
    stun_request *out, const uint8_t *data, int offset, int length
) noexcept nogil:
    """It is the last attribute (RFC 8489 14.7)."""
    if length != 4 or offset + FINGERPRINT_LENGTH != out.length:
        return FP_ERR_FORMAT
    out.fingerprint = STUN_FINGERPRINT_WRONG
    if load_be32(data + offset + ATTRIBUTE_HEADER) == fingerprint_of(data, offset):
        out.fingerprint = STUN_FINGERPRINT_VALID
    return FP_OK


cdef int stun_parse(const uint8_t *data, int length, stun_request *out) noexcept nogil:
    cdef int offset = STUN_HEADER_LENGTH, kind, value_length, status
    if length < STUN_HEADER_LENGTH or length > 0xFFFF or data[0] & 0xC0:
        return FP_ERR_FORMAT
    if load_be32(data + COOKIE_OFFSET) != MAGIC_COOKIE:
        return FP_ERR_FORMAT
    if load_be16(data + LENGTH_OFFSET) != length - STUN_HEADER_LENGTH or length & 3:
        return FP_ERR_FORMAT
    memset(out, 0, sizeof(stun_request))
    out.message_type = load_be16(data)
    out.length = <uint16_t>length
    memcpy(out.transaction_id, data + TRANSACTION_OFFSET, TRANSACTION_LENGTH)
    while offset < length:
        if length - offset < ATTRIBUTE_HEADER:
            return FP_ERR_FORMAT
        kind = load_be16(data + offset)
        value_length = load_be16(data + offset + 2)
        if value_length > length - offset - ATTRIBUTE_HEADER:
            return FP_ERR_FORMAT
        status = FP_OK
        if kind == FINGERPRINT:
            status = read_fingerprint(out, data, offset, value_length)
        elif out.integrity_offset == 0:
            status = read_attribute(out, kind, data, offset, value_length)
        if status != FP_OK:
            return status
        offset += ATTRIBUTE_HEADER + ((value_length + 3) & ~3)
    return FP_OK


# Integrity

cdef void integrity_of(
    const uint8_t *message, int offset, const uint8_t *password, int password_length, uint8_t *out
) noexcept nogil:
    """RFC 8489 14.5: over all before the attribute, with a length that ends behind it."""
    cdef uint8_t header[STUN_HEADER_LENGTH]
    cdef hmac_sha1_key key
    memcpy(header, message, STUN_HEADER_LENGTH)
    store_be16(
        header + LENGTH_OFFSET, <uint16_t>(offset + INTEGRITY_LENGTH - STUN_HEADER_LENGTH)
    )
    hmac_sha1_init(&key, password, password_length)
    hmac_sha1(
        &key, header, STUN_HEADER_LENGTH,
        message + STUN_HEADER_LENGTH, offset - STUN_HEADER_LENGTH, out
    )


cdef int stun_verify(
    const stun_request *request, const uint8_t *data, const uint8_t *password, int password_length
) noexcept nogil:
    cdef uint8_t computed[HMAC_SHA1_LENGTH]
    cdef const uint8_t *received
    cdef uint8_t difference = 0
    cdef int i
    if request.integrity_offset == 0:
        return FP_ERR_AUTH
    integrity_of(data, request.integrity_offset, password, password_length, computed)
    received = data + request.integrity_offset + ATTRIBUTE_HEADER
    for i in range(HMAC_SHA1_LENGTH):
        difference |= computed[i] ^ received[i]
    return FP_OK if difference == 0 else FP_ERR_AUTH


# Responses

cdef int put_header(
    const stun_request *request, int message_class, uint8_t *out
) noexcept nogil:
    """The request's method with another class; the length is set by finish()."""
    store_be16(out, <uint16_t>((request.message_type & ~CLASS_ERROR) | message_class))
    store_be16(out + LENGTH_OFFSET, 0)
    store_be32(out + COOKIE_OFFSET, MAGIC_COOKIE)
    memcpy(out + TRANSACTION_OFFSET, request.transaction_id, TRANSACTION_LENGTH)
    return STUN_HEADER_LENGTH


cdef int put_attribute_header(uint8_t *out, int offset, int kind, int length) noexcept nogil:
    store_be16(out + offset, <uint16_t>kind)
    store_be16(out + offset + 2, <uint16_t>length)
    return offset + ATTRIBUTE_HEADER


cdef int put_xor_mapped_address(
    uint8_t *out, int offset, const sockaddr_in6 *mapped
) noexcept nogil:
    """RFC 8489 14.2: XOR with magic cookie and transaction id, as they stand in the header."""
    cdef const uint8_t *address = <const uint8_t *>&mapped.sin6_addr.s6_addr[0]
    cdef bint is_v4 = memcmp(address, V4_MAPPED_PREFIX, 12) == 0
    cdef int length = 4 if is_v4 else 16, i
    if is_v4:
        address += 12
    offset = put_attribute_header(out, offset, XOR_MAPPED_ADDRESS, 4 + length)
    store_be16(out + offset, FAMILY_IPV4 if is_v4 else FAMILY_IPV6)
    store_be16(out + offset + 2, <uint16_t>(ntohs(mapped.sin6_port) ^ (MAGIC_COOKIE >> 16)))
    for i in range(length):
        out[offset + 4 + i] = address[i] ^ out[COOKIE_OFFSET + i]
    return offset + 4 + length


cdef const char *reason_of(int code) noexcept nogil:
    """RFC 8489 14.8, RFC 8445 16.2."""
    if code == 400:
        return "Bad Request"
    if code == 401:
        return "Unauthenticated"
    if code == 420:
        return "Unknown Attribute"
    if code == 487:
        return "Role Conflict"
    if code == 500:
        return "Server Error"
    return ""


cdef int put_error_code(uint8_t *out, int offset, int code, const char *reason) noexcept nogil:
    cdef int length = <int>strlen(reason), padded = (length + 3) & ~3
    offset = put_attribute_header(out, offset, ERROR_CODE, 4 + length)
    store_be16(out + offset, 0)
    out[offset + 2] = <uint8_t>(code // 100)
    out[offset + 3] = <uint8_t>(code % 100)
    memset(out + offset + 4, 0, padded)
    memcpy(out + offset + 4, reason, length)
    return offset + 4 + padded


cdef int put_unknown_attributes(
    uint8_t *out, int offset, const stun_request *request
) noexcept nogil:
    cdef int length = 2 * request.unknown_count, i
    offset = put_attribute_header(out, offset, UNKNOWN_ATTRIBUTES, length)
    for i in range(request.unknown_count):
        store_be16(out + offset + 2 * i, request.unknown[i])
    if length & 3:
        store_be16(out + offset + length, 0)
    return offset + ((length + 3) & ~3)


cdef int finish(
    const stun_request *request, uint8_t *out, int offset,
    const uint8_t *password, int password_length
) noexcept nogil:
    """Append MESSAGE-INTEGRITY and FINGERPRINT; 0 when that gives more than came in."""
    cdef int length = offset + FINGERPRINT_LENGTH
    if password != NULL:
        length += INTEGRITY_LENGTH
    if length > request.length or length > STUN_MAX_RESPONSE:
        return 0
    if password != NULL:
        put_attribute_header(out, offset, MESSAGE_INTEGRITY, HMAC_SHA1_LENGTH)
        integrity_of(out, offset, password, password_length, out + offset + ATTRIBUTE_HEADER)
        offset += INTEGRITY_LENGTH
    store_be16(out + LENGTH_OFFSET, <uint16_t>(length - STUN_HEADER_LENGTH))
    put_attribute_header(out, offset, FINGERPRINT, 4)
    store_be32(out + offset + ATTRIBUTE_HEADER, fingerprint_of(out, offset))
    return length


cdef int stun_success(
    const stun_request *request, const sockaddr_in6 *mapped,
    const uint8_t *password, int password_length, uint8_t *out
) noexcept nogil:
    cdef int offset = put_header(request, CLASS_SUCCESS, out)
    offset = put_xor_mapped_address(out, offset, mapped)
    return finish(request, out, offset, password, password_length)


cdef int stun_error(
    const stun_request *request, int code,
    const uint8_t *password, int password_length, uint8_t *out
) noexcept nogil:
    cdef const char *reason = reason_of(code)
    cdef int offset, length, _attempt
    for _attempt in range(2):
        offset = put_header(request, CLASS_ERROR, out)
        offset = put_error_code(out, offset, code, reason)
        if code == 420:
            offset = put_unknown_attributes(out, offset, request)
        length = finish(request, out, offset, password, password_length)
        if length:
            return length
        reason = ""     # a phrase for people; the code says it all
    return 0


# The Python face, for tests

cdef class StunMessage:
    cdef stun_request view
    cdef bytes data

    def __cinit__(self, bytes data not None):
        self.data = data
        cdef const uint8_t *p = <const uint8_t *><const char *>data
        if len(data) > 0xFFFF or stun_parse(p, <int>len(data), &self.view) != FP_OK:
            raise ValueError("not a STUN message")

    @property
    def message_type(self):
        return self.view.message_type

    @property
    def transaction_id(self):
        return bytes(self.view.transaction_id[:TRANSACTION_LENGTH])

    @property
    def username(self):
        cdef int offset = self.view.username_offset
        return self.data[offset:offset + self.view.username_length] if offset else None

    @property
    def local_username_fragment(self):
        username = self.username
        return username[:self.view.local_ufrag_length] if username else None

    @property
    def has_integrity(self):
        return self.view.integrity_offset != 0

    @property
    def use_candidate(self):
        return bool(self.view.use_candidate)

    @property
    def role(self):
        return self.view.role

    @property
    def tie_breaker(self):
        return self.view.tie_breaker

    @property
    def priority(self):
        return self.view.priority if self.view.has_priority else None

    @property
    def fingerprint(self):
        return self.view.fingerprint

    @property
    def unknown_attributes(self):
        return tuple([self.view.unknown[i] for i in range(self.view.unknown_count)])

    def verify(self, bytes password not None):
        return stun_verify(
            &self.view, <const uint8_t *><const char *>self.data,
            <const uint8_t *><const char *>password, <int>len(password)
        ) == FP_OK

    def success(self, address, bytes password not None):
        cdef sockaddr_in6 mapped
        cdef uint8_t out[STUN_MAX_RESPONSE]
        cdef bytes host = address[0].encode()
        cdef int length
        memset(&mapped, 0, sizeof(mapped))
        mapped.sin6_family = AF_INET6
        mapped.sin6_port = htons(<uint16_t>address[1])
        if b":" not in host:
            host = b"::ffff:" + host
        if inet_pton(AF_INET6, host, &mapped.sin6_addr.s6_addr[0]) != 1:
            raise ValueError(f"not a numeric address: {address[0]!r}")
        length = stun_success(
            &self.view, &mapped, <const uint8_t *><const char *>password, <int>len(password), out
        )
        return out[:length]

    def error(self, int code, bytes password=None):
        cdef uint8_t out[STUN_MAX_RESPONSE]
        cdef const uint8_t *secret = NULL
        cdef int length
        if password is not None:
            secret = <const uint8_t *><const char *>password
        length = stun_error(
            &self.view, code, secret, 0 if password is None else <int>len(password), out
        )
        return out[:length]
