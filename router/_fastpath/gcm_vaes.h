/*
 * AES-128-GCM with VAES and VPCLMULQDQ on 512-bit registers.
 *
 * Chunks of 16 blocks are encrypted and hashed with H^16..H^1 and one reduction. The rest, at most
 * 15 whole blocks and a part, goes through in one step together with GHASH's block of lengths: that
 * one takes the place behind the last data block, and in the counter blocks this place holds the
 * first counter, so that the mask of the tag costs no encryption of its own.
 */
#ifndef PARLOUR_GCM_VAES_H
#define PARLOUR_GCM_VAES_H

#include "aes_vaes.h"
#include "gcm_portable.h"

#define GCM_VAES_FEATURES                                                                  \
    (CPU_VAES | CPU_VPCLMULQDQ | CPU_AVX512F | CPU_AVX512BW | CPU_AVX512VL | CPU_BMI2       \
     | CPU_AESNI | CPU_PCLMUL)
#define GCM_VAES_CHUNK 256

/* Unreduced sums of products in four lanes: low, middle and high 128 bits that overlap by 64. */
typedef struct { __m512i low, middle, high; } ghash_vaes_sum;

VAES_INLINE __m512i vaes_xor3(__m512i a, __m512i b, __m512i c) {
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/* Byte reversal of each block. */
VAES_INLINE __m512i ghash_vaes_swap(__m512i x) {
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(
        _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    ));
}

VAES_INLINE ghash_vaes_sum ghash_vaes_zero(void) {
    const __m512i zero = _mm512_setzero_si512();
    return (ghash_vaes_sum){zero, zero, zero};
}

VAES_INLINE void ghash_vaes_add_product(ghash_vaes_sum *sum, __m512i a, __m512i b) {
    sum->low = _mm512_xor_si512(sum->low, _mm512_clmulepi64_epi128(a, b, 0x00));
    sum->high = _mm512_xor_si512(sum->high, _mm512_clmulepi64_epi128(a, b, 0x11));
    sum->middle = vaes_xor3(
        sum->middle, _mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10)
    );
}

/* Reduces the four lanes and adds them up. */
VAES_INLINE __m128i ghash_vaes_reduce(const ghash_vaes_sum *sum) {
    const __m512i polynomial = _mm512_broadcast_i32x4(
        _mm_set_epi64x((long long)0xc200000000000000, 1)
    );
    __m512i middle = vaes_xor3(
        sum->middle,
        _mm512_shuffle_epi32(sum->low, 0x4e),
        _mm512_clmulepi64_epi128(polynomial, sum->low, 0x01)
    );
    __m512i lanes = vaes_xor3(
        sum->high,
        _mm512_shuffle_epi32(middle, 0x4e),
        _mm512_clmulepi64_epi128(polynomial, middle, 0x01)
    );
    __m256i pair = _mm256_xor_si256(
        _mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1)
    );
    return _mm_xor_si128(_mm256_castsi256_si128(pair), _mm256_extracti128_si256(pair, 1));
}

/* Four powers of H, from H^power down; past H^1 come zeros. */
VAES_INLINE __m512i ghash_vaes_load_powers(const srtp_keys *keys, int power) {
    const uint8_t *powers = (const uint8_t *)&keys->u.ghash;
    return _mm512_loadu_si512(powers + 16 * (GHASH_POWERS - power));
}

/* Associated data of more than 64 bytes (long CSRC lists and extensions): block by block. */
VAES_INLINE __m128i ghash_vaes_long_aad(const srtp_keys *keys, const uint8_t *aad, int length) {
    const __m512i h = _mm512_zextsi128_si512(
        _mm_load_si128((const __m128i *)keys->u.ghash.powers[GHASH_POWERS - 1])
    );
    __m128i hash = _mm_setzero_si128();
    for (int i = 0; i < length; i += 16) {
        __mmask64 mask = vaes_byte_mask(length - i < 16 ? length - i : 16);
        __m512i block = ghash_vaes_swap(_mm512_maskz_loadu_epi8(mask, aad + i));
        ghash_vaes_sum sum = ghash_vaes_zero();
        ghash_vaes_add_product(&sum, _mm512_xor_si512(block, _mm512_zextsi128_si512(hash)), h);
        hash = ghash_vaes_reduce(&sum);
    }
    return hash;
}

/* What the steps of one message hand on. */
typedef struct gcm_vaes_state {
    __m512i first_counter;  /* IV | 1 in all lanes */
    __m512i counters;       /* the next four */
    __m128i hash;           /* reduced, of the chunks before */
    ghash_vaes_sum sum;     /* not reduced: associated data that joins the next step */
    const uint8_t *in;
    uint8_t *out;
} gcm_vaes_state;

VAES_INLINE void gcm_vaes_chunk(
    const vaes_keys *aes, const srtp_keys *keys, gcm_vaes_state *s, const int sealing
) {
    __m512i stream[4], data[4];
    for (int i = 0; i < 4; i++) {
        stream[i] = s->counters;
        s->counters = vaes_next_counters(s->counters);
        data[i] = _mm512_loadu_si512(s->in + 64 * i);
    }
    vaes_encrypt_but_last(aes, stream, 4);
    for (int i = 0; i < 4; i++) {
        __m512i result = vaes_encrypt_last(aes, stream[i], data[i]);
        _mm512_storeu_si512(s->out + 64 * i, result);
        if (sealing) data[i] = result;
    }
    for (int i = 0; i < 4; i++) {
        __m512i block = ghash_vaes_swap(data[i]);
        if (i == 0) block = _mm512_xor_si512(block, _mm512_zextsi128_si512(s->hash));
        ghash_vaes_add_product(&s->sum, block, ghash_vaes_load_powers(keys, 16 - 4 * i));
    }
    s->hash = ghash_vaes_reduce(&s->sum);
    s->sum = ghash_vaes_zero();
    s->in += GCM_VAES_CHUNK;
    s->out += GCM_VAES_CHUNK;
}

