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

#endif
