# SHA-1 and HMAC-SHA1: the kernels that were chosen for this processor.

from libc.stdint cimport uint8_t, uint32_t

from .srtp cimport srtp_keys

cdef enum:
    HMAC_SHA1_LENGTH = 20


cdef extern from "srtp_types.h" nogil:
    struct hmac_job:
        const srtp_keys *keys
        const uint8_t *message
        uint8_t *tag
        uint32_t trailer

# An HMAC key: SHA-1 states behind its inner and outer block.
cdef struct hmac_sha1_key:
    uint32_t inner[5]
    uint32_t outer[5]

# A key of any length (RFC 2104 2).
cdef void hmac_sha1_init(hmac_sha1_key *key, const uint8_t *secret, int length) noexcept nogil

# HMAC-SHA1 of two pieces, one behind the other; writes 20 bytes. Borrows all.
cdef void hmac_sha1(
    const hmac_sha1_key *key, const uint8_t *head, int head_length,
    const uint8_t *rest, int rest_length, uint8_t *out
) noexcept nogil

# Sets the HMAC states of SRTP keys.
cdef void hmac_sha1_init_keys(srtp_keys *keys, const uint8_t *secret, int length) noexcept nogil

# HMAC-SHA1-80 over messages of one length, under a key each.
cdef void hmac_sha1_80(
    const hmac_job *jobs, int count, uint32_t message_length, bint with_trailer
) noexcept nogil