/* The last `left` < 256 bytes, the lengths and the tag; registers = left / 64 blocks + 1. */
VAES_INLINE void gcm_vaes_tail(
    const vaes_keys *aes, const srtp_keys *keys, gcm_vaes_state *s, const gcm_op *op,
    int left, const int registers, const int sealing
) {
    const int blocks = (left + 15) / 16;
    const __mmask8 lengths_lane = (__mmask8)(3u << (2 * (blocks & 3)));
    const __m512i lengths = _mm512_broadcast_i32x4(
        _mm_set_epi64x((long long)op->aad_length * 8, (long long)op->length * 8)
    );
    __m512i stream[5];
    for (int i = 0; i < registers; i++) {
        stream[i] = s->counters;
        s->counters = vaes_next_counters(s->counters);
    }
    stream[registers - 1] = _mm512_mask_blend_epi64(
        lengths_lane, stream[registers - 1], s->first_counter
    );
    vaes_encrypt_but_last(aes, stream, registers);
    for (int i = 0; i < registers; i++)
        stream[i] = vaes_encrypt_last(aes, stream[i], _mm512_setzero_si512());
    __m128i tag_mask = _mm512_castsi512_si128(
        _mm512_maskz_compress_epi64(lengths_lane, stream[registers - 1])
    );

    for (int i = 0; i < registers; i++) {
        const __mmask64 mask = vaes_byte_mask(left - 64 * i);
        __m512i data = _mm512_maskz_loadu_epi8(mask, s->in + 64 * i);
        __m512i result = _mm512_xor_si512(stream[i], data);
        _mm512_mask_storeu_epi8(s->out + 64 * i, mask, result);
        __m512i block = ghash_vaes_swap(_mm512_maskz_mov_epi8(mask, sealing ? result : data));
        if (i == registers - 1) block = _mm512_mask_blend_epi64(lengths_lane, block, lengths);
        if (i == 0) block = _mm512_xor_si512(block, _mm512_zextsi128_si512(s->hash));
        ghash_vaes_add_product(&s->sum, block, ghash_vaes_load_powers(keys, blocks + 1 - 4 * i));
    }
    __m512i tag = ghash_vaes_swap(_mm512_zextsi128_si512(ghash_vaes_reduce(&s->sum)));
    _mm_storeu_si128((__m128i *)op->tag, _mm_xor_si128(_mm512_castsi512_si128(tag), tag_mask));
}

VAES_INLINE void gcm_vaes_crypt(
    const vaes_keys *aes, const srtp_keys *keys, const gcm_op *op, const int sealing
) {
    assert(op->length <= SRTP_MAX_PAYLOAD);
    const int aad_length = (int)op->aad_length, length = (int)op->length;
    const int left = length % GCM_VAES_CHUNK;
    gcm_vaes_state s = {
        .first_counter = _mm512_broadcast_i32x4(aesni_first_counter(op->iv)),
        .hash = _mm_setzero_si128(),
        .sum = ghash_vaes_zero(),
        .in = op->in,
        .out = op->out,
    };
    s.counters = _mm512_add_epi32(s.first_counter, vaes_count_lanes(1));

    if (__builtin_expect(aad_length > 64, 0)) {
        s.hash = ghash_vaes_long_aad(keys, op->aad, aad_length);
    } else if (aad_length) {
        /* Its blocks are hashed together with those of the step that follows. */
        const int following = length >= GCM_VAES_CHUNK ? 16 : (left + 15) / 16 + 1;
        __m512i aad = _mm512_maskz_loadu_epi8(vaes_byte_mask(aad_length), op->aad);
        ghash_vaes_add_product(
            &s.sum, ghash_vaes_swap(aad),
            ghash_vaes_load_powers(keys, following + (aad_length + 15) / 16)
        );
    }
    for (int chunks = length / GCM_VAES_CHUNK; chunks; chunks--)
        gcm_vaes_chunk(aes, keys, &s, sealing);

    switch (((left + 15) / 16 + 4) / 4) {
    case 1: gcm_vaes_tail(aes, keys, &s, op, left, 1, sealing); break;
    case 2: gcm_vaes_tail(aes, keys, &s, op, left, 2, sealing); break;
    case 3: gcm_vaes_tail(aes, keys, &s, op, left, 3, sealing); break;
    case 4: gcm_vaes_tail(aes, keys, &s, op, left, 4, sealing); break;
    default: gcm_vaes_tail(aes, keys, &s, op, left, 5, sealing); break;
    }
}

VAES static void gcm_vaes_seal(const srtp_keys *keys, const gcm_op *ops, int count) {
    vaes_keys aes = vaes_load_keys(keys);
    for (int i = 0; i < count; i++) gcm_vaes_crypt(&aes, keys, &ops[i], 1);
}

VAES static void gcm_vaes_open(const srtp_keys *keys, const gcm_op *ops, int count) {
    vaes_keys aes = vaes_load_keys(keys);
    for (int i = 0; i < count; i++) gcm_vaes_crypt(&aes, keys, &ops[i], 0);
}

#endif
