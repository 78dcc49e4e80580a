/* The table of SHA-1 kernels. */
#ifndef PARLOUR_SHA1_KERNELS_H
#define PARLOUR_SHA1_KERNELS_H

#include "cpu.h"
#include "sha1_portable.h"
#if CPU_X86_64
#include "sha1_avx512.h"
#include "sha1_ni.h"
#endif

typedef struct sha1_kernel {
    const char *name;
    uint32_t features;           /* CPU_... that it needs */
    int least_jobs;              /* below, the next kernel in the table is faster */
    hmac_80_function hmac_80;
    sha1_compress_function compress; /* one message; NULL when the kernel has none */
} sha1_kernel;

/* The most jobs first; then the fastest first. */
static const sha1_kernel SHA1_KERNELS[] = {
#if CPU_X86_64
    {"avx512", SHA1_AVX512_FEATURES, 5, sha1_avx512_hmac_80, NULL},
    {"shani", SHA1_NI_FEATURES, 1, sha1_ni_hmac_80, sha1_ni_compress},
#endif
    {"portable", 0, 1, sha1_portable_hmac_80, sha1_portable_compress},
};
#define SHA1_KERNEL_COUNT ((int)(sizeof SHA1_KERNELS / sizeof SHA1_KERNELS[0]))

#endif
