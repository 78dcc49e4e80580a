/*
 * AES-128-GCM: the operation that all kernels share, the GHASH key, and the portable kernel.
 *
 * GHASH (NIST SP 800-38D 6.3) works on blocks whose bits run backwards. Reversing the bytes of each
 * block and multiplying H by x^-1 once, when the key is set, makes a carry-less product of plain
 * 128-bit integers come out right after a reduction by x^128 + x^127 + x^126 + x^121 + 1, whose
 * upper part is the constant 0xc2 << 56. All kernels use this form.
 */
#ifndef PARLOUR_GCM_PORTABLE_H
#define PARLOUR_GCM_PORTABLE_H

#include <assert.h>

#include "aes.h"
#include "bytes.h"
#include "srtp_types.h"

typedef void (*gcm_function)(const srtp_keys *keys, const gcm_op *ops, int count);

typedef struct { uint64_t low, high; } ghash_block;

static inline ghash_block ghash_load(const uint8_t block[16]) {
    return (ghash_block){load_be64(block + 8), load_be64(block)};
}

static inline ghash_block ghash_add(ghash_block a, ghash_block b) {
    return (ghash_block){a.low ^ b.low, a.high ^ b.high};
}

/*
 * The low 64 bits of the carry-less product, by integer multiplications whose operands have holes:
 * with one bit in four, up to 15 ones add up before a carry reaches the next bit of the same class
 * (the 16th falls past bit 63). Multiplication takes the same time for all values on every 64-bit
 * processor that we know of.
 */
static inline uint64_t ghash_multiply_low(uint64_t a, uint64_t b) {
    const uint64_t every_fourth = 0x1111111111111111;
    uint64_t product = 0, as[4], bs[4];
    for (int i = 0; i < 4; i++) {
        as[i] = a & every_fourth << i;
        bs[i] = b & every_fourth << i;
    }
    for (int i = 0; i < 4; i++) {
        uint64_t sum = as[0] * bs[i] ^ as[1] * bs[(i + 3) & 3] ^ as[2] * bs[(i + 2) & 3]
            ^ as[3] * bs[(i + 1) & 3];
        product |= sum & every_fourth << i;
    }
    return product;
}

static inline uint64_t ghash_reverse_bits(uint64_t x) {
    x = (x & 0x5555555555555555) << 1 | (x >> 1 & 0x5555555555555555);
    x = (x & 0x3333333333333333) << 2 | (x >> 2 & 0x3333333333333333);
    x = (x & 0x0f0f0f0f0f0f0f0f) << 4 | (x >> 4 & 0x0f0f0f0f0f0f0f0f);
    return __builtin_bswap64(x);
}

/* The high half of a product is the low half of the product of the reversed operands, reversed. */
static inline ghash_block ghash_multiply_64(uint64_t a, uint64_t b) {
    uint64_t reversed = ghash_multiply_low(ghash_reverse_bits(a), ghash_reverse_bits(b));
    return (ghash_block){ghash_multiply_low(a, b), ghash_reverse_bits(reversed) >> 1};
}

/* x times 0xc2 << 56. */
static inline ghash_block ghash_multiply_constant(uint64_t x) {
    return (ghash_block){x << 63 ^ x << 62 ^ x << 57, x >> 1 ^ x >> 2 ^ x >> 7};
}

static inline ghash_block ghash_multiply(ghash_block a, ghash_block b) {
    /* Karatsuba, then two folds of the low 64 bits upward. */
    ghash_block low = ghash_multiply_64(a.low, b.low);
    ghash_block high = ghash_multiply_64(a.high, b.high);
    ghash_block middle = ghash_multiply_64(a.low ^ a.high, b.low ^ b.high);
    middle = ghash_add(middle, ghash_add(low, high));

    ghash_block swapped = {low.high, low.low};
    middle = ghash_add(middle, ghash_add(swapped, ghash_multiply_constant(low.low)));
    swapped = (ghash_block){middle.high, middle.low};
    return ghash_add(high, ghash_add(swapped, ghash_multiply_constant(middle.low)));
}

