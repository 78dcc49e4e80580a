/* AES-128 blocks with AES-NI. */
#ifndef PARLOUR_AES_NI_H
#define PARLOUR_AES_NI_H

#include <immintrin.h>
#include <string.h>

#include "srtp_types.h"

/*
 * A block of two halves that were just written as such: one load of both would wait until all stores
 * before it are in the cache.
 */
static inline __attribute__((always_inline)) __m128i aesni_counter(const uint8_t block[16]) {
    return _mm_unpacklo_epi64(
        _mm_loadl_epi64((const __m128i *)block), _mm_loadl_epi64((const __m128i *)(block + 8))
    );
}

/* The counter block IV | 1, of a nonce written as 8 and 4 bytes; likewise. */
static inline __attribute__((always_inline)) __m128i aesni_first_counter(const uint8_t iv[12]) {
    int32_t last;
    memcpy(&last, iv + 8, sizeof last);
    return _mm_unpacklo_epi64(
        _mm_loadl_epi64((const __m128i *)iv), _mm_set_epi32(0, 0, 1 << 24, last)
    );
}

/* Encrypts `count` blocks in place; the constant `count` unrolls, so that their rounds overlap. */
static inline __attribute__((target("aes"), always_inline)) void aesni_encrypt(
    const srtp_keys *keys, __m128i *blocks, const int count
) {
    const __m128i *round_keys = (const __m128i *)keys->round_keys;
    __m128i key = _mm_load_si128(&round_keys[0]);
    for (int i = 0; i < count; i++) blocks[i] = _mm_xor_si128(blocks[i], key);
    for (int round = 1; round < AES128_ROUND_KEYS - 1; round++) {
        key = _mm_load_si128(&round_keys[round]);
        for (int i = 0; i < count; i++) blocks[i] = _mm_aesenc_si128(blocks[i], key);
    }
    key = _mm_load_si128(&round_keys[AES128_ROUND_KEYS - 1]);
    for (int i = 0; i < count; i++) blocks[i] = _mm_aesenclast_si128(blocks[i], key);
}

#endif
