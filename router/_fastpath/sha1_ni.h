/*
 * SHA-1 with the SHA extensions, one or two messages at once.
 *
 * A round instruction takes four cycles before the next one can use its result; a second message
 * in between hides about half of that. Four messages at once ran no faster than two: registers
 * spill.
 */
#ifndef PARLOUR_SHA1_NI_H
#define PARLOUR_SHA1_NI_H

#include <immintrin.h>

#include "sha1_portable.h"

#define SHA1_NI_FEATURES (CPU_SHANI | CPU_SSSE3 | CPU_SSE41)
#define SHA1_NI __attribute__((target("sha,ssse3,sse4.1")))
#define SHA1_NI_INLINE static inline __attribute__((target("sha,ssse3,sse4.1"), always_inline))
#define SHA1_NI_STREAMS 2

typedef struct sha1_ni_stream {
    __m128i abcd, e;
    __m128i schedule[4]; /* the next 16 words */
} sha1_ni_stream;

/* Rounds 4 i .. 4 i + 3; `function` selects f and K of FIPS 180-4 4.1.1. */
#define SHA1_NI_ROUNDS(i, function)                                                          \
    for (int s = 0; s < streams; s++) {                                                      \
        sha1_ni_stream *z = &stream[s];                                                      \
        __m128i words = z->schedule[(i) & 3];                                                \
        __m128i e_plus_words = (i) == 0 ? _mm_add_epi32(z->e, words)                         \
                                        : _mm_sha1nexte_epu32(z->e, words);                  \
        z->e = z->abcd;                                                                      \
        z->abcd = _mm_sha1rnds4_epu32(z->abcd, e_plus_words, function);                      \
        if ((i) < 16) {                                                                      \
            __m128i mixed = _mm_sha1msg1_epu32(words, z->schedule[((i) + 1) & 3]);           \
            mixed = _mm_xor_si128(mixed, z->schedule[((i) + 2) & 3]);                        \
            z->schedule[(i) & 3] = _mm_sha1msg2_epu32(mixed, z->schedule[((i) + 3) & 3]);    \
        }                                                                                    \
    }

SHA1_NI_INLINE void sha1_ni_compress_streams(
    const int streams, uint32_t *const states[], const uint8_t *const data[], uint32_t blocks
) {
    const __m128i swap = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    sha1_ni_stream stream[SHA1_NI_STREAMS];
    for (int s = 0; s < streams; s++) {
        __m128i state = _mm_loadu_si128((const __m128i *)states[s]);
        stream[s].abcd = _mm_shuffle_epi32(state, 0x1b);
        stream[s].e = _mm_set_epi32((int)states[s][4], 0, 0, 0);
    }
    for (uint32_t block = 0; block < blocks; block++) {
        __m128i abcd_before[SHA1_NI_STREAMS], e_before[SHA1_NI_STREAMS];
        for (int s = 0; s < streams; s++) {
            const uint8_t *bytes = data[s] + SHA1_BLOCK * block;
            abcd_before[s] = stream[s].abcd;
            e_before[s] = stream[s].e;
            for (int i = 0; i < 4; i++)
                stream[s].schedule[i] = _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(bytes + 16 * i)), swap
                );
        }
        SHA1_NI_ROUNDS(0, 0) SHA1_NI_ROUNDS(1, 0) SHA1_NI_ROUNDS(2, 0)
        SHA1_NI_ROUNDS(3, 0) SHA1_NI_ROUNDS(4, 0)
        SHA1_NI_ROUNDS(5, 1) SHA1_NI_ROUNDS(6, 1) SHA1_NI_ROUNDS(7, 1)
        SHA1_NI_ROUNDS(8, 1) SHA1_NI_ROUNDS(9, 1)
        SHA1_NI_ROUNDS(10, 2) SHA1_NI_ROUNDS(11, 2) SHA1_NI_ROUNDS(12, 2)
        SHA1_NI_ROUNDS(13, 2) SHA1_NI_ROUNDS(14, 2)
        SHA1_NI_ROUNDS(15, 3) SHA1_NI_ROUNDS(16, 3) SHA1_NI_ROUNDS(17, 3)
        SHA1_NI_ROUNDS(18, 3) SHA1_NI_ROUNDS(19, 3)
        for (int s = 0; s < streams; s++) {
            stream[s].e = _mm_sha1nexte_epu32(stream[s].e, e_before[s]);
            stream[s].abcd = _mm_add_epi32(stream[s].abcd, abcd_before[s]);
        }
    }
    for (int s = 0; s < streams; s++) {
        _mm_storeu_si128((__m128i *)states[s], _mm_shuffle_epi32(stream[s].abcd, 0x1b));
        states[s][4] = (uint32_t)_mm_extract_epi32(stream[s].e, 3);
    }
}

SHA1_NI static void sha1_ni_compress(uint32_t state[5], const uint8_t *data, uint32_t blocks) {
    uint32_t *const states[1] = {state};
    const uint8_t *const datas[1] = {data};
    sha1_ni_compress_streams(1, states, datas, blocks);
}

SHA1_NI_INLINE void sha1_ni_hmac_80_streams(
    const int streams, const hmac_job *jobs, uint32_t message_length, int with_trailer
) {
    uint32_t state[SHA1_NI_STREAMS][5], *states[SHA1_NI_STREAMS], blocks = 0;
    uint8_t tail[SHA1_NI_STREAMS][2 * SHA1_BLOCK];
    const uint8_t *messages[SHA1_NI_STREAMS], *tails[SHA1_NI_STREAMS];
    for (int s = 0; s < streams; s++) {
        memcpy(state[s], jobs[s].keys->u.hmac.inner, sizeof state[s]);
        states[s] = state[s];
        messages[s] = jobs[s].message;
        tails[s] = tail[s];
        blocks = hmac_inner_tail(&jobs[s], message_length, with_trailer, tail[s]);
    }
    sha1_ni_compress_streams(streams, states, messages, message_length / SHA1_BLOCK);
    sha1_ni_compress_streams(streams, states, tails, blocks);
    for (int s = 0; s < streams; s++) {
        hmac_outer_block(state[s], tail[s]);
        memcpy(state[s], jobs[s].keys->u.hmac.outer, sizeof state[s]);
    }
    sha1_ni_compress_streams(streams, states, tails, 1);
    for (int s = 0; s < streams; s++) hmac_store_tag(state[s], jobs[s].tag);
}

SHA1_NI static void sha1_ni_hmac_80(
    const hmac_job *jobs, int count, uint32_t message_length, int with_trailer
) {
    for (; count >= 2; count -= 2, jobs += 2)
        sha1_ni_hmac_80_streams(2, jobs, message_length, with_trailer);
    if (count) sha1_ni_hmac_80_streams(1, jobs, message_length, with_trailer);
}

#endif
