/* AES-128-GCM with AES-NI and PCLMULQDQ: eight blocks at a time, one reduction for eight products. */
#ifndef PARLOUR_GCM_AESNI_H
#define PARLOUR_GCM_AESNI_H

#include <immintrin.h>

#include "aes_ni.h"
#include "gcm_portable.h"

#define GCM_AESNI_FEATURES (CPU_AESNI | CPU_PCLMUL | CPU_SSSE3)
#define GCM_AESNI __attribute__((target("aes,pclmul,ssse3")))
#define GCM_AESNI_INLINE static inline __attribute__((target("aes,pclmul,ssse3"), always_inline))

/* Byte reversal of a block. */
GCM_AESNI_INLINE __m128i ghash_ni_swap(__m128i x) {
    return _mm_shuffle_epi8(
        x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    );
}

/* Unreduced sums of products: low, middle and high 128 bits that overlap by 64. */
typedef struct { __m128i low, middle, high; } ghash_ni_sum;

GCM_AESNI_INLINE ghash_ni_sum ghash_ni_product(__m128i a, __m128i b) {
    return (ghash_ni_sum){
        _mm_clmulepi64_si128(a, b, 0x00),
        _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10)),
        _mm_clmulepi64_si128(a, b, 0x11),
    };
}

GCM_AESNI_INLINE ghash_ni_sum ghash_ni_add(ghash_ni_sum a, ghash_ni_sum b) {
    return (ghash_ni_sum){
        _mm_xor_si128(a.low, b.low),
        _mm_xor_si128(a.middle, b.middle),
        _mm_xor_si128(a.high, b.high),
    };
}

GCM_AESNI_INLINE __m128i ghash_ni_reduce(ghash_ni_sum s) {
    const __m128i polynomial = _mm_set_epi64x((long long)0xc200000000000000, 1);
    __m128i folded = _mm_clmulepi64_si128(polynomial, s.low, 0x01);
    s.middle = _mm_xor_si128(s.middle, _mm_xor_si128(_mm_shuffle_epi32(s.low, 0x4e), folded));
    folded = _mm_clmulepi64_si128(polynomial, s.middle, 0x01);
    return _mm_xor_si128(s.high, _mm_xor_si128(_mm_shuffle_epi32(s.middle, 0x4e), folded));
}

GCM_AESNI_INLINE __m128i ghash_ni_load_power(const srtp_keys *keys, int power) {
    return _mm_load_si128((const __m128i *)keys->u.ghash.powers[GHASH_POWERS - power]);
}

GCM_AESNI_INLINE __m128i ghash_ni_update(__m128i hash, __m128i h, __m128i block) {
    return ghash_ni_reduce(ghash_ni_product(_mm_xor_si128(hash, ghash_ni_swap(block)), h));
}

/* A block of which `length` bytes exist; the others are zero. */
GCM_AESNI_INLINE __m128i gcm_aesni_load_part(const uint8_t *data, uint32_t length) {
    uint8_t block[16] = {0};
    memcpy(block, data, length);
    return _mm_loadu_si128((const __m128i *)block);
}

GCM_AESNI_INLINE __m128i ghash_ni_hash(
    __m128i h, const uint8_t *data, uint32_t length
) {
    __m128i hash = _mm_setzero_si128();
    for (; length >= 16; data += 16, length -= 16)
        hash = ghash_ni_update(hash, h, _mm_loadu_si128((const __m128i *)data));
    if (length) hash = ghash_ni_update(hash, h, gcm_aesni_load_part(data, length));
    return hash;
}

GCM_AESNI_INLINE void gcm_aesni_crypt(
    const srtp_keys *keys, const gcm_op *op, const int sealing
) {
    assert(op->length <= SRTP_MAX_PAYLOAD);
    const __m128i one = _mm_set_epi32(1 << 24, 0, 0, 0);
    const __m128i h = ghash_ni_load_power(keys, 1);
    __m128i counter = aesni_first_counter(op->iv);
    __m128i tag_mask = counter;
    aesni_encrypt(keys, &tag_mask, 1);

    __m128i hash = ghash_ni_hash(h, op->aad, op->aad_length);
    const uint8_t *in = op->in;
    uint8_t *out = op->out;
    uint32_t left = op->length;
    __m128i stream[8];

    for (; left >= 128; left -= 128, in += 128, out += 128) {
        for (int i = 0; i < 8; i++) stream[i] = counter = _mm_add_epi32(counter, one);
        aesni_encrypt(keys, stream, 8);
        ghash_ni_sum sum = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
        for (int i = 0; i < 8; i++) {
            __m128i data = _mm_loadu_si128((const __m128i *)(in + 16 * i));
            __m128i result = _mm_xor_si128(stream[i], data);
            _mm_storeu_si128((__m128i *)(out + 16 * i), result);
            __m128i block = ghash_ni_swap(sealing ? result : data);
            if (i == 0) block = _mm_xor_si128(block, hash);
            sum = ghash_ni_add(sum, ghash_ni_product(block, ghash_ni_load_power(keys, 8 - i)));
        }
        hash = ghash_ni_reduce(sum);
    }

    if (left) {
        for (int i = 0; i < 8; i++) stream[i] = counter = _mm_add_epi32(counter, one);
        aesni_encrypt(keys, stream, 8);
    }
    for (int i = 0; left; i++, in += 16, out += 16) {
        uint32_t n = left < 16 ? left : 16;
        __m128i data = n == 16 ? _mm_loadu_si128((const __m128i *)in) : gcm_aesni_load_part(in, n);
        __m128i result = _mm_xor_si128(stream[i], data);
        if (n == 16) {
            _mm_storeu_si128((__m128i *)out, result);
        } else {
            uint8_t part[16];
            _mm_storeu_si128((__m128i *)part, result);
            memcpy(out, part, n);
            result = gcm_aesni_load_part(part, n); /* GHASH takes zeros behind the end */
        }
        hash = ghash_ni_update(hash, h, sealing ? result : data);
        left -= n;
    }

    __m128i lengths = _mm_set_epi64x((long long)op->aad_length * 8, (long long)op->length * 8);
    hash = ghash_ni_reduce(ghash_ni_product(_mm_xor_si128(hash, lengths), h));
    _mm_storeu_si128((__m128i *)op->tag, _mm_xor_si128(ghash_ni_swap(hash), tag_mask));
}

GCM_AESNI static void gcm_aesni_seal(const srtp_keys *keys, const gcm_op *ops, int count) {
    for (int i = 0; i < count; i++) gcm_aesni_crypt(keys, &ops[i], 1);
}

GCM_AESNI static void gcm_aesni_open(const srtp_keys *keys, const gcm_op *ops, int count) {
    for (int i = 0; i < count; i++) gcm_aesni_crypt(keys, &ops[i], 0);
}

#endif
