# SRTP and SRTCP (RFC 3711, RFC 7714): the contract of the data plane with the kernels.

from libc.stdint cimport uint8_t, uint32_t


cdef extern from "srtp_types.h" nogil:
    enum:
        SRTP_AES128_CM_HMAC_SHA1_80
        SRTP_AEAD_AES_128_GCM
        SRTP_MAX_PAYLOAD        # bytes of one RTP payload or RTCP compound packet
        SRTP_MAX_TAG            # bytes that srtp_seal adds at most

    struct srtp_keys:
        uint8_t profile

    # Keys of one direction: flat, 64-byte aligned (allocate arrays with aligned_alloc(64, ...)).
    struct srtp_session:
        srtp_keys rtp
        srtp_keys rtcp

    struct srtp_job:
        const srtp_session *session     # borrowed during the call
        uint8_t *packet                 # header in place at packet[0:header_length]
        const uint8_t *payload          # apart from the packet, or packet + header_length
        uint32_t header_length
        uint32_t payload_length         # at most SRTP_MAX_PAYLOAD
        uint32_t roc

    # What sealing in steps leaves to do. Zeroed memory is an empty one.
    struct srtp_sealer:
        pass


cdef enum:
    GCM_TAG_LENGTH = 16
    HMAC_TAG_LENGTH = 10
    SRTCP_MAX_TRAILER = 20      # bytes that SRTCP adds at most: E flag and index, and the tag


# Derives the session keys from a master key (16 bytes) and salt (12 bytes for profile 7, 14 for 1).
# Returns FP_OK or FP_ERR_UNSUPPORTED. Takes some 10 us: a command, not the packet path.
cdef int srtp_session_init(
    srtp_session *session, int profile, const uint8_t *key, const uint8_t *salt
) noexcept nogil

# Overwrites the keys with zeros.
cdef void srtp_session_clear(srtp_session *session) noexcept nogil

cdef inline int tag_length(const srtp_keys *keys) noexcept nogil:
    return GCM_TAG_LENGTH if keys.profile == SRTP_AEAD_AES_128_GCM else HMAC_TAG_LENGTH


# Bytes that srtp_seal appends.
cdef inline int srtp_tag_length(const srtp_session *session) noexcept nogil:
    return tag_length(&session.rtp)


# Protects RTP packets. Jobs of one session should stand together: its keys are loaded once per
# run. With AES-CM, packets of equal total length in one call, of whatever session, share the 16
# lanes of SHA-1. Lengths are the caller's promise, which the debug build checks.
cdef void srtp_seal(const srtp_job *jobs, int count) noexcept nogil

# The same in steps: payloads are borrowed during the call, so what is written can be sealed while
# the nearest cache holds it. Tags of AES-CM may wait for others of their length; packets and
# sessions of such jobs are borrowed until srtp_seal_finish.
cdef void srtp_seal_more(srtp_sealer *sealer, const srtp_job *jobs, int count) noexcept nogil
cdef void srtp_seal_finish(srtp_sealer *sealer) noexcept nogil

# Authenticates and decrypts an RTP packet in place. Returns the length without the tag, or
# FP_ERR_AUTH or FP_ERR_FORMAT; then all bytes are as they were, and another ROC can be tried.
cdef int srtp_open(
    const srtp_session *session, uint8_t *packet, int length, int header_length, uint32_t roc
) noexcept nogil

# The same for AES-CM with the tag that the packet must end with, which was computed before.
cdef int srtp_open_tagged(
    const srtp_session *session, uint8_t *packet, int length, int header_length, uint32_t roc,
    const uint8_t *tag
) noexcept nogil

# Protects an RTCP compound packet in place (8 bytes or more), with room for SRTCP_MAX_TRAILER
# behind it. index: 31 bits, used once. Returns the new length, or FP_ERR_FORMAT.
cdef int srtcp_seal(
    const srtp_session *session, uint8_t *packet, int length, uint32_t index
) noexcept nogil

# Authenticates and decrypts in place. Returns the length of the RTCP packet and stores its index,
# which the caller checks against replay; or FP_ERR_AUTH or FP_ERR_FORMAT (also for E = 0).
cdef int srtcp_open(
    const srtp_session *session, uint8_t *packet, int length, uint32_t *index
) noexcept nogil


# The Python face of one direction's keys, for tests, tools and load generators.
cdef class SrtpSession:
    cdef srtp_session *session      # owned; 64-byte aligned
