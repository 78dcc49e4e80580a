/* AES-128 with VAES: four blocks to a 512-bit register. */
#ifndef PARLOUR_AES_VAES_H
#define PARLOUR_AES_VAES_H

#include <immintrin.h>

#include "aes_ni.h"
#include "srtp_types.h"

#define VAES_TARGET "vaes,vpclmulqdq,avx512f,avx512bw,avx512vl,bmi2,aes,pclmul"
#define VAES __attribute__((target(VAES_TARGET)))
#define VAES_INLINE static inline __attribute__((target(VAES_TARGET), always_inline))

/* Round keys, each in all four lanes: loaded once for all packets of a session. */
typedef struct { __m512i round[AES128_ROUND_KEYS]; } vaes_keys;

VAES_INLINE __m512i vaes_broadcast(const void *block) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)block));
}

VAES_INLINE vaes_keys vaes_load_keys(const srtp_keys *keys) {
    vaes_keys loaded;
    for (int i = 0; i < AES128_ROUND_KEYS; i++)
        loaded.round[i] = vaes_broadcast(keys->round_keys[i]);
    return loaded;
}

/*
 * All rounds but the last, for `count` registers. The caller does the last one, with the data to
 * encrypt XORed into its round key: AESENCLAST then does both.
 */
VAES_INLINE void vaes_encrypt_but_last(
    const vaes_keys *keys, __m512i *blocks, const int count
) {
    for (int i = 0; i < count; i++) blocks[i] = _mm512_xor_si512(blocks[i], keys->round[0]);
    for (int round = 1; round < AES128_ROUND_KEYS - 1; round++)
        for (int i = 0; i < count; i++)
            blocks[i] = _mm512_aesenc_epi128(blocks[i], keys->round[round]);
}

VAES_INLINE __m512i vaes_encrypt_last(const vaes_keys *keys, __m512i block, __m512i data) {
    return _mm512_aesenclast_epi128(
        block, _mm512_xor_si512(keys->round[AES128_ROUND_KEYS - 1], data)
    );
}

/* Counter blocks first, first + 1, ... of four lanes; the counter is the last byte of a block. */
VAES_INLINE __m512i vaes_count_lanes(const int first) {
    return _mm512_set_epi32(
        (first + 3) << 24, 0, 0, 0, (first + 2) << 24, 0, 0, 0,
        (first + 1) << 24, 0, 0, 0, first << 24, 0, 0, 0
    );
}
VAES_INLINE __m512i vaes_next_counters(__m512i counters) {
    const __m512i four = _mm512_maskz_set1_epi32(0x8888, 4 << 24);
    return _mm512_add_epi32(counters, four);
}

/* Selects the first `length` bytes of a register; none when it is negative. */
VAES_INLINE __mmask64 vaes_byte_mask(int length) {
    return length <= 0 ? 0 : length >= 64 ? ~0ULL : _bzhi_u64(~0ULL, (unsigned)length);
}

#endif
