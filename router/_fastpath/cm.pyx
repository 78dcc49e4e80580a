"""AES-128 in counter mode: the table of kernels, their self-test and the choice."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from .cpu cimport cpu_features
from .srtp cimport srtp_keys


cdef extern from "cm_kernels.h" nogil:
    ctypedef void (*ctr_function)(const srtp_keys *keys, const ctr_op *ops, int count)

    struct ctr_kernel:
        const char *name
        uint32_t features
        ctr_function crypt

    const ctr_kernel *CTR_KERNELS
    int CTR_KERNEL_COUNT
    void aes128_expand_key(const uint8_t *key, uint8_t (*round_keys)[16])

cdef extern from "srtp_types.h" nogil:
    struct expandable_keys "srtp_keys":
        uint8_t round_keys[11][16]

# RFC 3711 B.2.
_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
_IV = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000")
_KEY_STREAM = bytes.fromhex(
    "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"
    "41e95b3bb0a2e8dd477901e4fca894c0"
)

cdef enum:
    TEST_LENGTH = 1504

cdef const ctr_kernel *chosen = NULL    # written by select() only
cdef uint32_t usable = 0                # bit i: kernel i runs here and passed its self-test


cdef void cm_init(srtp_keys *keys, const uint8_t *key) noexcept nogil:
    aes128_expand_key(key, (<expandable_keys *>keys).round_keys)


cdef void cm_crypt(const srtp_keys *keys, const ctr_op *ops, int count) noexcept nogil:
    chosen.crypt(keys, ops, count)


cdef bint passes(const ctr_kernel *kernel, const ctr_kernel *reference):
    """Check the key stream of RFC 3711 B.2, and agreement at lengths around the loops' steps."""
    cdef srtp_keys keys
    cdef ctr_op op
    cdef uint8_t text[TEST_LENGTH]
    cdef uint8_t one[TEST_LENGTH]
    cdef uint8_t other[TEST_LENGTH]
    cdef bytes key = _KEY, iv = _IV, stream = _KEY_STREAM
    cdef uint32_t length
    cdef int i
    memset(&keys, 0, sizeof(keys))
    memset(text, 0, sizeof(text))
    cm_init(&keys, <const uint8_t *><const char *>key)
    op.in_ = text
    op.out = one
    op.length = <uint32_t>len(stream)
    memcpy(op.iv, <const char *>iv, 16)
    kernel.crypt(&keys, &op, 1)
    if memcmp(one, <const char *>stream, len(stream)):
        return False
    for i in range(TEST_LENGTH):
        text[i] = <uint8_t>(i * 167 + (i >> 5))
    for length in (1, 15, 16, 17, 63, 64, 127, 128, 129, 255, 256, 257, 700, 1200, 1503):
        memset(one, 0, sizeof(one))
        memset(other, 0, sizeof(other))
        op.length = length
        op.out = one
        kernel.crypt(&keys, &op, 1)
        op.out = other
        reference.crypt(&keys, &op, 1)
        if memcmp(one, other, sizeof(one)):
            return False
    return True


cdef void self_test():
    global usable
    cdef int i
    for i in range(CTR_KERNEL_COUNT):
        if CTR_KERNELS[i].features & ~cpu_features():
            continue
        if passes(&CTR_KERNELS[i], &CTR_KERNELS[CTR_KERNEL_COUNT - 1]):
            usable |= <uint32_t>1 << i


def available():
    return tuple([
        CTR_KERNELS[i].name.decode() for i in range(CTR_KERNEL_COUNT) if usable >> i & 1
    ])


def select(name=None):
    global chosen
    cdef int i
    for i in range(CTR_KERNEL_COUNT):
        if usable >> i & 1 and (name is None or name == CTR_KERNELS[i].name.decode()):
            chosen = &CTR_KERNELS[i]
            return
    raise ValueError(f"no AES-CM kernel {name!r} here; available: {', '.join(available())}")


def selected():
    return chosen.name.decode()


self_test()
select()
