/*
 * Portable AES-128 in constant time: no tables, no branches on secrets.
 *
 * Bitsliced: a group of eight planes holds bit 0..7 of every state byte of eight blocks, so that
 * SubBytes is a circuit of XOR and AND over planes. A plane is a vector of two 64-bit lanes with
 * four blocks each; within a lane, the bit of (row, column, block) stands at
 * 16 * row + 4 * column + block. Rows are then 16-bit pieces: ShiftRows rotates inside a piece and
 * MixColumns rotates whole lanes.
 */
#ifndef PARLOUR_AES_H
#define PARLOUR_AES_H

#include "bytes.h"
#include "srtp_types.h"

typedef uint64_t aes_plane __attribute__((vector_size(16)));

#define AES_SLICED_BLOCKS 8
#define AES_SLICED_BYTES (16 * AES_SLICED_BLOCKS)

typedef struct aes_sliced_key {
    aes_plane round[AES128_ROUND_KEYS][8];
} aes_sliced_key;

/*
 * SubBytes. The inversion in GF(2^8) is done in the tower
 *   GF(4) = GF(2)[w] / (w^2 + w + 1),  GF(16) = GF(4)[x] / (x^2 + x + w + 1),
 *   GF(256) = GF(16)[y] / (y^2 + y + w x + w),
 * where each step needs only operations of the smaller field. Elements are written with the
 * highest coefficient last: gf4 is {constant, w}.
 */
typedef struct { aes_plane e[2]; } aes_gf4;
typedef struct { aes_gf4 e[2]; } aes_gf16;

static inline aes_gf4 aes_gf4_add(aes_gf4 a, aes_gf4 b) {
    return (aes_gf4){{a.e[0] ^ b.e[0], a.e[1] ^ b.e[1]}};
}

static inline aes_gf4 aes_gf4_multiply(aes_gf4 a, aes_gf4 b) {
    aes_plane low = a.e[0] & b.e[0];
    aes_plane high = a.e[1] & b.e[1];
    aes_plane both = (a.e[0] ^ a.e[1]) & (b.e[0] ^ b.e[1]);
    return (aes_gf4){{low ^ high, both ^ low}};
}

/* In GF(4) the square is also the inverse. */
static inline aes_gf4 aes_gf4_square(aes_gf4 a) {
    return (aes_gf4){{a.e[0] ^ a.e[1], a.e[1]}};
}

/* a (w + 1) and a^2 (w + 1). */
static inline aes_gf4 aes_gf4_scale(aes_gf4 a) {
    return (aes_gf4){{a.e[0] ^ a.e[1], a.e[0]}};
}
static inline aes_gf4 aes_gf4_square_scale(aes_gf4 a) {
    return (aes_gf4){{a.e[0], a.e[0] ^ a.e[1]}};
}

static inline aes_gf16 aes_gf16_add(aes_gf16 a, aes_gf16 b) {
    return (aes_gf16){{aes_gf4_add(a.e[0], b.e[0]), aes_gf4_add(a.e[1], b.e[1])}};
}

static inline aes_gf16 aes_gf16_multiply(aes_gf16 a, aes_gf16 b) {
    aes_gf4 low = aes_gf4_multiply(a.e[0], b.e[0]);
    aes_gf4 high = aes_gf4_multiply(a.e[1], b.e[1]);
    aes_gf4 both = aes_gf4_multiply(aes_gf4_add(a.e[0], a.e[1]), aes_gf4_add(b.e[0], b.e[1]));
    return (aes_gf16){{aes_gf4_add(low, aes_gf4_scale(high)), aes_gf4_add(both, low)}};
}

/* a^2 (w x + w): linear over GF(2), so it is written out by bits. */
static inline aes_gf16 aes_gf16_square_scale(aes_gf16 a) {
    aes_plane b0 = a.e[0].e[0], b1 = a.e[0].e[1], b2 = a.e[1].e[0], b3 = a.e[1].e[1];
    return (aes_gf16){{{{b1, b0}}, {{b1 ^ b2 ^ b3, b0 ^ b3}}}};
}

/* With d = norm(a): the inverse of a1 x + a0 is (a1 x + a0 + a1) / d. */
static inline aes_gf16 aes_gf16_invert(aes_gf16 a) {
    aes_gf4 sum = aes_gf4_add(a.e[0], a.e[1]);
    aes_gf4 norm = aes_gf4_add(aes_gf4_square_scale(a.e[1]), aes_gf4_multiply(a.e[0], sum));
    aes_gf4 inverse = aes_gf4_square(norm);
    return (aes_gf16){{aes_gf4_multiply(sum, inverse), aes_gf4_multiply(a.e[1], inverse)}};
}

