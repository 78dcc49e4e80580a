"""
SRTP and SRTCP (RFC 3711, RFC 7714): key derivation, packets, batches.

Profiles: AEAD_AES_128_GCM (7) and AES128_CM_HMAC_SHA1_80 (1). Not supported, as WebRTC does not use
them: MKI, key derivation rates other than 0, unencrypted SRTCP.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from . import cm as _cm, gcm as _gcm, sha1 as _sha1
from .cm cimport cm_crypt, cm_init, ctr_op
from .errors cimport FP_ERR_AUTH, FP_ERR_FORMAT, FP_ERR_UNSUPPORTED, FP_OK
from .gcm cimport gcm_init, gcm_op, gcm_open, gcm_seal
from .sha1 cimport hmac_job, hmac_sha1_80, hmac_sha1_init_keys


cdef extern from "srtp_types.h" nogil:
    struct salted_keys "srtp_keys":
        uint8_t salt[14]
        uint8_t profile

    void srtp_prefetch(const srtp_session *session)

    enum:
        SRTP_TAG_LANES
        SRTP_TAG_GROUPS

    struct srtp_tag_group:
        uint32_t message_length
        int count
        hmac_job jobs[16]

    struct open_sealer "srtp_sealer":
        srtp_tag_group groups[8]

cdef extern from "bytes.h" nogil:
    uint16_t load_be16(const void *p)
    uint32_t load_be32(const void *p)
    void store_be16(void *p, uint16_t x)
    uint64_t load_be64(const void *p)
    void store_be32(void *p, uint32_t x)
    void store_be64(void *p, uint64_t x)

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from "<assert.h>" nogil:
    void debug_assert "assert"(bint condition)      # nothing in the release build

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *p, size_t length)

cdef enum:
    # RFC 3711 4.3.2 and 4.3.3.
    LABEL_RTP_ENCRYPTION = 0
    LABEL_RTP_AUTHENTICATION = 1
    LABEL_RTP_SALT = 2
    LABEL_RTCP_ENCRYPTION = 3

    KEY_LENGTH = 16
    SALT_LENGTH = 14
    GCM_SALT_LENGTH = 12
    AUTHENTICATION_KEY_LENGTH = 20

    RTP_HEADER_LENGTH = 12
    RTCP_HEADER_LENGTH = 8      # header and sender SSRC: not encrypted
    SRTCP_INDEX_LENGTH = 4

    RUN = 32                    # jobs that go to a kernel at once

cdef uint32_t SRTCP_ENCRYPTED = 0x80000000


# Keys

cdef inline const salted_keys *salted(const srtp_keys *keys) noexcept nogil:
    return <const salted_keys *>keys


cdef void derive(
    const srtp_keys *master, const uint8_t *salt, int label, uint8_t *out, int length
) noexcept nogil:
    """RFC 3711 4.3.3: the key stream of AES-CM under the master key, at salt XOR label << 48."""
    cdef ctr_op op
    cdef uint8_t zeros[32]
    memset(zeros, 0, sizeof(zeros))
    memset(op.iv, 0, sizeof(op.iv))
    memcpy(op.iv, salt, SALT_LENGTH)
    op.iv[7] ^= <uint8_t>label
    op.in_ = zeros
    op.out = out
    op.length = <uint32_t>length
    cm_crypt(master, &op, 1)


cdef void set_session_keys(
    srtp_keys *keys, int profile, const uint8_t *key, const uint8_t *salt,
    const uint8_t *authentication_key, int authentication_key_length
) noexcept nogil:
    cdef salted_keys *fields = <salted_keys *>keys
    if profile == SRTP_AEAD_AES_128_GCM:
        gcm_init(keys, key, salt)
    else:
        memset(keys, 0, sizeof(srtp_keys))
        cm_init(keys, key)
        memcpy(fields.salt, salt, SALT_LENGTH)
        hmac_sha1_init_keys(keys, authentication_key, authentication_key_length)
    fields.profile = <uint8_t>profile


cdef void derive_session_keys(
    srtp_keys *keys, int profile, const srtp_keys *master, const uint8_t *master_salt, int label
) noexcept nogil:
    cdef uint8_t key[KEY_LENGTH]
    cdef uint8_t authentication_key[AUTHENTICATION_KEY_LENGTH]
    cdef uint8_t salt[SALT_LENGTH]
    derive(master, master_salt, label + LABEL_RTP_ENCRYPTION, key, KEY_LENGTH)
    derive(
        master, master_salt, label + LABEL_RTP_AUTHENTICATION,
        authentication_key, AUTHENTICATION_KEY_LENGTH
    )
    derive(master, master_salt, label + LABEL_RTP_SALT, salt, SALT_LENGTH)
    set_session_keys(keys, profile, key, salt, authentication_key, AUTHENTICATION_KEY_LENGTH)
    explicit_bzero(key, sizeof(key))
    explicit_bzero(authentication_key, sizeof(authentication_key))
    explicit_bzero(salt, sizeof(salt))


cdef int srtp_session_init(
    srtp_session *session, int profile, const uint8_t *key, const uint8_t *salt
) noexcept nogil:
    cdef srtp_keys master
    cdef uint8_t padded_salt[SALT_LENGTH]
    memset(padded_salt, 0, sizeof(padded_salt))
    if profile == SRTP_AEAD_AES_128_GCM:
        memcpy(padded_salt, salt, GCM_SALT_LENGTH)  # RFC 7714 11: zeros behind
    elif profile == SRTP_AES128_CM_HMAC_SHA1_80:
        memcpy(padded_salt, salt, SALT_LENGTH)
    else:
        return FP_ERR_UNSUPPORTED
    memset(&master, 0, sizeof(master))
    cm_init(&master, key)
    derive_session_keys(&session.rtp, profile, &master, padded_salt, LABEL_RTP_ENCRYPTION)
    derive_session_keys(&session.rtcp, profile, &master, padded_salt, LABEL_RTCP_ENCRYPTION)
    explicit_bzero(&master, sizeof(master))
    return FP_OK


cdef void srtp_session_clear(srtp_session *session) noexcept nogil:
    explicit_bzero(session, sizeof(srtp_session))


cdef inline bint equal_in_constant_time(const uint8_t *a, const uint8_t *b, int n) noexcept nogil:
    cdef uint8_t difference = 0
    cdef int i
    for i in range(n):
        difference |= a[i] ^ b[i]
    return difference == 0


# Initialisation vectors

cdef inline void xor_salt(uint8_t *iv, const srtp_keys *keys, int length) noexcept nogil:
    cdef const uint8_t *salt = <const uint8_t *>&salted(keys).salt[0]
    cdef int i
    for i in range(length):
        iv[i] ^= salt[i]


cdef inline void gcm_rtp_iv(
    uint8_t *iv, const srtp_keys *keys, const uint8_t *packet, uint32_t roc
) noexcept nogil:
    """RFC 7714 8.1: 2 zeros, SSRC, ROC, sequence number; XOR the salt."""
    cdef const uint8_t *salt = <const uint8_t *>&salted(keys).salt[0]
    cdef uint64_t high = <uint64_t>load_be32(packet + 8) << 16 | roc >> 16
    cdef uint32_t low = roc << 16 | load_be16(packet + 2)
    store_be64(iv, high ^ load_be64(salt))
    store_be32(iv + 8, low ^ load_be32(salt + 8))


cdef inline void gcm_rtcp_iv(
    uint8_t *iv, const srtp_keys *keys, const uint8_t *packet, uint32_t index
) noexcept nogil:
    """RFC 7714 9.1: 2 zeros, SSRC, 2 zeros, index; XOR the salt."""
    memset(iv, 0, 8)
    memcpy(iv + 2, packet + 4, 4)
    store_be32(iv + 8, index)
    xor_salt(iv, keys, GCM_SALT_LENGTH)


cdef inline void cm_rtp_iv(
    uint8_t *iv, const srtp_keys *keys, const uint8_t *packet, uint32_t roc
) noexcept nogil:
    """RFC 3711 4.1.1: salt << 16 XOR SSRC << 64 XOR (ROC and sequence number) << 16."""
    cdef const uint8_t *salt = <const uint8_t *>&salted(keys).salt[0]
    cdef uint64_t low = <uint64_t>roc << 32 | <uint32_t>load_be16(packet + 2) << 16
    store_be64(iv, load_be32(packet + 8) ^ load_be64(salt))
    store_be64(iv + 8, low ^ load_be64(salt + 6) << 16)


cdef inline void cm_rtcp_iv(
    uint8_t *iv, const srtp_keys *keys, const uint8_t *packet, uint32_t index
) noexcept nogil:
    memset(iv, 0, 16)
    memcpy(iv + 4, packet + 4, 4)
    store_be16(iv + 8, 0)
    store_be32(iv + 10, index)
    xor_salt(iv, keys, SALT_LENGTH)


# RTP

cdef inline void tag_group_flush(srtp_tag_group *group) noexcept nogil:
    if group.count:
        hmac_sha1_80(group.jobs, group.count, group.message_length, True)
        group.count = 0


cdef inline srtp_tag_group *tag_group_for(
    srtp_tag_group *groups, uint32_t message_length
) noexcept nogil:
    """The group that gathers this length; the fullest other one makes room when there is none."""
    cdef srtp_tag_group *fullest = groups
    cdef int i
    for i in range(SRTP_TAG_GROUPS):
        if groups[i].count == 0 or groups[i].message_length == message_length:
            fullest = &groups[i]
            break
        if groups[i].count > fullest.count:
            fullest = &groups[i]
    if fullest.message_length != message_length:
        tag_group_flush(fullest)
        fullest.message_length = message_length
    return fullest


cdef inline void check_job(const srtp_job *job) noexcept nogil:
    # Inbound packets are bounded, and what is added to them leaves room: see output.pxd.
    debug_assert(job.header_length >= RTP_HEADER_LENGTH)
    debug_assert(job.payload_length <= SRTP_MAX_PAYLOAD)


cdef void seal_run_gcm(const srtp_job *jobs, int count) noexcept nogil:
    cdef gcm_op ops[RUN]
    cdef const srtp_keys *keys = &jobs[0].session.rtp
    cdef int i
    for i in range(count):
        check_job(&jobs[i])
        ops[i].aad = jobs[i].packet
        ops[i].aad_length = jobs[i].header_length
        ops[i].in_ = jobs[i].payload
        ops[i].out = jobs[i].packet + jobs[i].header_length
        ops[i].length = jobs[i].payload_length
        ops[i].tag = ops[i].out + ops[i].length
        gcm_rtp_iv(ops[i].iv, keys, jobs[i].packet, jobs[i].roc)
    gcm_seal(keys, ops, count)


cdef void encrypt_run_cm(const srtp_job *jobs, int count) noexcept nogil:
    cdef ctr_op ops[RUN]
    cdef const srtp_keys *keys = &jobs[0].session.rtp
    cdef int i
    for i in range(count):
        check_job(&jobs[i])
        ops[i].in_ = jobs[i].payload
        ops[i].out = jobs[i].packet + jobs[i].header_length
        ops[i].length = jobs[i].payload_length
        cm_rtp_iv(ops[i].iv, keys, jobs[i].packet, jobs[i].roc)
    cm_crypt(keys, ops, count)


cdef void gather_tags(srtp_tag_group *groups, const srtp_job *jobs, int count) noexcept nogil:
    """Queue the HMACs of a run that is encrypted; full groups are computed."""
    cdef srtp_tag_group *group
    cdef hmac_job *tag
    cdef uint32_t length
    cdef int i
    for i in range(count):
        length = jobs[i].header_length + jobs[i].payload_length
        group = tag_group_for(groups, length)
        tag = &group.jobs[group.count]
        tag.keys = &jobs[i].session.rtp
        tag.message = jobs[i].packet
        tag.tag = jobs[i].packet + length
        tag.trailer = jobs[i].roc
        group.count += 1
        if group.count == SRTP_TAG_LANES:
            tag_group_flush(group)


cdef void srtp_seal_more(srtp_sealer *sealer, const srtp_job *jobs, int count) noexcept nogil:
    cdef int start = 0, end
    while start < count:
        end = start + 1
        while end < count and end - start < RUN and jobs[end].session == jobs[start].session:
            end += 1
        if end < count:
            srtp_prefetch(jobs[end].session)
        if jobs[start].session.rtp.profile == SRTP_AEAD_AES_128_GCM:
            seal_run_gcm(jobs + start, end - start)
        else:
            encrypt_run_cm(jobs + start, end - start)
            gather_tags((<open_sealer *>sealer).groups, jobs + start, end - start)
        start = end


cdef void srtp_seal_finish(srtp_sealer *sealer) noexcept nogil:
    cdef int i
    for i in range(SRTP_TAG_GROUPS):
        tag_group_flush(&(<open_sealer *>sealer).groups[i])


cdef void srtp_seal(const srtp_job *jobs, int count) noexcept nogil:
    cdef srtp_sealer sealer
    memset(&sealer, 0, sizeof(sealer))
    srtp_seal_more(&sealer, jobs, count)
    srtp_seal_finish(&sealer)


cdef int open_gcm(const srtp_keys *keys, gcm_op *op) noexcept nogil:
    """Decrypt in place and compare the tag at op.tag; on failure put the ciphertext back."""
    cdef const uint8_t *received = op.tag
    cdef uint8_t computed[GCM_TAG_LENGTH]
    op.tag = computed
    gcm_open(keys, op, 1)
    if equal_in_constant_time(computed, received, GCM_TAG_LENGTH):
        return FP_OK
    gcm_open(keys, op, 1)  # the same key stream again
    return FP_ERR_AUTH


cdef int verify_cm(
    const srtp_keys *keys, const uint8_t *packet, int length, uint32_t trailer, bint with_trailer
) noexcept nogil:
    """Compare the tag at packet + length with the one of the bytes before."""
    cdef uint8_t computed[HMAC_TAG_LENGTH]
    cdef hmac_job job
    job.keys = keys
    job.message = packet
    job.tag = computed
    job.trailer = trailer
    hmac_sha1_80(&job, 1, <uint32_t>length, with_trailer)
    if equal_in_constant_time(computed, packet + length, HMAC_TAG_LENGTH):
        return FP_OK
    return FP_ERR_AUTH


cdef void decrypt_cm(
    const srtp_keys *keys, uint8_t *packet, int header_length, int payload_length, uint32_t roc
) noexcept nogil:
    cdef ctr_op stream
    stream.in_ = packet + header_length
    stream.out = packet + header_length
    stream.length = <uint32_t>payload_length
    cm_rtp_iv(stream.iv, keys, packet, roc)
    cm_crypt(keys, &stream, 1)


cdef int srtp_open_tagged(
    const srtp_session *session, uint8_t *packet, int length, int header_length, uint32_t roc,
    const uint8_t *tag
) noexcept nogil:
    cdef int payload_length = length - header_length - HMAC_TAG_LENGTH
    if header_length < RTP_HEADER_LENGTH or not 0 <= payload_length <= SRTP_MAX_PAYLOAD:
        return FP_ERR_FORMAT
    if not equal_in_constant_time(tag, packet + length - HMAC_TAG_LENGTH, HMAC_TAG_LENGTH):
        return FP_ERR_AUTH
    decrypt_cm(&session.rtp, packet, header_length, payload_length, roc)
    return header_length + payload_length


cdef int srtp_open(
    const srtp_session *session, uint8_t *packet, int length, int header_length, uint32_t roc
) noexcept nogil:
    cdef const srtp_keys *keys = &session.rtp
    cdef gcm_op op
    cdef int payload_length = length - header_length - tag_length(keys)
    if header_length < RTP_HEADER_LENGTH or not 0 <= payload_length <= SRTP_MAX_PAYLOAD:
        return FP_ERR_FORMAT
    if keys.profile == SRTP_AEAD_AES_128_GCM:
        op.aad = packet
        op.aad_length = <uint32_t>header_length
        op.in_ = packet + header_length
        op.out = packet + header_length
        op.length = <uint32_t>payload_length
        op.tag = op.out + payload_length
        gcm_rtp_iv(op.iv, keys, packet, roc)
        if open_gcm(keys, &op) != FP_OK:
            return FP_ERR_AUTH
    else:
        if verify_cm(keys, packet, header_length + payload_length, roc, True) != FP_OK:
            return FP_ERR_AUTH
        decrypt_cm(keys, packet, header_length, payload_length, roc)
    return header_length + payload_length


# RTCP

cdef void crypt_rtcp_cm(
    const srtp_keys *keys, uint8_t *packet, int length, uint32_t index
) noexcept nogil:
    cdef ctr_op op
    op.in_ = packet + RTCP_HEADER_LENGTH
    op.out = packet + RTCP_HEADER_LENGTH
    op.length = <uint32_t>(length - RTCP_HEADER_LENGTH)
    cm_rtcp_iv(op.iv, keys, packet, index)
    cm_crypt(keys, &op, 1)


cdef void prepare_rtcp_gcm(
    gcm_op *op, uint8_t *aad, const srtp_keys *keys, uint8_t *packet, int length, uint32_t index
) noexcept nogil:
    """RFC 7714 9.2: the associated data is the header and the word with E flag and index."""
    memcpy(aad, packet, RTCP_HEADER_LENGTH)
    store_be32(aad + RTCP_HEADER_LENGTH, SRTCP_ENCRYPTED | index)
    op.aad = aad
    op.aad_length = RTCP_HEADER_LENGTH + SRTCP_INDEX_LENGTH
    op.in_ = packet + RTCP_HEADER_LENGTH
    op.out = packet + RTCP_HEADER_LENGTH
    op.length = <uint32_t>(length - RTCP_HEADER_LENGTH)
    op.tag = packet + length
    gcm_rtcp_iv(op.iv, keys, packet, index)


cdef int srtcp_seal(
    const srtp_session *session, uint8_t *packet, int length, uint32_t index
) noexcept nogil:
    cdef const srtp_keys *keys = &session.rtcp
    cdef gcm_op op
    cdef hmac_job job
    cdef uint8_t aad[RTCP_HEADER_LENGTH + SRTCP_INDEX_LENGTH]
    if not 0 <= length - RTCP_HEADER_LENGTH <= SRTP_MAX_PAYLOAD or index & SRTCP_ENCRYPTED:
        return FP_ERR_FORMAT
    if keys.profile == SRTP_AEAD_AES_128_GCM:
        prepare_rtcp_gcm(&op, aad, keys, packet, length, index)
        gcm_seal(keys, &op, 1)
        length += GCM_TAG_LENGTH
        store_be32(packet + length, SRTCP_ENCRYPTED | index)
        return length + SRTCP_INDEX_LENGTH
    crypt_rtcp_cm(keys, packet, length, index)
    store_be32(packet + length, SRTCP_ENCRYPTED | index)
    length += SRTCP_INDEX_LENGTH
    job.keys = keys
    job.message = packet
    job.tag = packet + length
    job.trailer = 0
    hmac_sha1_80(&job, 1, <uint32_t>length, False)
    return length + HMAC_TAG_LENGTH


cdef int srtcp_open(
    const srtp_session *session, uint8_t *packet, int length, uint32_t *index
) noexcept nogil:
    cdef const srtp_keys *keys = &session.rtcp
    cdef gcm_op op
    cdef uint8_t aad[RTCP_HEADER_LENGTH + SRTCP_INDEX_LENGTH]
    cdef int plain_length = length - SRTCP_INDEX_LENGTH - tag_length(keys)
    cdef int word_offset = plain_length
    cdef uint32_t word
    if not 0 <= plain_length - RTCP_HEADER_LENGTH <= SRTP_MAX_PAYLOAD:
        return FP_ERR_FORMAT
    if keys.profile == SRTP_AEAD_AES_128_GCM:
        word_offset += GCM_TAG_LENGTH
    word = load_be32(packet + word_offset)
    if not word & SRTCP_ENCRYPTED:
        return FP_ERR_FORMAT
    word &= ~SRTCP_ENCRYPTED
    if keys.profile == SRTP_AEAD_AES_128_GCM:
        prepare_rtcp_gcm(&op, aad, keys, packet, plain_length, word)
        if open_gcm(keys, &op) != FP_OK:
            return FP_ERR_AUTH
    else:
        if verify_cm(keys, packet, plain_length + SRTCP_INDEX_LENGTH, 0, False) != FP_OK:
            return FP_ERR_AUTH
        crypt_rtcp_cm(keys, packet, plain_length, word)
    index[0] = word
    return plain_length


# The Python face: tests, tools, the load generator

PROFILE_AES128_CM_HMAC_SHA1_80 = SRTP_AES128_CM_HMAC_SHA1_80
PROFILE_AEAD_AES_128_GCM = SRTP_AEAD_AES_128_GCM


cdef int rtp_header_length(const uint8_t *packet, Py_ssize_t length) except -1:
    """Fixed header, CSRC list and extension (RFC 3550 5.1, 5.3.1)."""
    cdef Py_ssize_t header = RTP_HEADER_LENGTH
    if length >= RTP_HEADER_LENGTH and packet[0] >> 6 == 2:
        header += 4 * (packet[0] & 15)
        if packet[0] & 0x10 and header + 4 <= length:
            header += 4 + 4 * <Py_ssize_t>load_be16(packet + header + 2)
        elif packet[0] & 0x10:
            header = length + 1
        if header <= length:
            return <int>header
    raise ValueError("not an RTP packet")


cdef class SrtpSession:
    def __cinit__(self, int profile, bytes key not None, bytes salt not None):
        check_lengths(profile, key, salt)
        self.session = <srtp_session *>aligned_alloc(64, sizeof(srtp_session))
        if self.session == NULL:
            raise MemoryError
        srtp_session_init(
            self.session, profile,
            <const uint8_t *>PyBytes_AS_STRING(key), <const uint8_t *>PyBytes_AS_STRING(salt)
        )

    def __dealloc__(self):
        if self.session != NULL:
            srtp_session_clear(self.session)
            free(self.session)

    @classmethod
    def from_session_keys(
        cls, int profile, bytes key not None, bytes salt not None,
        bytes authentication_key not None = b"",
    ):
        cdef SrtpSession self = cls(profile, key, salt)
        cdef const uint8_t *secret = <const uint8_t *>PyBytes_AS_STRING(key)
        cdef const uint8_t *salt_bytes = <const uint8_t *>PyBytes_AS_STRING(salt)
        cdef const uint8_t *mac_key = <const uint8_t *>PyBytes_AS_STRING(authentication_key)
        cdef int mac_length = <int>PyBytes_GET_SIZE(authentication_key)
        set_session_keys(&self.session.rtp, profile, secret, salt_bytes, mac_key, mac_length)
        set_session_keys(&self.session.rtcp, profile, secret, salt_bytes, mac_key, mac_length)
        return self

    @property
    def tag_length(self):
        return srtp_tag_length(self.session)

    def seal(self, bytes packet not None, uint32_t roc=0):
        return seal_batch([(self, packet, roc)])[0]

    def open(self, bytes packet not None, uint32_t roc=0, *other_rocs):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(packet)
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(packet)
        cdef int header = rtp_header_length(data, size)
        cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(packet), size)
        cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(copy)
        cdef int length = <int>min(size, 65535), status = FP_ERR_AUTH
        for roc in (roc, *other_rocs):
            status = srtp_open(self.session, out, length, header, roc)
            if status != FP_ERR_AUTH:
                break
        return opened(copy, status)

    def seal_rtcp(self, bytes packet not None, uint32_t index):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(packet)
        cdef bytes copy = packet + bytes(SRTCP_MAX_TRAILER)
        cdef int status
        status = srtcp_seal(
            self.session, <uint8_t *>PyBytes_AS_STRING(copy),
            <int>size if size <= SRTP_MAX_PAYLOAD else 0, index
        )
        if status < 0:
            raise ValueError("RTCP takes 8..4056 bytes and an index of 31 bits")
        return copy[:status]

    def open_rtcp(self, bytes packet not None):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(packet)
        cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(packet), size)
        cdef uint32_t index = 0
        cdef int status = srtcp_open(
            self.session, <uint8_t *>PyBytes_AS_STRING(copy), <int>min(size, 65535), &index
        )
        plain = opened(copy, status)
        return None if plain is None else (plain, index)


cdef int check_lengths(int profile, bytes key, bytes salt) except -1:
    cdef int salt_length
    if profile == SRTP_AEAD_AES_128_GCM:
        salt_length = GCM_SALT_LENGTH
    elif profile == SRTP_AES128_CM_HMAC_SHA1_80:
        salt_length = SALT_LENGTH
    else:
        raise ValueError(f"unknown SRTP profile {profile}: 1 and 7 are supported")
    if len(key) != KEY_LENGTH or len(salt) != salt_length:
        raise ValueError(
            f"profile {profile} takes a key of {KEY_LENGTH} bytes and a salt of {salt_length}"
        )
    return 0


cdef opened(bytes packet, int status):
    """The plaintext; None when it does not authenticate."""
    if status == FP_ERR_AUTH:
        return None
    if status < 0:
        raise ValueError("not a protected packet of this profile")
    return packet[:status]


def seal_batch(jobs, *, in_place=False):
    """Pack the packets back to back, so that a write behind a tag shows in the next packet."""
    cdef Py_ssize_t count = len(jobs), i, total = 0, offset = 0, size
    cdef srtp_job *array = NULL
    cdef uint8_t *arena = NULL
    cdef const uint8_t *data
    cdef SrtpSession session
    cdef bytes packet
    cdef uint32_t roc
    cdef int header
    for _session, packet, _roc in jobs:
        total += len(packet) + SRTP_MAX_TAG
    array = <srtp_job *>calloc(count + 1, sizeof(srtp_job))
    arena = <uint8_t *>malloc(total + 1)
    try:
        if array == NULL or arena == NULL:
            raise MemoryError
        for i in range(count):
            session, packet, roc = jobs[i]
            size = PyBytes_GET_SIZE(packet)
            data = <const uint8_t *>PyBytes_AS_STRING(packet)
            header = rtp_header_length(data, size)
            if size - header > SRTP_MAX_PAYLOAD:
                raise ValueError(f"an RTP payload has at most {SRTP_MAX_PAYLOAD} bytes")
            memcpy(arena + offset, data, size if in_place else header)
            array[i].session = session.session
            array[i].packet = arena + offset
            array[i].payload = (arena + offset if in_place else <uint8_t *>data) + header
            array[i].header_length = <uint32_t>header
            array[i].payload_length = <uint32_t>(size - header)
            array[i].roc = roc
            offset += size + srtp_tag_length(session.session)
        srtp_seal(array, <int>count)
        return [
            PyBytes_FromStringAndSize(
                <char *>array[i].packet,
                array[i].header_length + array[i].payload_length
                + srtp_tag_length(array[i].session)
            )
            for i in range(count)
        ]
    finally:
        free(array)
        free(arena)


def set_kernels(*, gcm=None, ctr=None, sha1=None):
    _gcm.select(gcm)
    _cm.select(ctr)
    _sha1.select(sha1)


def kernels():
    return {"gcm": _gcm.selected(), "ctr": _cm.selected(), "sha1": _sha1.selected()}


def available_kernels():
    return {"gcm": _gcm.available(), "ctr": _cm.available(), "sha1": _sha1.available()}
