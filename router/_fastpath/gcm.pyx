"""AES-128-GCM: the table of kernels, their self-test and the choice."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from .cpu cimport cpu_features
from .srtp cimport srtp_keys


cdef extern from "gcm_kernels.h" nogil:
    ctypedef void (*gcm_function)(const srtp_keys *keys, const gcm_op *ops, int count)

    struct gcm_kernel:
        const char *name
        uint32_t features
        gcm_function seal
        gcm_function open

    const gcm_kernel *GCM_KERNELS
    int GCM_KERNEL_COUNT
    void gcm_set_key(srtp_keys *keys, const uint8_t *key, const uint8_t *salt)

# RFC 7714 16.1.1.
_KEY = bytes(range(16))
_IV = bytes.fromhex("51753c6580c2726f20718414")
_AAD = bytes.fromhex("8040f17b8041f8d35501a0b2")
_PLAINTEXT = b"Gallia est omnis divisa in partes tres"
_CIPHERTEXT_AND_TAG = bytes.fromhex(
    "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
    "899d7f27beb16a9152cf765ee4390cce"
)

cdef enum:
    TEST_LENGTH = 1504
    TEST_AAD_LENGTH = 96

cdef const gcm_kernel *chosen = NULL    # written by select() only
cdef uint32_t usable = 0                # bit i: kernel i runs here and passed its self-test


cdef void gcm_init(srtp_keys *keys, const uint8_t *key, const uint8_t *salt) noexcept nogil:
    gcm_set_key(keys, key, salt)


cdef void gcm_seal(const srtp_keys *keys, const gcm_op *ops, int count) noexcept nogil:
    chosen.seal(keys, ops, count)


cdef void gcm_open(const srtp_keys *keys, const gcm_op *ops, int count) noexcept nogil:
    chosen.open(keys, ops, count)


cdef bint passes_vector(const gcm_kernel *kernel):
    """Seal and open the vector of RFC 7714 16.1.1."""
    cdef srtp_keys keys
    cdef gcm_op op
    cdef uint8_t sealed[64]
    cdef uint8_t opened[64]
    cdef uint8_t tag[16]
    cdef bytes key = _KEY, iv = _IV, aad = _AAD
    cdef bytes plaintext = _PLAINTEXT, expected = _CIPHERTEXT_AND_TAG
    gcm_set_key(&keys, <const uint8_t *><const char *>key, <const uint8_t *><const char *>iv)
    memset(&op, 0, sizeof(op))
    op.aad = <const uint8_t *><const char *>aad
    op.aad_length = <uint32_t>len(aad)
    op.length = <uint32_t>len(plaintext)
    memcpy(op.iv, <const char *>iv, 12)
    op.in_ = <const uint8_t *><const char *>plaintext
    op.out = sealed
    op.tag = sealed + op.length
    kernel.seal(&keys, &op, 1)
    if memcmp(sealed, <const char *>expected, len(expected)):
        return False
    op.in_ = sealed
    op.out = opened
    op.tag = tag
    kernel.open(&keys, &op, 1)
    return not (
        memcmp(opened, <const char *>plaintext, len(plaintext))
        or memcmp(tag, sealed + op.length, 16)
    )


cdef bint agrees(const gcm_kernel *kernel, const gcm_kernel *reference):
    """Compare two kernels at lengths around all steps of their loops: the vector is short."""
    cdef srtp_keys keys
    cdef gcm_op op
    cdef uint8_t text[TEST_LENGTH]
    cdef uint8_t aad[TEST_AAD_LENGTH]
    cdef uint8_t one[TEST_LENGTH + 16]
    cdef uint8_t other[TEST_LENGTH + 16]
    cdef bytes key = _KEY
    cdef uint32_t length, aad_length
    cdef int i
    for i in range(TEST_LENGTH):
        text[i] = <uint8_t>(i * 167 + (i >> 5))
    for i in range(TEST_AAD_LENGTH):
        aad[i] = <uint8_t>(i * 59 + 3)
    gcm_set_key(&keys, <const uint8_t *><const char *>key, text)
    memset(&op, 0, sizeof(op))
    memcpy(op.iv, text, 12)
    op.aad = aad
    for length in (0, 1, 15, 16, 17, 63, 64, 127, 128, 240, 241, 255, 256, 257, 700, 1200, 1503):
        for aad_length in (12, 20, 64, 65, 96):
            op.aad_length = aad_length
            op.length = length
            op.in_ = text
            op.out = one
            op.tag = one + length
            kernel.seal(&keys, &op, 1)
            op.out = other
            op.tag = other + length
            reference.seal(&keys, &op, 1)
            if memcmp(one, other, length + 16):
                return False
            op.in_ = one
            op.out = one
            op.tag = other
            kernel.open(&keys, &op, 1)
            if memcmp(one, text, length) or memcmp(other, one + length, 16):
                return False
    return True


cdef void self_test():
    global usable
    cdef int i
    cdef const gcm_kernel *reference = &GCM_KERNELS[GCM_KERNEL_COUNT - 1]
    cdef const gcm_kernel *kernel
    for i in range(GCM_KERNEL_COUNT):
        kernel = &GCM_KERNELS[i]
        if kernel.features & ~cpu_features():
            continue
        if passes_vector(kernel) and (kernel == reference or agrees(kernel, reference)):
            usable |= <uint32_t>1 << i


def available():
    return tuple([
        GCM_KERNELS[i].name.decode() for i in range(GCM_KERNEL_COUNT) if usable >> i & 1
    ])


def select(name=None):
    global chosen
    cdef int i
    for i in range(GCM_KERNEL_COUNT):
        if usable >> i & 1 and (name is None or name == GCM_KERNELS[i].name.decode()):
            chosen = &GCM_KERNELS[i]
            return
    raise ValueError(f"no AES-GCM kernel {name!r} here; available: {', '.join(available())}")


def selected():
    return chosen.name.decode()


self_test()
select()
