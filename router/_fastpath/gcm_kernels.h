/* The table of AES-128-GCM kernels. */
#ifndef PARLOUR_GCM_KERNELS_H
#define PARLOUR_GCM_KERNELS_H

#include "cpu.h"
#include "gcm_portable.h"
#if CPU_X86_64
#include "gcm_aesni.h"
#include "gcm_vaes.h"
#endif

typedef struct gcm_kernel {
    const char *name;
    uint32_t features;   /* CPU_... that it needs */
    gcm_function seal;
    gcm_function open;   /* decrypts and stores the tag that it computed */
} gcm_kernel;

/* Fastest first. */
static const gcm_kernel GCM_KERNELS[] = {
#if CPU_X86_64
    {"vaes", GCM_VAES_FEATURES, gcm_vaes_seal, gcm_vaes_open},
    {"aesni", GCM_AESNI_FEATURES, gcm_aesni_seal, gcm_aesni_open},
#endif
    {"portable", 0, gcm_portable_seal, gcm_portable_open},
};
#define GCM_KERNEL_COUNT ((int)(sizeof GCM_KERNELS / sizeof GCM_KERNELS[0]))

#endif