/* Sets round keys, salt and the powers of H; the rest of `keys` becomes zero. */
static inline void gcm_set_key(srtp_keys *keys, const uint8_t key[16], const uint8_t salt[12]) {
    const uint8_t zeros[16] = {0};
    uint8_t h_bytes[16];
    memset(keys, 0, sizeof *keys);
    keys->profile = SRTP_AEAD_AES_128_GCM;
    memcpy(keys->salt, salt, 12);
    aes128_expand_key(key, keys->round_keys);
    aes128_encrypt_block(keys->round_keys, zeros, h_bytes);

    ghash_block h = ghash_load(h_bytes);
    uint64_t overflow = -(h.high >> 63); /* all ones when x^127 is set */
    h.high = h.high << 1 | h.low >> 63;
    h.low <<= 1;
    h.low ^= overflow & 1;
    h.high ^= overflow & 0xc200000000000000;

    ghash_block power = h;
    for (int i = GHASH_POWERS - 1; i >= 0; i--) {
        store_le64(keys->u.ghash.powers[i], power.low);
        store_le64(keys->u.ghash.powers[i] + 8, power.high);
        power = ghash_multiply(power, h);
    }
}

static inline ghash_block ghash_update(
    ghash_block hash, ghash_block h, const uint8_t *data, uint32_t length
) {
    uint8_t last[16] = {0};
    for (; length >= 16; data += 16, length -= 16)
        hash = ghash_multiply(ghash_add(hash, ghash_load(data)), h);
    if (length) {
        memcpy(last, data, length);
        hash = ghash_multiply(ghash_add(hash, ghash_load(last)), h);
    }
    return hash;
}

/* Key stream of eight counter blocks IV | counter. */
static inline void gcm_portable_key_stream(
    const aes_sliced_key *key, const uint8_t iv[12], uint32_t counter,
    uint8_t stream[AES_SLICED_BYTES]
) {
    for (uint32_t i = 0; i < AES_SLICED_BLOCKS; i++) {
        memcpy(stream + 16 * i, iv, 12);
        store_be32(stream + 16 * i + 12, counter + i);
    }
    aes_encrypt_sliced(key, stream);
}

static inline void gcm_portable_crypt(
    const srtp_keys *keys, const aes_sliced_key *key, const gcm_op *op, int sealing
) {
    assert(op->length <= SRTP_MAX_PAYLOAD);
    const uint8_t *h_bytes = keys->u.ghash.powers[GHASH_POWERS - 1];
    ghash_block h = {load_le64(h_bytes), load_le64(h_bytes + 8)}, hash = {0, 0};
    uint8_t stream[AES_SLICED_BYTES], tag_mask[16];

    hash = ghash_update(hash, h, op->aad, op->aad_length);
    /* Counter 1 masks the tag; the message begins with 2. */
    gcm_portable_key_stream(key, op->iv, 1, stream);
    memcpy(tag_mask, stream, 16);
    uint32_t used = 16, counter = 1;
    for (uint32_t done = 0; done < op->length;) {
        if (used == AES_SLICED_BYTES) {
            counter += AES_SLICED_BLOCKS;
            gcm_portable_key_stream(key, op->iv, counter, stream);
            used = 0;
        }
        uint32_t n = AES_SLICED_BYTES - used;
        if (n > op->length - done) n = op->length - done;
        if (!sealing) hash = ghash_update(hash, h, op->in + done, n);
        for (uint32_t i = 0; i < n; i++) op->out[done + i] = op->in[done + i] ^ stream[used + i];
        if (sealing) hash = ghash_update(hash, h, op->out + done, n);
        done += n;
        used += n;
    }
    ghash_block lengths = {(uint64_t)op->length * 8, (uint64_t)op->aad_length * 8};
    hash = ghash_multiply(ghash_add(hash, lengths), h);
    store_be64(op->tag, hash.high ^ load_be64(tag_mask));
    store_be64(op->tag + 8, hash.low ^ load_be64(tag_mask + 8));
}

static void gcm_portable_seal(const srtp_keys *keys, const gcm_op *ops, int count) {
    aes_sliced_key key;
    aes_slice_key(keys->round_keys, &key);
    for (int i = 0; i < count; i++) gcm_portable_crypt(keys, &key, &ops[i], 1);
}

static void gcm_portable_open(const srtp_keys *keys, const gcm_op *ops, int count) {
    aes_sliced_key key;
    aes_slice_key(keys->round_keys, &key);
    for (int i = 0; i < count; i++) gcm_portable_crypt(keys, &key, &ops[i], 0);
}

#endif
