/*
 * SRTP keys, sessions and jobs: plain memory that every kernel reads the same way.
 *
 * A session holds the keys of one direction. It is flat (no pointers), so that an array of
 * sessions can be indexed, prefetched and copied, and independent of the kernels, so that these
 * can be exchanged at run time.
 */
#ifndef PARLOUR_SRTP_TYPES_H
#define PARLOUR_SRTP_TYPES_H

#include <stdint.h>

/* RFC 5764 4.1.2 and RFC 7714 14.2: the DTLS-SRTP numbers of the protection profiles. */
#define SRTP_AES128_CM_HMAC_SHA1_80 1
#define SRTP_AEAD_AES_128_GCM 7

#define AES128_ROUND_KEYS 11
#define GHASH_POWERS 24

/* The kernels count AES blocks in the last byte of the counter block: at most 254 of them. */
#define SRTP_MAX_PAYLOAD 4048
#define SRTP_MAX_TAG 16

/*
 * Keys of one profile for RTP or for RTCP: 640 bytes, ten cache lines. AES-CM uses the first four.
 */
typedef struct __attribute__((aligned(64))) srtp_keys {
    uint8_t round_keys[AES128_ROUND_KEYS][16];
    uint8_t salt[14];            /* GCM uses 12 bytes */
    uint8_t profile;             /* SRTP_...; 0 when not initialised */
    uint8_t reserved;
    union {
        struct {
            /* H^24 ... H^1, byte-reflected and multiplied by x^-1 (see ghash.h). */
            uint8_t powers[GHASH_POWERS][16];
            uint8_t slack[64];   /* zeros: 64-byte loads that start at H^1 stay inside */
        } ghash;
        struct {
            uint32_t inner[5];   /* SHA-1 state after the block key ^ ipad */
            uint32_t outer[5];   /* SHA-1 state after the block key ^ opad */
        } hmac;
    } u;
} srtp_keys;

/* One direction of one peer: 1,280 bytes. */
typedef struct __attribute__((aligned(64))) srtp_session {
    srtp_keys rtp;
    srtp_keys rtcp;
} srtp_session;

/*
 * One RTP packet to protect. The header, with sequence number and SSRC in place, stands at
 * packet[0:header_length]; ciphertext and tag are written behind it. The payload is either apart
 * from the packet or exactly packet + header_length. Nothing past the tag is touched, so packets
 * may lie back to back.
 */
typedef struct srtp_job {
    const srtp_session *session; /* borrowed during the call */
    uint8_t *packet;             /* borrowed during the call */
    const uint8_t *payload;      /* borrowed during the call */
    uint32_t header_length;      /* 12 or more */
    uint32_t payload_length;     /* at most SRTP_MAX_PAYLOAD */
    uint32_t roc;                /* rollover counter of this packet's sequence number */
} srtp_job;

/* Begins to load what sealing under these keys reads first. */
static inline void srtp_prefetch(const srtp_session *session) {
    const char *line = (const char *)&session->rtp;
    for (unsigned offset = 0; offset < sizeof session->rtp; offset += 64)
        __builtin_prefetch(line + offset);
}

/* One message for AES-GCM. `in` may equal `out`; the tag may be written right behind the output. */
typedef struct gcm_op {
    const uint8_t *aad;
    const uint8_t *in;
    uint8_t *out;
    uint8_t *tag;        /* 16 bytes, written by seal and by open: the caller of open compares */
    uint32_t aad_length;
    uint32_t length;     /* at most SRTP_MAX_PAYLOAD */
    uint8_t iv[12];
} gcm_op;

/* One message for AES in counter mode; `in` may equal `out`. */
typedef struct ctr_op {
    const uint8_t *in;
    uint8_t *out;
    uint32_t length;     /* at most SRTP_MAX_PAYLOAD, so the counter stays in the IV's last byte */
    uint8_t iv[16];      /* the last two bytes are zero */
} ctr_op;

/*
 * One message to authenticate with HMAC-SHA1-80: `message_length` bytes, the same for all jobs of
 * a call, followed by the 4 bytes of the trailer (SRTP's ROC) where the call says so. Only these
 * bytes are read and only the tag is written, so messages may lie back to back.
 */
typedef struct hmac_job {
    const srtp_keys *keys;
    const uint8_t *message;
    uint8_t *tag;        /* 10 bytes */
    uint32_t trailer;
} hmac_job;

/* Messages of one length that wait until SHA-1 has its 16 lanes full. */
#define SRTP_TAG_LANES 16
#define SRTP_TAG_GROUPS 8

typedef struct srtp_tag_group {
    uint32_t message_length;
    int count;
    hmac_job jobs[SRTP_TAG_LANES];
} srtp_tag_group;

typedef struct srtp_sealer {
    srtp_tag_group groups[SRTP_TAG_GROUPS];
} srtp_sealer;

#endif
