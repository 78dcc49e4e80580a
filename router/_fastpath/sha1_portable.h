/* SHA-1 (FIPS 180-4) and HMAC (RFC 2104): what all kernels share, and the portable kernel. */
#ifndef PARLOUR_SHA1_PORTABLE_H
#define PARLOUR_SHA1_PORTABLE_H

#include "bytes.h"
#include "srtp_types.h"

#define SHA1_BLOCK 64
#define SHA1_DIGEST 20
#define HMAC_SHA1_80_TAG 10

typedef void (*sha1_compress_function)(uint32_t state[5], const uint8_t *data, uint32_t blocks);
typedef void (*hmac_80_function)(
    const hmac_job *jobs, int count, uint32_t message_length, int with_trailer
);

static const uint32_t SHA1_INITIAL[5] = {
    0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0
};

static inline uint32_t sha1_rotate(uint32_t x, int n) {
    return x << n | x >> (32 - n);
}

static void sha1_portable_compress(uint32_t state[5], const uint8_t *data, uint32_t blocks) {
    for (; blocks; blocks--, data += SHA1_BLOCK) {
        uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int t = 0; t < 16; t++) w[t] = load_be32(data + 4 * t);
        for (int t = 16; t < 80; t++)
            w[t] = sha1_rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
        for (int t = 0; t < 80; t++) {
            uint32_t f, k;
            if (t < 20) {
                f = d ^ (b & (c ^ d));
                k = 0x5a827999;
            } else if (t < 40) {
                f = b ^ c ^ d;
                k = 0x6ed9eba1;
            } else if (t < 60) {
                f = (b & c) | (d & (b | c));
                k = 0x8f1bbcdc;
            } else {
                f = b ^ c ^ d;
                k = 0xca62c1d6;
            }
            uint32_t next = sha1_rotate(a, 5) + f + e + k + w[t];
            e = d;
            d = c;
            c = sha1_rotate(b, 30);
            b = a;
            a = next;
        }
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
    }
}

/*
 * Writes the end of an HMAC's inner message: the bytes behind the last whole block, the trailer,
 * the padding and the length in bits (with the key's block). Returns the number of blocks: 1 or 2.
 */
static inline uint32_t hmac_inner_tail(
    const hmac_job *job, uint32_t message_length, int with_trailer, uint8_t tail[2 * SHA1_BLOCK]
) {
    uint32_t rest = message_length % SHA1_BLOCK;
    uint32_t trailer_length = with_trailer ? 4 : 0;
    uint32_t used = rest + trailer_length + 1;
    uint32_t blocks = used + 8 > SHA1_BLOCK ? 2 : 1;
    memcpy(tail, job->message + message_length - rest, rest);
    if (with_trailer) store_be32(tail + rest, job->trailer);
    tail[used - 1] = 0x80;
    memset(tail + used, 0, blocks * SHA1_BLOCK - used);
    store_be64(
        tail + blocks * SHA1_BLOCK - 8,
        ((uint64_t)SHA1_BLOCK + message_length + trailer_length) * 8
    );
    return blocks;
}

/* The outer message's only block: the inner digest, padding, length. */
static inline void hmac_outer_block(const uint32_t inner[5], uint8_t block[SHA1_BLOCK]) {
    memset(block, 0, SHA1_BLOCK);
    for (int i = 0; i < 5; i++) store_be32(block + 4 * i, inner[i]);
    block[SHA1_DIGEST] = 0x80;
    store_be64(block + SHA1_BLOCK - 8, (SHA1_BLOCK + SHA1_DIGEST) * 8);
}

static inline void hmac_store_tag(const uint32_t state[5], uint8_t tag[HMAC_SHA1_80_TAG]) {
    store_be32(tag, state[0]);
    store_be32(tag + 4, state[1]);
    store_be16(tag + 8, (uint16_t)(state[2] >> 16));
}

static void sha1_portable_hmac_80(
    const hmac_job *jobs, int count, uint32_t message_length, int with_trailer
) {
    uint8_t tail[2 * SHA1_BLOCK];
    for (const hmac_job *job = jobs; job < jobs + count; job++) {
        uint32_t state[5];
        memcpy(state, job->keys->u.hmac.inner, sizeof state);
        sha1_portable_compress(state, job->message, message_length / SHA1_BLOCK);
        uint32_t blocks = hmac_inner_tail(job, message_length, with_trailer, tail);
        sha1_portable_compress(state, tail, blocks);
        hmac_outer_block(state, tail);
        memcpy(state, job->keys->u.hmac.outer, sizeof state);
        sha1_portable_compress(state, tail, 1);
        hmac_store_tag(state, job->tag);
    }
}

#endif