static inline void aes_sub_bytes(aes_plane q[8]) {
    /* AES's polynomial basis to the tower's. */
    aes_plane a = q[1] ^ q[5], b = q[2] ^ q[3], c = q[5] ^ q[7], d = q[6] ^ a;
    aes_gf16 low = {{{{q[0] ^ d, q[1] ^ q[7]}}, {{q[2] ^ q[7], q[2] ^ q[4]}}}};
    aes_gf16 high = {{{{q[1], b ^ c}}, {{d ^ q[4] ^ b, c}}}};

    aes_gf16 sum = aes_gf16_add(low, high);
    aes_gf16 norm = aes_gf16_add(aes_gf16_square_scale(high), aes_gf16_multiply(low, sum));
    aes_gf16 inverse = aes_gf16_invert(norm);
    low = aes_gf16_multiply(sum, inverse);
    high = aes_gf16_multiply(high, inverse);

    /* Back to AES's basis, together with the affine map. The constant 0x63 is in the round keys. */
    aes_plane i0 = low.e[0].e[0], i1 = low.e[0].e[1], i2 = low.e[1].e[0], i3 = low.e[1].e[1];
    aes_plane i4 = high.e[0].e[0], i5 = high.e[0].e[1], i6 = high.e[1].e[0], i7 = high.e[1].e[1];
    a = i0 ^ i4;
    b = i2 ^ i3;
    c = i4 ^ i6;
    d = i6 ^ a;
    q[0] = a ^ b;
    q[1] = i1 ^ a;
    q[2] = q[1] ^ i2 ^ i7;
    q[3] = b ^ d;
    q[4] = d;
    q[5] = b ^ i4 ^ i5;
    q[6] = c;
    q[7] = i2 ^ c;
}

/* Row r of the new state is row r of the old one rotated by r columns: 4 r bits to the right. */
static inline aes_plane aes_shift_rows_plane(aes_plane x) {
    return (x & 0x000000000000ffff)
        | ((x & 0x00000000fff00000) >> 4) | ((x & 0x00000000000f0000) << 12)
        | ((x & 0x0000ff0000000000) >> 8) | ((x & 0x000000ff00000000) << 8)
        | ((x & 0xf000000000000000) >> 12) | ((x & 0x0fff000000000000) << 4);
}

/* Brings row r + n to row r. */
static inline aes_plane aes_rotate_rows(aes_plane x, int n) {
    return x >> (16 * n) | x << (64 - 16 * n);
}

/* Each byte becomes 2 (s0 + s1) + s1 + s2 + s3, counted from its own row. */
static inline void aes_mix_columns(aes_plane q[8]) {
    aes_plane next[8], pair[8], top;
    for (int i = 0; i < 8; i++) {
        next[i] = aes_rotate_rows(q[i], 1);
        pair[i] = q[i] ^ next[i];
    }
    top = pair[7];
    for (int i = 7; i >= 0; i--) {
        aes_plane doubled = i ? pair[i - 1] : top;
        if (i == 1 || i == 3 || i == 4) doubled ^= top; /* x^8 = x^4 + x^3 + x + 1 */
        q[i] = doubled ^ next[i] ^ aes_rotate_rows(pair[i], 2);
    }
}

static inline void aes_add_round_key(aes_plane q[8], const aes_plane key[8]) {
    for (int i = 0; i < 8; i++) q[i] ^= key[i];
}

/* Exchanges the bits of `low` under mask << shift with those of `high` under mask. */
static inline void aes_swap_bits(uint64_t *low, uint64_t *high, int shift, uint64_t mask) {
    uint64_t difference = ((*low >> shift) ^ *high) & mask;
    *high ^= difference;
    *low ^= difference << shift;
}

/* Transposes the 8 x 8 bits that byte i of the eight words form, for every i. Its own inverse. */
static inline void aes_transpose_bits(uint64_t w[8]) {
    for (int i = 0; i < 8; i += 2) aes_swap_bits(&w[i], &w[i + 1], 1, 0x5555555555555555);
    for (int i = 0; i < 8; i += i & 1 ? 3 : 1)
        aes_swap_bits(&w[i], &w[i + 2], 2, 0x3333333333333333);
    for (int i = 0; i < 4; i++) aes_swap_bits(&w[i], &w[i + 4], 4, 0x0f0f0f0f0f0f0f0f);
}

/* The bytes of a column to the even bytes of a word, and back. */
static inline uint64_t aes_spread_column(uint32_t column) {
    uint64_t x = column;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    return (x | x << 8) & 0x00ff00ff00ff00ff;
}
static inline uint32_t aes_gather_column(uint64_t x) {
    x &= 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(x | x >> 16);
}

