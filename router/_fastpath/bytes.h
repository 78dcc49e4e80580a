/* Loads and stores of network and little-endian integers at any address. */
#ifndef PARLOUR_BYTES_H
#define PARLOUR_BYTES_H

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BYTES_FROM_BE(bits, x) (x)
#define BYTES_FROM_LE(bits, x) __builtin_bswap##bits(x)
#else
#define BYTES_FROM_BE(bits, x) __builtin_bswap##bits(x)
#define BYTES_FROM_LE(bits, x) (x)
#endif

#define BYTES_DEFINE(bits)                                                  \
    static inline uint##bits##_t load_be##bits(const void *p) {             \
        uint##bits##_t x;                                                   \
        memcpy(&x, p, sizeof x);                                            \
        return BYTES_FROM_BE(bits, x);                                      \
    }                                                                       \
    static inline void store_be##bits(void *p, uint##bits##_t x) {          \
        x = BYTES_FROM_BE(bits, x);                                         \
        memcpy(p, &x, sizeof x);                                            \
    }                                                                       \
    static inline uint##bits##_t load_le##bits(const void *p) {             \
        uint##bits##_t x;                                                   \
        memcpy(&x, p, sizeof x);                                            \
        return BYTES_FROM_LE(bits, x);                                      \
    }                                                                       \
    static inline void store_le##bits(void *p, uint##bits##_t x) {          \
        x = BYTES_FROM_LE(bits, x);                                         \
        memcpy(p, &x, sizeof x);                                            \
    }

BYTES_DEFINE(16)
BYTES_DEFINE(32)
BYTES_DEFINE(64)

#endif
