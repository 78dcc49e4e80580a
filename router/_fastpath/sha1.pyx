"""SHA-1 and HMAC-SHA1: the table of kernels, their self-test and the choice."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from .cpu cimport cpu_features
from .srtp cimport srtp_keys


cdef extern from "sha1_kernels.h" nogil:
    enum:
        SHA1_BLOCK
    ctypedef void (*sha1_compress_function)(uint32_t *state, const uint8_t *data, uint32_t blocks)
    ctypedef void (*hmac_80_function)(
        const hmac_job *jobs, int count, uint32_t message_length, int with_trailer
    )

    struct sha1_kernel:
        const char *name
        uint32_t features
        int least_jobs
        hmac_80_function hmac_80
        sha1_compress_function compress

    const sha1_kernel *SHA1_KERNELS
    int SHA1_KERNEL_COUNT
    const uint32_t *SHA1_INITIAL
    void store_be32(void *p, uint32_t x)
    void store_be64(void *p, uint64_t x)

cdef extern from "srtp_types.h" nogil:
    struct srtp_keys_hmac:
        uint32_t inner[5]
        uint32_t outer[5]

    union srtp_keys_union:
        srtp_keys_hmac hmac

    struct hmac_keys "srtp_keys":
        srtp_keys_union u

cdef enum:
    LANES = 16
    TEST_LENGTH = 1504

# Written by select() only.
cdef const sha1_kernel *wide = NULL         # for `wide_from` jobs or more
cdef const sha1_kernel *narrow = NULL       # for fewer
cdef int wide_from = 1
cdef sha1_compress_function compress = NULL
cdef uint32_t usable = 0                    # bit i: kernel i runs here and passed its self-test


cdef void hmac_sha1_80(
    const hmac_job *jobs, int count, uint32_t message_length, bint with_trailer
) noexcept nogil:
    cdef int group
    while count >= wide_from:
        group = LANES if count > LANES else count
        wide.hmac_80(jobs, group, message_length, with_trailer)
        jobs += group
        count -= group
    if count > 0:
        narrow.hmac_80(jobs, count, message_length, with_trailer)


cdef void digest(
    uint32_t *state, uint64_t before,
    const uint8_t *head, int head_length, const uint8_t *rest, int rest_length
) noexcept nogil:
    """Hash two pieces behind `before` bytes that are in the state already; pad; finish."""
    cdef uint8_t block[SHA1_BLOCK]
    cdef uint64_t bits = (before + <uint64_t>head_length + <uint64_t>rest_length) * 8
    cdef int used, taken
    compress(state, head, <uint32_t>(head_length // SHA1_BLOCK))
    used = head_length % SHA1_BLOCK
    memcpy(block, head + head_length - used, used)
    if used:
        taken = SHA1_BLOCK - used
        if taken > rest_length:
            taken = rest_length
        if taken:
            memcpy(block + used, rest, taken)
            rest += taken
            rest_length -= taken
            used += taken
        if used == SHA1_BLOCK:
            compress(state, block, 1)
            used = 0
    if rest_length:
        compress(state, rest, <uint32_t>(rest_length // SHA1_BLOCK))
        used = rest_length % SHA1_BLOCK
        memcpy(block, rest + rest_length - used, used)
    block[used] = 0x80
    used += 1
    if used > SHA1_BLOCK - 8:
        memset(block + used, 0, SHA1_BLOCK - used)
        compress(state, block, 1)
        used = 0
    memset(block + used, 0, SHA1_BLOCK - 8 - used)
    store_be64(block + SHA1_BLOCK - 8, bits)
    compress(state, block, 1)


cdef void hmac_sha1_init(hmac_sha1_key *key, const uint8_t *secret, int length) noexcept nogil:
    cdef uint8_t block[SHA1_BLOCK]
    cdef uint32_t state[5]
    cdef int i
    memset(block, 0, sizeof(block))
    if length > SHA1_BLOCK:
        memcpy(state, SHA1_INITIAL, sizeof(state))
        digest(state, 0, secret, length, NULL, 0)
        for i in range(5):
            store_be32(block + 4 * i, state[i])
    elif length > 0:
        memcpy(block, secret, length)
    for i in range(SHA1_BLOCK):
        block[i] ^= 0x36
    memcpy(key.inner, SHA1_INITIAL, sizeof(key.inner))
    compress(key.inner, block, 1)
    for i in range(SHA1_BLOCK):
        block[i] ^= 0x36 ^ 0x5c
    memcpy(key.outer, SHA1_INITIAL, sizeof(key.outer))
    compress(key.outer, block, 1)


cdef void hmac_sha1(
    const hmac_sha1_key *key, const uint8_t *head, int head_length,
    const uint8_t *rest, int rest_length, uint8_t *out
) noexcept nogil:
    cdef uint32_t state[5]
    cdef uint8_t inner[HMAC_SHA1_LENGTH]
    cdef int i
    memcpy(state, key.inner, sizeof(state))
    digest(state, SHA1_BLOCK, head, head_length, rest, rest_length)
    for i in range(5):
        store_be32(inner + 4 * i, state[i])
    memcpy(state, key.outer, sizeof(state))
    digest(state, SHA1_BLOCK, inner, HMAC_SHA1_LENGTH, NULL, 0)
    for i in range(5):
        store_be32(out + 4 * i, state[i])


cdef void hmac_sha1_init_keys(srtp_keys *keys, const uint8_t *secret, int length) noexcept nogil:
    cdef hmac_sha1_key key
    hmac_sha1_init(&key, secret, length)
    memcpy((<hmac_keys *>keys).u.hmac.inner, key.inner, sizeof(key.inner))
    memcpy((<hmac_keys *>keys).u.hmac.outer, key.outer, sizeof(key.outer))


cdef bint passes_vector(const sha1_kernel *kernel):
    """Check RFC 2202 test case 1, in all lanes: key 20 times 0x0b, "Hi There"."""
    cdef srtp_keys keys
    cdef hmac_job jobs[LANES]
    cdef uint8_t tags[LANES][10]
    cdef bytes key = b"\x0b" * 20, message = b"Hi There"
    cdef bytes expected = bytes.fromhex("b617318655057264e28b")
    cdef int i, count
    memset(&keys, 0, sizeof(keys))
    hmac_sha1_init_keys(&keys, <const uint8_t *><const char *>key, <int>len(key))
    for count in (1, 2, 3, 15, 16):
        memset(tags, 0, sizeof(tags))
        for i in range(count):
            jobs[i].keys = &keys
            jobs[i].message = <const uint8_t *><const char *>message
            jobs[i].tag = tags[i]
            jobs[i].trailer = 0
        kernel.hmac_80(jobs, count, <uint32_t>len(message), False)
        for i in range(count):
            if memcmp(tags[i], <const char *>expected, 10):
                return False
    return True


cdef bint agrees(const sha1_kernel *kernel, const sha1_kernel *reference):
    """Compare two kernels on different keys, messages and lengths around a block's end."""
    cdef srtp_keys keys[LANES]
    cdef hmac_job jobs[LANES]
    cdef uint8_t text[TEST_LENGTH + LANES]
    cdef uint8_t one[LANES][10]
    cdef uint8_t other[LANES][10]
    cdef int i
    cdef uint32_t length
    cdef bint with_trailer
    memset(keys, 0, sizeof(keys))
    for i in range(TEST_LENGTH + LANES):
        text[i] = <uint8_t>(i * 167 + (i >> 5))
    for i in range(LANES):
        hmac_sha1_init_keys(&keys[i], text + i, 20)
        jobs[i].keys = &keys[i]
        jobs[i].message = text + i
        jobs[i].trailer = <uint32_t>i * 0x01010101
    for length in (0, 12, 50, 51, 52, 55, 56, 59, 60, 63, 64, 65, 119, 128, 1200, 1503):
        for with_trailer in (False, True):
            for i in range(LANES):
                jobs[i].tag = one[i]
            kernel.hmac_80(jobs, LANES, length, with_trailer)
            for i in range(LANES):
                jobs[i].tag = other[i]
            reference.hmac_80(jobs, LANES, length, with_trailer)
            if memcmp(one, other, sizeof(one)):
                return False
    return True


