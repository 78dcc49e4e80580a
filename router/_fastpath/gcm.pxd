# AES-128-GCM: keys, and the kernel that was chosen for this processor.

from libc.stdint cimport uint8_t, uint32_t

from .srtp cimport srtp_keys


cdef extern from "srtp_types.h" nogil:
    struct gcm_op:
        const uint8_t *aad
        const uint8_t *in_ "in"
        uint8_t *out
        uint8_t *tag
        uint32_t aad_length
        uint32_t length
        uint8_t iv[12]

# Sets round keys, salt (12 bytes) and the powers of H.
cdef void gcm_init(srtp_keys *keys, const uint8_t *key, const uint8_t *salt) noexcept nogil

# Encrypts `count` messages under one key and stores their tags (16 bytes).
cdef void gcm_seal(const srtp_keys *keys, const gcm_op *ops, int count) noexcept nogil

# Decrypts and stores the tags as computed, which the caller compares. Decrypting the result again
# restores the input.
cdef void gcm_open(const srtp_keys *keys, const gcm_op *ops, int count) noexcept nogil