/* Four blocks to one lane of the eight planes, and back. */
static inline void aes_slice(uint64_t lanes[8], const uint8_t blocks[64]) {
    for (int i = 0; i < 8; i++) {
        const uint8_t *block = blocks + 16 * (i & 3);
        int column = i >> 2;
        lanes[i] = aes_spread_column(load_le32(block + 4 * column))
            | aes_spread_column(load_le32(block + 4 * column + 8)) << 8;
    }
    aes_transpose_bits(lanes);
}
static inline void aes_unslice(uint8_t blocks[64], uint64_t lanes[8]) {
    aes_transpose_bits(lanes);
    for (int i = 0; i < 8; i++) {
        uint8_t *block = blocks + 16 * (i & 3);
        int column = i >> 2;
        store_le32(block + 4 * column, aes_gather_column(lanes[i]));
        store_le32(block + 4 * column + 8, aes_gather_column(lanes[i] >> 8));
    }
}

/* SubBytes of four bytes, for the key schedule. */
static inline uint32_t aes_sub_word(uint32_t word) {
    aes_plane q[8];
    for (int bit = 0; bit < 8; bit++) {
        uint64_t plane = 0;
        for (int i = 0; i < 4; i++) plane |= (uint64_t)(word >> (8 * i + bit) & 1) << i;
        q[bit] = (aes_plane){plane, 0};
    }
    aes_sub_bytes(q);
    uint32_t result = 0x63636363;
    for (int bit = 0; bit < 8; bit++)
        for (int i = 0; i < 4; i++) result ^= (uint32_t)(q[bit][0] >> i & 1) << (8 * i + bit);
    return result;
}

/* FIPS 197 5.2. Words are little-endian here, so RotWord turns the other way round. */
static inline void aes128_expand_key(const uint8_t key[16], uint8_t round_keys[11][16]) {
    uint32_t w[4], constant = 1;
    for (int i = 0; i < 4; i++) w[i] = load_le32(key + 4 * i);
    for (int round = 0;; round++) {
        for (int i = 0; i < 4; i++) store_le32(round_keys[round] + 4 * i, w[i]);
        if (round == 10) return;
        w[0] ^= aes_sub_word(w[3] >> 8 | w[3] << 24) ^ constant;
        for (int i = 1; i < 4; i++) w[i] ^= w[i - 1];
        constant = constant << 1 ^ (constant >> 7) * 0x11b;
    }
}

static inline void aes_slice_key(const uint8_t round_keys[11][16], aes_sliced_key *sliced) {
    for (int round = 0; round < AES128_ROUND_KEYS; round++) {
        uint8_t blocks[64];
        for (int i = 0; i < 64; i++) {
            /* SubBytes leaves its constant out; it commutes with ShiftRows and MixColumns. */
            blocks[i] = round_keys[round][i & 15] ^ (round ? 0x63 : 0);
        }
        uint64_t lanes[8];
        aes_slice(lanes, blocks);
        for (int i = 0; i < 8; i++) sliced->round[round][i] = (aes_plane){lanes[i], lanes[i]};
    }
}

static inline void aes_encrypt_sliced(
    const aes_sliced_key *key, uint8_t blocks[AES_SLICED_BYTES]
) {
    aes_plane q[8];
    uint64_t first[8], second[8];
    aes_slice(first, blocks);
    aes_slice(second, blocks + 64);
    for (int i = 0; i < 8; i++) q[i] = (aes_plane){first[i], second[i]};
    aes_add_round_key(q, key->round[0]);
    for (int round = 1; round < AES128_ROUND_KEYS; round++) {
        aes_sub_bytes(q);
        for (int i = 0; i < 8; i++) q[i] = aes_shift_rows_plane(q[i]);
        if (round < AES128_ROUND_KEYS - 1) aes_mix_columns(q);
        aes_add_round_key(q, key->round[round]);
    }
    for (int i = 0; i < 8; i++) {
        first[i] = q[i][0];
        second[i] = q[i][1];
    }
    aes_unslice(blocks, first);
    aes_unslice(blocks + 64, second);
}

/* One block: key derivation and GHASH keys, not packets. */
static inline void aes128_encrypt_block(
    const uint8_t round_keys[11][16], const uint8_t in[16], uint8_t out[16]
) {
    aes_sliced_key sliced;
    uint8_t blocks[AES_SLICED_BYTES] = {0};
    aes_slice_key(round_keys, &sliced);
    memcpy(blocks, in, 16);
    aes_encrypt_sliced(&sliced, blocks);
    memcpy(out, blocks, 16);
}

#endif
