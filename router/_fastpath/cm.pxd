# AES-128 in counter mode: the kernel that was chosen for this processor.

from libc.stdint cimport uint8_t, uint32_t

from .srtp cimport srtp_keys


cdef extern from "srtp_types.h" nogil:
    struct ctr_op:
        const uint8_t *in_ "in"
        uint8_t *out
        uint32_t length
        uint8_t iv[16]

# Sets the round keys; leaves the rest alone.
cdef void cm_init(srtp_keys *keys, const uint8_t *key) noexcept nogil

# Encrypts or decrypts `count` messages under one key.
cdef void cm_crypt(const srtp_keys *keys, const ctr_op *ops, int count) noexcept nogil
