/* AES-128 in counter mode (RFC 3711 4.1.1): three kernels. */
#ifndef PARLOUR_CM_KERNELS_H
#define PARLOUR_CM_KERNELS_H

#include "aes.h"
#include "cpu.h"

typedef void (*ctr_function)(const srtp_keys *keys, const ctr_op *ops, int count);

typedef struct ctr_kernel {
    const char *name;
    uint32_t features;   /* CPU_... that it needs */
    ctr_function crypt;
} ctr_kernel;

static void cm_portable_crypt(const srtp_keys *keys, const ctr_op *ops, int count) {
    aes_sliced_key key;
    uint8_t stream[AES_SLICED_BYTES];
    aes_slice_key(keys->round_keys, &key);
    for (const ctr_op *op = ops; op < ops + count; op++) {
        for (uint32_t done = 0; done < op->length; done += AES_SLICED_BYTES) {
            for (uint32_t i = 0; i < AES_SLICED_BLOCKS; i++) {
                memcpy(stream + 16 * i, op->iv, 14);
                store_be16(stream + 16 * i + 14, (uint16_t)(done / 16 + i));
            }
            aes_encrypt_sliced(&key, stream);
            uint32_t n = op->length - done < AES_SLICED_BYTES ? op->length - done : AES_SLICED_BYTES;
            for (uint32_t i = 0; i < n; i++) op->out[done + i] = op->in[done + i] ^ stream[i];
        }
    }
}

#if CPU_X86_64
#include "aes_ni.h"
#include "aes_vaes.h"

#define CM_VAES_FEATURES (CPU_VAES | CPU_AVX512F | CPU_AVX512BW | CPU_AVX512VL | CPU_BMI2)

__attribute__((target("aes"))) static void cm_aesni_crypt(
    const srtp_keys *keys, const ctr_op *ops, int count
) {
    const __m128i one = _mm_set_epi32(1 << 24, 0, 0, 0);
    for (const ctr_op *op = ops; op < ops + count; op++) {
        __m128i stream[8], counter = aesni_counter(op->iv);
        for (uint32_t done = 0; done < op->length; done += 128) {
            const uint8_t *in = op->in + done;
            uint8_t *out = op->out + done;
            uint32_t n = op->length - done;
            for (int i = 0; i < 8; i++) {
                stream[i] = counter;
                counter = _mm_add_epi32(counter, one);
            }
            aesni_encrypt(keys, stream, 8);
            if (n >= 128) {
                for (int i = 0; i < 8; i++) {
                    __m128i data = _mm_loadu_si128((const __m128i *)(in + 16 * i));
                    _mm_storeu_si128((__m128i *)(out + 16 * i), _mm_xor_si128(stream[i], data));
                }
            } else {
                const uint8_t *bytes = (const uint8_t *)stream;
                for (uint32_t i = 0; i < n; i++) out[i] = in[i] ^ bytes[i];
            }
        }
    }
}

VAES static void cm_vaes_crypt(const srtp_keys *keys, const ctr_op *ops, int count) {
    const vaes_keys aes = vaes_load_keys(keys);
    for (const ctr_op *op = ops; op < ops + count; op++) {
        __m512i stream[4], counters = _mm512_add_epi32(
            _mm512_broadcast_i32x4(aesni_counter(op->iv)), vaes_count_lanes(0)
        );
        for (int done = 0; done < (int)op->length; done += 256) {
            for (int i = 0; i < 4; i++) {
                stream[i] = counters;
                counters = vaes_next_counters(counters);
            }
            vaes_encrypt_but_last(&aes, stream, 4);
            for (int i = 0; i < 4; i++) {
                int at = done + 64 * i;
                __mmask64 mask = vaes_byte_mask((int)op->length - at);
                __m512i data = _mm512_maskz_loadu_epi8(mask, op->in + at);
                _mm512_mask_storeu_epi8(
                    op->out + at, mask, vaes_encrypt_last(&aes, stream[i], data)
                );
            }
        }
    }
}
#endif

/* Fastest first. */
static const ctr_kernel CTR_KERNELS[] = {
#if CPU_X86_64
    {"vaes", CM_VAES_FEATURES, cm_vaes_crypt},
    {"aesni", CPU_AESNI, cm_aesni_crypt},
#endif
    {"portable", 0, cm_portable_crypt},
};
#define CTR_KERNEL_COUNT ((int)(sizeof CTR_KERNELS / sizeof CTR_KERNELS[0]))

#endif
