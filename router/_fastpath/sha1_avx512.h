/*
 * HMAC-SHA1-80 of 16 messages of equal length at once, one in each lane of 32 bits (AVX-512).
 *
 * Sixteen lanes take as long as one, so this pays from about five messages on. Idle lanes repeat
 * the first message.
 */
#ifndef PARLOUR_SHA1_AVX512_H
#define PARLOUR_SHA1_AVX512_H

#include <immintrin.h>

#include "sha1_portable.h"

#define SHA1_LANES 16
#define SHA1_AVX512_FEATURES (CPU_AVX512F | CPU_AVX512BW | CPU_AVX512VL)
#define SHA1_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#define SHA1_AVX512_INLINE \
    static inline __attribute__((target("avx512f,avx512bw,avx512vl"), always_inline))

/* Words in network order to integers. */
SHA1_AVX512_INLINE __m512i sha1_lanes_swap(__m512i x) {
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(
        _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)
    ));
}

/*
 * Transposes 16 x 16 words: from a block of message l in r[l] to word t of all messages in r[t].
 * Two steps exchange words inside lanes of 128 bits, two exchange these lanes.
 */
SHA1_AVX512_INLINE void sha1_lanes_transpose(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Twenty rounds with one f (as a truth table of three inputs) and one K; a constant `first`. */
SHA1_AVX512_INLINE void sha1_lanes_rounds(
    __m512i v[5], __m512i w[16], const int first, const int f, const uint32_t k
) {
    const __m512i constant = _mm512_set1_epi32((int)k);
    __m512i a = v[0], b = v[1], c = v[2], d = v[3], e = v[4];
#pragma GCC unroll 20
    for (int t = first; t < first + 20; t++) {
        if (t >= 16) {
            __m512i three = _mm512_ternarylogic_epi32(
                w[(t - 3) & 15], w[(t - 8) & 15], w[(t - 14) & 15], 0x96
            );
            w[t & 15] = _mm512_rol_epi32(_mm512_xor_si512(three, w[t & 15]), 1);
        }
        __m512i chosen = f == 0 ? _mm512_ternarylogic_epi32(b, c, d, 0xca)  /* b ? c : d */
            : f == 2 ? _mm512_ternarylogic_epi32(b, c, d, 0xe8)             /* majority */
            : _mm512_ternarylogic_epi32(b, c, d, 0x96);                     /* parity */
        __m512i sum = _mm512_add_epi32(_mm512_add_epi32(w[t & 15], constant), e);
        sum = _mm512_add_epi32(sum, _mm512_add_epi32(chosen, _mm512_rol_epi32(a, 5)));
        e = d;
        d = c;
        c = _mm512_rol_epi32(b, 30);
        b = a;
        a = sum;
    }
    v[0] = a;
    v[1] = b;
    v[2] = c;
    v[3] = d;
    v[4] = e;
}

SHA1_AVX512_INLINE void sha1_lanes_compress(__m512i state[5], __m512i w[16]) {
    __m512i v[5];
    for (int i = 0; i < 5; i++) v[i] = state[i];
    sha1_lanes_rounds(v, w, 0, 0, 0x5a827999);
    sha1_lanes_rounds(v, w, 20, 1, 0x6ed9eba1);
    sha1_lanes_rounds(v, w, 40, 2, 0x8f1bbcdc);
    sha1_lanes_rounds(v, w, 60, 3, 0xca62c1d6);
    for (int i = 0; i < 5; i++) state[i] = _mm512_add_epi32(state[i], v[i]);
}

/* One block of each message, at the same offset. */
SHA1_AVX512_INLINE void sha1_lanes_block(
    __m512i state[5], const uint8_t *const messages[SHA1_LANES], uint32_t offset
) {
    __m512i w[16];
    for (int l = 0; l < SHA1_LANES; l++)
        w[l] = sha1_lanes_swap(_mm512_loadu_si512(messages[l] + offset));
    sha1_lanes_transpose(w);
    sha1_lanes_compress(state, w);
}

/* Noinline: one copy of this large body. */
__attribute__((noinline)) SHA1_AVX512 static void sha1_avx512_hmac_80_group(
    const hmac_job *jobs, int count, uint32_t message_length, int with_trailer
) {
    __attribute__((aligned(64))) uint8_t tails[SHA1_LANES][2 * SHA1_BLOCK];
    __attribute__((aligned(64))) uint32_t inner[5][SHA1_LANES], outer[5][SHA1_LANES];
    const uint8_t *messages[SHA1_LANES], *ends[SHA1_LANES];
    uint32_t end_blocks = 0;
    for (int l = 0; l < SHA1_LANES; l++) {
        const hmac_job *job = &jobs[l < count ? l : 0];
        messages[l] = job->message;
        ends[l] = tails[l < count ? l : 0];
        if (l < count) end_blocks = hmac_inner_tail(job, message_length, with_trailer, tails[l]);
        for (int i = 0; i < 5; i++) {
            inner[i][l] = job->keys->u.hmac.inner[i];
            outer[i][l] = job->keys->u.hmac.outer[i];
        }
    }

    __m512i state[5], w[16];
    for (int i = 0; i < 5; i++) state[i] = _mm512_load_si512(inner[i]);
    for (uint32_t block = 0; block < message_length / SHA1_BLOCK; block++)
        sha1_lanes_block(state, messages, SHA1_BLOCK * block);
    for (uint32_t block = 0; block < end_blocks; block++)
        sha1_lanes_block(state, ends, SHA1_BLOCK * block);

    /* The outer message is the same in all lanes but for the digest. */
    for (int i = 0; i < 16; i++) w[i] = i < 5 ? state[i] : _mm512_setzero_si512();
    w[5] = _mm512_set1_epi32((int)0x80000000);
    w[15] = _mm512_set1_epi32((SHA1_BLOCK + SHA1_DIGEST) * 8);
    for (int i = 0; i < 5; i++) state[i] = _mm512_load_si512(outer[i]);
    sha1_lanes_compress(state, w);

    for (int i = 0; i < 5; i++) _mm512_store_si512(outer[i], state[i]);
    for (int l = 0; l < count; l++) {
        const uint32_t digest[5] = {outer[0][l], outer[1][l], outer[2][l]};
        hmac_store_tag(digest, jobs[l].tag);
    }
}

SHA1_AVX512 static void sha1_avx512_hmac_80(
    const hmac_job *jobs, int count, uint32_t message_length, int with_trailer
) {
    for (; count > 0; count -= SHA1_LANES, jobs += SHA1_LANES) {
        int lanes = count < SHA1_LANES ? count : SHA1_LANES;
        sha1_avx512_hmac_80_group(jobs, lanes, message_length, with_trailer);
    }
}

#endif
