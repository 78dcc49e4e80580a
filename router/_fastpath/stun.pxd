# STUN for the ICE-lite responder (RFC 8489, RFC 8445): parse, verify, answer. Nothing allocates.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from .udp cimport sockaddr_in6

cdef enum:
    STUN_BINDING_REQUEST = 0x0001
    STUN_BINDING_INDICATION = 0x0011
    STUN_BINDING_SUCCESS = 0x0101
    STUN_BINDING_ERROR = 0x0111

    STUN_HEADER_LENGTH = 20
    STUN_MAX_UNKNOWN = 8            # unknown attributes that a view keeps
    STUN_MAX_RESPONSE = 128         # bytes that stun_success and stun_error write at most

cdef enum stun_fingerprint:
    STUN_FINGERPRINT_ABSENT = 0
    STUN_FINGERPRINT_VALID = 1
    STUN_FINGERPRINT_WRONG = 2

cdef enum stun_role:
    STUN_ROLE_NONE = 0
    STUN_ROLE_CONTROLLING = 1
    STUN_ROLE_CONTROLLED = 2

# A view of offsets into the message that was parsed; valid as long as its bytes are.
cdef struct stun_request:
    uint16_t message_type           # STUN_BINDING_...; any method and class is parsed
    uint16_t length                 # whole message
    uint8_t transaction_id[12]
    uint16_t username_offset        # 0 when there is none
    uint16_t username_length
    uint16_t local_ufrag_length     # part of USERNAME before ':', which is ours; 0 without ':'
    uint16_t integrity_offset       # of the MESSAGE-INTEGRITY attribute; 0 when there is none
    uint8_t use_candidate
    uint8_t role                    # of the sender: stun_role
    uint8_t has_priority
    uint8_t fingerprint             # stun_fingerprint
    uint32_t priority
    uint64_t tie_breaker
    uint16_t unknown_count          # comprehension-required attributes that we do not know
    uint16_t unknown[STUN_MAX_UNKNOWN]

# Returns FP_OK or FP_ERR_FORMAT. Attributes behind MESSAGE-INTEGRITY do not count (RFC 8489 14.5).
cdef int stun_parse(const uint8_t *data, int length, stun_request *out) noexcept nogil

# Checks MESSAGE-INTEGRITY (short-term credentials) in constant time. Returns FP_OK or FP_ERR_AUTH.
cdef int stun_verify(
    const stun_request *request, const uint8_t *data, const uint8_t *password, int password_length
) noexcept nogil

# Write a response of at most STUN_MAX_RESPONSE bytes with MESSAGE-INTEGRITY and FINGERPRINT and
# return its length, or 0 when it would be longer than the request. stun_error without a password
# (NULL) carries no MESSAGE-INTEGRITY; code 420 lists the unknown attributes.
cdef int stun_success(
    const stun_request *request, const sockaddr_in6 *mapped,
    const uint8_t *password, int password_length, uint8_t *out
) noexcept nogil
cdef int stun_error(
    const stun_request *request, int code,
    const uint8_t *password, int password_length, uint8_t *out
) noexcept nogil
