/*
 * What the processor and the operating system offer to the kernels.
 *
 * A feature counts only when the system also saves the registers that it needs (XCR0), so a kernel
 * whose features are all present can run.
 */
#ifndef PARLOUR_CPU_H
#define PARLOUR_CPU_H

#include <stdint.h>

#if defined(__x86_64__)
#define CPU_X86_64 1
#include <cpuid.h>
#else
#define CPU_X86_64 0
#endif

enum {
    CPU_SSSE3 = 1 << 0,
    CPU_SSE41 = 1 << 1,
    CPU_AESNI = 1 << 2,
    CPU_PCLMUL = 1 << 3,
    CPU_SHANI = 1 << 4,
    CPU_AVX2 = 1 << 5,
    CPU_BMI2 = 1 << 6,
    CPU_AVX512F = 1 << 7,
    CPU_AVX512BW = 1 << 8,
    CPU_AVX512VL = 1 << 9,
    CPU_VAES = 1 << 10,
    CPU_VPCLMULQDQ = 1 << 11,
};

static const struct cpu_feature_name {
    uint32_t feature;
    const char *name; /* as in /proc/cpuinfo */
} CPU_FEATURE_NAMES[] = {
    {CPU_SSSE3, "ssse3"},       {CPU_SSE41, "sse4_1"},     {CPU_AESNI, "aes"},
    {CPU_PCLMUL, "pclmulqdq"},  {CPU_SHANI, "sha_ni"},     {CPU_AVX2, "avx2"},
    {CPU_BMI2, "bmi2"},         {CPU_AVX512F, "avx512f"},  {CPU_AVX512BW, "avx512bw"},
    {CPU_AVX512VL, "avx512vl"}, {CPU_VAES, "vaes"},        {CPU_VPCLMULQDQ, "vpclmulqdq"},
};
#define CPU_FEATURE_COUNT ((int)(sizeof CPU_FEATURE_NAMES / sizeof CPU_FEATURE_NAMES[0]))

#if CPU_X86_64
/* State that the system saves on a context switch: bits 1-2 SSE and AVX, 5-7 the AVX-512 parts. */
static inline uint64_t cpu_xcr0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
#endif

static inline uint32_t cpu_detect(void) {
    uint32_t found = 0;
#if CPU_X86_64
    const uint64_t avx_state = 0x06, avx512_state = 0xe6;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    uint64_t saved = (c & bit_OSXSAVE) ? cpu_xcr0() : 0;
    int avx = (c & bit_AVX) && (saved & avx_state) == avx_state;
    int avx512 = avx && (saved & avx512_state) == avx512_state;
    if (c & bit_SSSE3) found |= CPU_SSSE3;
    if (c & bit_SSE4_1) found |= CPU_SSE41;
    if (c & bit_AES) found |= CPU_AESNI;
    if (c & bit_PCLMUL) found |= CPU_PCLMUL;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    if (b & bit_SHA) found |= CPU_SHANI;
    if (b & bit_BMI2) found |= CPU_BMI2;
    if (avx && (b & bit_AVX2)) found |= CPU_AVX2;
    if (avx && (c & bit_VAES)) found |= CPU_VAES;
    if (avx && (c & bit_VPCLMULQDQ)) found |= CPU_VPCLMULQDQ;
    if (avx512 && (b & bit_AVX512F)) found |= CPU_AVX512F;
    if (avx512 && (b & bit_AVX512BW)) found |= CPU_AVX512BW;
    if (avx512 && (b & bit_AVX512VL)) found |= CPU_AVX512VL;
#endif
    return found;
}

#endif