cdef bint passes(const sha1_kernel *kernel, const sha1_kernel *reference):
    global compress
    # The keys of the vectors are set with the kernel's own compression function.
    compress = reference.compress if kernel.compress == NULL else kernel.compress
    return passes_vector(kernel) and (kernel == reference or agrees(kernel, reference))


cdef void self_test():
    global usable
    cdef int i
    for i in range(SHA1_KERNEL_COUNT):
        if SHA1_KERNELS[i].features & ~cpu_features():
            continue
        if passes(&SHA1_KERNELS[i], &SHA1_KERNELS[SHA1_KERNEL_COUNT - 1]):
            usable |= <uint32_t>1 << i


def available():
    return tuple([
        SHA1_KERNELS[i].name.decode() for i in range(SHA1_KERNEL_COUNT) if usable >> i & 1
    ])


def select(name=None):
    global wide, narrow, wide_from, compress
    cdef int i
    cdef const sha1_kernel *first = NULL
    cdef const sha1_kernel *single = NULL
    cdef const sha1_kernel *hash_kernel = NULL
    for i in range(SHA1_KERNEL_COUNT):
        if not usable >> i & 1:
            continue
        if hash_kernel == NULL and SHA1_KERNELS[i].compress != NULL:
            hash_kernel = &SHA1_KERNELS[i]
        if name is not None and name != SHA1_KERNELS[i].name.decode():
            continue
        if first == NULL:
            first = &SHA1_KERNELS[i]
        if single == NULL and SHA1_KERNELS[i].least_jobs == 1:
            single = &SHA1_KERNELS[i]
    if first == NULL:
        raise ValueError(f"no SHA-1 kernel {name!r} here; available: {', '.join(available())}")
    wide = first
    narrow = first if single == NULL else single
    wide_from = 1 if single == NULL else first.least_jobs
    compress = hash_kernel.compress if first.compress == NULL else first.compress


def selected():
    return wide.name.decode() if wide == narrow else f"{wide.name.decode()}+{narrow.name.decode()}"


def hmac(key: bytes, head: bytes, rest: bytes = b""):
    cdef hmac_sha1_key state
    cdef uint8_t out[HMAC_SHA1_LENGTH]
    cdef const uint8_t *secret = <const uint8_t *><const char *>key
    hmac_sha1_init(&state, secret, <int>len(key))
    hmac_sha1(
        &state, <const uint8_t *><const char *>head, <int>len(head),
        <const uint8_t *><const char *>rest, <int>len(rest), out
    )
    return bytes(out[:HMAC_SHA1_LENGTH])


def sha1(data: bytes):
    cdef uint32_t state[5]
    cdef uint8_t out[HMAC_SHA1_LENGTH]
    cdef int i
    memcpy(state, SHA1_INITIAL, sizeof(state))
    digest(state, 0, <const uint8_t *><const char *>data, <int>len(data), NULL, 0)
    for i in range(5):
        store_be32(out + 4 * i, state[i])
    return bytes(out[:HMAC_SHA1_LENGTH])


self_test()
select()
