/*
 * The kernels of the limit: one plaintext sealed under many keys, as fast as AVX-512 goes.
 *
 * AES-128-GCM with VAES and VPCLMULQDQ; AES-CM with VAES and HMAC-SHA1-80 over 16 lanes. They are
 * independent of the data plane's, and know less: no RTCP, payloads below 254 AES blocks.
 */
#ifndef LIMIT_SRTP_H
#define LIMIT_SRTP_H
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#define AINL static inline __attribute__((always_inline))
#define NPOW 24

typedef struct __attribute__((aligned(64))) {
    uint8_t rk[11][16];
    uint8_t salt[16];
    uint8_t h[NPOW][16]; /* H^24 .. H^1, byte-reflected, times x^-1 */
    uint8_t slack[64];   /* zeros: loads past H^1 stay inside */
} gcm_key;               /* 640 B = 10 cache lines */

/* ---------- AES key schedule ---------- */
#define KEXP(i, rc)                                   \
    do {                                              \
        __m128i t = _mm_aeskeygenassist_si128(k, rc); \
        t = _mm_shuffle_epi32(t, 0xff);               \
        k = _mm_xor_si128(k, _mm_slli_si128(k, 4));   \
        k = _mm_xor_si128(k, _mm_slli_si128(k, 8));   \
        k = _mm_xor_si128(k, t);                      \
        _mm_storeu_si128((__m128i *)rk[i], k);        \
    } while (0)
static inline void aes128_expand(uint8_t rk[11][16], const uint8_t key[16]) {
    __m128i k = _mm_loadu_si128((const __m128i *)key);
    _mm_storeu_si128((__m128i *)rk[0], k);
    KEXP(1, 1);
    KEXP(2, 2);
    KEXP(3, 4);
    KEXP(4, 8);
    KEXP(5, 16);
    KEXP(6, 32);
    KEXP(7, 64);
    KEXP(8, 128);
    KEXP(9, 0x1b);
    KEXP(10, 0x36);
}
AINL __m128i aes1(const uint8_t rk[11][16], __m128i b) {
    b = _mm_xor_si128(b, _mm_loadu_si128((const __m128i *)rk[0]));
    for (int i = 1; i < 10; i++)
        b = _mm_aesenc_si128(b, _mm_loadu_si128((const __m128i *)rk[i]));
    return _mm_aesenclast_si128(b, _mm_loadu_si128((const __m128i *)rk[10]));
}
/* ---------- GHASH 128 ---------- */
#define BSW128 _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define GFPOLY128 _mm_set_epi64x(0xc200000000000000LL, 1)
AINL __m128i gf_reduce(__m128i lo, __m128i mi, __m128i hi) {
    const __m128i P = GFPOLY128;
    __m128i t = _mm_clmulepi64_si128(P, lo, 0x01);
    mi = _mm_xor_si128(mi, _mm_xor_si128(_mm_shuffle_epi32(lo, 0x4e), t));
    t = _mm_clmulepi64_si128(P, mi, 0x01);
    return _mm_xor_si128(hi, _mm_xor_si128(_mm_shuffle_epi32(mi, 0x4e), t));
}
AINL __m128i gf_mul(__m128i a, __m128i b) {
    return gf_reduce(
        _mm_clmulepi64_si128(a, b, 0x00),
        _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10)),
        _mm_clmulepi64_si128(a, b, 0x11));
}
static inline void gcm_setkey(gcm_key *k, const uint8_t key[16], const uint8_t salt[12]) {
    memset(k, 0, sizeof *k);
    aes128_expand(k->rk, key);
    memcpy(k->salt, salt, 12);
    __m128i h = _mm_shuffle_epi8(aes1(k->rk, _mm_setzero_si128()), BSW128);
    uint64_t l = (uint64_t)_mm_cvtsi128_si64(h), u = (uint64_t)_mm_extract_epi64(h, 1), c = u >> 63;
    u = (u << 1) | (l >> 63);
    l <<= 1;
    if (c) {
        l ^= 1;
        u ^= 0xc200000000000000ULL;
    }
    h = _mm_set_epi64x((long long)u, (long long)l);
    __m128i p = h;
    for (int i = 0; i < NPOW; i++) {
        _mm_storeu_si128((__m128i *)k->h[NPOW - 1 - i], p);
        p = gf_mul(p, h);
    }
}
AINL __m128i gcm_j0(const uint8_t iv[12]) {
    uint8_t b[16];
    memcpy(b, iv, 12);
    b[12] = b[13] = b[14] = 0;
    b[15] = 1;
    return _mm_loadu_si128((__m128i *)b);
}

/* ================= VAES-512 GCM ================= */
AINL __m512i bc16(const void *p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
}
#define X3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define BSW512 _mm512_broadcast_i32x4(BSW128)
typedef struct {
    __m512i lo, mi, hi;
} gacc;
AINL void gacc_mul(gacc *g, __m512i x, __m512i h) {
    g->lo = _mm512_xor_si512(g->lo, _mm512_clmulepi64_epi128(x, h, 0x00));
    g->hi = _mm512_xor_si512(g->hi, _mm512_clmulepi64_epi128(x, h, 0x11));
    g->mi = X3(g->mi, _mm512_clmulepi64_epi128(x, h, 0x01), _mm512_clmulepi64_epi128(x, h, 0x10));
}
AINL __m128i gacc_fin(const gacc *g) {
    const __m512i P = _mm512_broadcast_i32x4(GFPOLY128);
    __m512i mi =
        X3(g->mi, _mm512_shuffle_epi32(g->lo, 0x4e), _mm512_clmulepi64_epi128(P, g->lo, 0x01));
    __m512i r = X3(g->hi, _mm512_shuffle_epi32(mi, 0x4e), _mm512_clmulepi64_epi128(P, mi, 0x01));
    __m256i y = _mm256_xor_si256(_mm512_castsi512_si256(r), _mm512_extracti64x4_epi64(r, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}
AINL gacc gacc0(void) {
    gacc g = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    return g;
}
AINL __mmask64 lmask(int n) {
    return n <= 0 ? 0 : n >= 64 ? ~0ULL : _bzhi_u64(~0ULL, n);
}
typedef struct {
    __m512i rk[11];
} vkeys;
AINL void vkeys_load(vkeys *v, const uint8_t rk[11][16]) {
    for (int i = 0; i < 11; i++)
        v->rk[i] = bc16(rk[i]);
}

/* dir: 1 = encrypt, 0 = decrypt (GHASH over the input) */
AINL void gcm_tail(const int nz, const int dir, const vkeys *v, const gcm_key *k, __m512i j0,
                   __m512i ctr, const uint8_t *in, uint8_t *out, int r, int t, gacc g, __m128i acc,
                   __m512i lenblk, __m128i *tag) {
    __m512i b[5];
    const __m512i four =
        _mm512_set_epi32(4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0);
    __mmask8 lm = (__mmask8)(3u << (2 * (t & 3)));
    for (int z = 0; z < nz; z++) {
        __m512i c = ctr;
        if (z == nz - 1)
            c = _mm512_mask_blend_epi64(lm, c, j0);
        b[z] = _mm512_xor_si512(c, v->rk[0]);
        ctr = _mm512_add_epi32(ctr, four);
    }
    for (int i = 1; i < 10; i++)
        for (int z = 0; z < nz; z++)
            b[z] = _mm512_aesenc_epi128(b[z], v->rk[i]);
    for (int z = 0; z < nz; z++)
        b[z] = _mm512_aesenclast_epi128(b[z], v->rk[10]);
    __m128i ej0 = _mm512_castsi512_si128(_mm512_maskz_compress_epi64(lm, b[nz - 1]));
    const uint8_t *hp = k->h[NPOW - (t + 1)];
    for (int z = 0; z < nz; z++) {
        __mmask64 m = lmask(r - 64 * z);
        __m512i d = _mm512_maskz_loadu_epi8(m, in + 64 * z), o = _mm512_xor_si512(b[z], d);
        _mm512_mask_storeu_epi8(out + 64 * z, m, o);
        __m512i x = _mm512_shuffle_epi8(_mm512_maskz_mov_epi8(m, dir ? o : d), BSW512);
        if (z == nz - 1)
            x = _mm512_mask_blend_epi64(lm, x, lenblk);
        if (z == 0)
            x = _mm512_xor_si512(x, _mm512_zextsi128_si512(acc));
        gacc_mul(&g, x, _mm512_loadu_si512(hp + 64 * z));
    }
    *tag = _mm_xor_si128(_mm_shuffle_epi8(gacc_fin(&g), BSW128), ej0);
}
AINL void gcm_body(const int dir, const vkeys *v, const gcm_key *k, const uint8_t iv[12],
                   const uint8_t *aad, int alen, const uint8_t *in, uint8_t *out, int len,
                   uint8_t tagout[16]) {
    const __m512i inc =
        _mm512_set_epi32(4 << 24, 0, 0, 0, 3 << 24, 0, 0, 0, 2 << 24, 0, 0, 0, 1 << 24, 0, 0, 0);
    const __m512i four =
        _mm512_set_epi32(4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0);
    __m512i j0 = _mm512_broadcast_i32x4(gcm_j0(iv)), ctr = _mm512_add_epi32(j0, inc);
    const __m512i lenblk =
        _mm512_broadcast_i32x4(_mm_set_epi64x((long long)alen * 8, (long long)len * 8));
    int na = (alen + 15) >> 4, r = len & 255, t = (r + 15) >> 4, m1 = len >= 256 ? 16 : t + 1;
    gacc g = gacc0();
    __m128i acc = _mm_setzero_si128();
    if (__builtin_expect(alen > 64,
                         0)) { /* rare: long header extensions, Horner by single blocks */
        const __m128i h1 = _mm_loadu_si128((const __m128i *)k->h[NPOW - 1]);
        for (int i = 0; i < alen; i += 16) {
            int n = alen - i < 16 ? alen - i : 16;
            __m128i x = _mm_maskz_loadu_epi8((__mmask16)_bzhi_u32(~0u, n), aad + i);
            acc = gf_mul(_mm_xor_si128(acc, _mm_shuffle_epi8(x, BSW128)), h1);
        }
    } else if (alen) {
        __m512i x = _mm512_shuffle_epi8(_mm512_maskz_loadu_epi8(lmask(alen), aad), BSW512);
        gacc_mul(&g, x, _mm512_loadu_si512(k->h[NPOW - m1 - na]));
    }
    for (; len >= 256; len -= 256, in += 256, out += 256) {
        __m512i b[4], d[4];
        for (int z = 0; z < 4; z++) {
            b[z] = _mm512_xor_si512(ctr, v->rk[0]);
            ctr = _mm512_add_epi32(ctr, four);
            d[z] = _mm512_loadu_si512(in + 64 * z);
        }
        for (int i = 1; i < 10; i++)
            for (int z = 0; z < 4; z++)
                b[z] = _mm512_aesenc_epi128(b[z], v->rk[i]);
        for (int z = 0; z < 4; z++) {
            b[z] = _mm512_aesenclast_epi128(b[z], _mm512_xor_si512(v->rk[10], d[z]));
            _mm512_storeu_si512(out + 64 * z, b[z]);
        }
        __m512i x[4];
        for (int z = 0; z < 4; z++)
            x[z] = _mm512_shuffle_epi8(dir ? b[z] : d[z], BSW512);
        x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(acc));
        for (int z = 0; z < 4; z++)
            gacc_mul(&g, x[z], _mm512_loadu_si512(k->h[NPOW - 16 + 4 * z]));
        acc = gacc_fin(&g);
        g = gacc0();
    }
    __m128i tag;
    switch ((t + 4) >> 2) { /* ceil((t+1)/4) */
    case 1:
        gcm_tail(1, dir, v, k, j0, ctr, in, out, r, t, g, acc, lenblk, &tag);
        break;
    case 2:
        gcm_tail(2, dir, v, k, j0, ctr, in, out, r, t, g, acc, lenblk, &tag);
        break;
    case 3:
        gcm_tail(3, dir, v, k, j0, ctr, in, out, r, t, g, acc, lenblk, &tag);
        break;
    case 4:
        gcm_tail(4, dir, v, k, j0, ctr, in, out, r, t, g, acc, lenblk, &tag);
        break;
    default:
        gcm_tail(5, dir, v, k, j0, ctr, in, out, r, t, g, acc, lenblk, &tag);
        break;
    }
    _mm_storeu_si128((__m128i *)tagout, tag);
}
static inline int fg_open(const gcm_key *k, const uint8_t iv[12], const uint8_t *aad, int alen,
                          const uint8_t *ct, uint8_t *out, int len) {
    uint8_t tag[16], ref[16];
    memcpy(ref, ct + len, 16);
    vkeys v;
    vkeys_load(&v, k->rk);
    gcm_body(0, &v, k, iv, aad, alen, ct, out, len, tag);
    __m128i d = _mm_xor_si128(_mm_loadu_si128((__m128i *)tag), _mm_loadu_si128((__m128i *)ref));
    return _mm_testz_si128(d, d) ? 0 : -1;
}

/* ================= AES-CM (VAES) + HMAC-SHA1-80 ================= */
typedef struct __attribute__((aligned(64))) {
    uint8_t rk[11][16];
    uint8_t salt[16];
    uint32_t ist[5], ost[5];
    uint8_t pad[24];
} cm_key; /* 256 B = 4 lines */
AINL void cm_body(const vkeys *v, const uint8_t iv[16], const uint8_t *in, uint8_t *out, int len) {
    const __m512i inc =
        _mm512_set_epi32(3 << 24, 0, 0, 0, 2 << 24, 0, 0, 0, 1 << 24, 0, 0, 0, 0, 0, 0, 0);
    const __m512i four =
        _mm512_set_epi32(4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 4 << 24, 0, 0, 0);
    __m512i ctr = _mm512_add_epi32(bc16(iv), inc);
    for (; len > 0; len -= 256, in += 256, out += 256) {
        __m512i b[4];
        for (int z = 0; z < 4; z++) {
            b[z] = _mm512_xor_si512(ctr, v->rk[0]);
            ctr = _mm512_add_epi32(ctr, four);
        }
        for (int i = 1; i < 10; i++)
            for (int z = 0; z < 4; z++)
                b[z] = _mm512_aesenc_epi128(b[z], v->rk[i]);
        if (len >= 256)
            for (int z = 0; z < 4; z++)
                _mm512_storeu_si512(
                    out + 64 * z,
                    _mm512_aesenclast_epi128(
                        b[z], _mm512_xor_si512(v->rk[10], _mm512_loadu_si512(in + 64 * z))));
        else
            for (int z = 0; z < 4; z++) {
                __mmask64 m = lmask(len - 64 * z);
                _mm512_mask_storeu_epi8(
                    out + 64 * z, m,
                    _mm512_aesenclast_epi128(
                        b[z],
                        _mm512_xor_si512(v->rk[10], _mm512_maskz_loadu_epi8(m, in + 64 * z))));
            }
    }
}
/* ---- SHA-1, SHA-NI, NS interleaved streams (compile-time) ---- */
#define BSWD _mm_set_epi64x(0x0001020304050607LL, 0x08090a0b0c0d0e0fLL)
AINL void sha1ni(const int NS, uint32_t *st[], const uint8_t *p[], int nblk) {
    __m128i A[4], E[4], A0[4], E0[4], m[4][4];
    const __m128i bs = BSWD;
    for (int s = 0; s < NS; s++) {
        A[s] = _mm_shuffle_epi32(_mm_loadu_si128((__m128i *)st[s]), 0x1b);
        E[s] = _mm_set_epi32((int)st[s][4], 0, 0, 0);
    }
    for (int b = 0; b < nblk; b++) {
        for (int s = 0; s < NS; s++) {
            A0[s] = A[s];
            E0[s] = E[s];
            for (int i = 0; i < 4; i++)
                m[s][i] = _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(p[s] + 64 * b + 16 * i)), bs);
        }
#define R4(i, f)                                                        \
    for (int s = 0; s < NS; s++) {                                      \
        __m128i w = m[s][(i) & 3], e;                                   \
        if (i == 0)                                                     \
            e = _mm_add_epi32(E[s], w);                                 \
        else                                                            \
            e = _mm_sha1nexte_epu32(E[s], w);                           \
        E[s] = A[s];                                                    \
        A[s] = _mm_sha1rnds4_epu32(A[s], e, f);                         \
        if (i < 16) {                                                   \
            __m128i x = _mm_sha1msg1_epu32(w, m[s][((i) + 1) & 3]);     \
            x = _mm_xor_si128(x, m[s][((i) + 2) & 3]);                  \
            m[s][(i) & 3] = _mm_sha1msg2_epu32(x, m[s][((i) + 3) & 3]); \
        }                                                               \
    }
        R4(0, 0)
        R4(1, 0) R4(2, 0) R4(3, 0) R4(4, 0) R4(5, 1) R4(6, 1) R4(7, 1) R4(8, 1) R4(9, 1) R4(10, 2)
            R4(11, 2) R4(12, 2) R4(13, 2) R4(14, 2) R4(15, 3) R4(16, 3) R4(17, 3) R4(18, 3)
                R4(19, 3) for (int s = 0; s < NS; s++) {
            E[s] = _mm_sha1nexte_epu32(E[s], E0[s]);
            A[s] = _mm_add_epi32(A[s], A0[s]);
        }
    }
    for (int s = 0; s < NS; s++) {
        _mm_storeu_si128((__m128i *)st[s], _mm_shuffle_epi32(A[s], 0x1b));
        st[s][4] = (uint32_t)_mm_extract_epi32(E[s], 3);
    }
}
/* ---- SHA-1, AVX-512, 16 lanes ---- */
AINL void tr16(__m512i r[16]) { /* 16x16 dword transpose */
    __m512i t[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
AINL void sha1x16_block(__m512i S[5], __m512i w[16]) {
    __m512i a = S[0], b = S[1], c = S[2], d = S[3], e = S[4];
    const __m512i K0 = _mm512_set1_epi32(0x5a827999), K1 = _mm512_set1_epi32(0x6ed9eba1),
                  K2 = _mm512_set1_epi32((int)0x8f1bbcdc), K3 = _mm512_set1_epi32((int)0xca62c1d6);
#define RND(i, imm, K)                                                                            \
    do {                                                                                          \
        __m512i W;                                                                                \
        if ((i) < 16)                                                                             \
            W = w[(i) & 15];                                                                      \
        else {                                                                                    \
            W = _mm512_rol_epi32(                                                                 \
                _mm512_xor_si512(_mm512_ternarylogic_epi32(w[((i) + 13) & 15], w[((i) + 8) & 15], \
                                                           w[((i) + 2) & 15], 0x96),              \
                                 w[(i) & 15]),                                                    \
                1);                                                                               \
            w[(i) & 15] = W;                                                                      \
        }                                                                                         \
        __m512i f = _mm512_ternarylogic_epi32(b, c, d, imm);                                      \
        __m512i t = _mm512_add_epi32(_mm512_add_epi32(_mm512_add_epi32(W, K), e),                 \
                                     _mm512_add_epi32(f, _mm512_rol_epi32(a, 5)));                \
        e = d;                                                                                    \
        d = c;                                                                                    \
        c = _mm512_rol_epi32(b, 30);                                                              \
        b = a;                                                                                    \
        a = t;                                                                                    \
    } while (0)
#define RND20(o, imm, K) \
    RND(o, imm, K);      \
    RND(o + 1, imm, K);  \
    RND(o + 2, imm, K);  \
    RND(o + 3, imm, K);  \
    RND(o + 4, imm, K);  \
    RND(o + 5, imm, K);  \
    RND(o + 6, imm, K);  \
    RND(o + 7, imm, K);  \
    RND(o + 8, imm, K);  \
    RND(o + 9, imm, K);  \
    RND(o + 10, imm, K); \
    RND(o + 11, imm, K); \
    RND(o + 12, imm, K); \
    RND(o + 13, imm, K); \
    RND(o + 14, imm, K); \
    RND(o + 15, imm, K); \
    RND(o + 16, imm, K); \
    RND(o + 17, imm, K); \
    RND(o + 18, imm, K); \
    RND(o + 19, imm, K)
    RND20(0, 0xca, K0);
    RND20(20, 0x96, K1);
    RND20(40, 0xe8, K2);
    RND20(60, 0x96, K3);
    S[0] = _mm512_add_epi32(S[0], a);
    S[1] = _mm512_add_epi32(S[1], b);
    S[2] = _mm512_add_epi32(S[2], c);
    S[3] = _mm512_add_epi32(S[3], d);
    S[4] = _mm512_add_epi32(S[4], e);
}
#define BSWD512 \
    _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3))
/* HMAC-SHA1-80 of up to 16 equal-length packets; writes the 10-byte tag at buf[i]+len. Only
 * [0,len+10) of each buffer is touched (the padded end is hashed from a scratch area), so packets
 * may lie back to back for GSO. n < 16: the other lanes repeat lane 0. */
static __attribute__((noinline)) void hmac80_x16(const cm_key *const key[16], uint8_t *buf[16],
                                                 const uint32_t roc[16], int len, int n) {
    __m512i S[5], w[16];
    uint32_t st[10][16] __attribute__((aligned(64)));
    static __thread uint8_t sc[16][128] __attribute__((aligned(64)));
    int nb = (len + 4 + 9 + 63) >> 6, full = len >> 6, rem = len & 63;
    uint64_t bits = __builtin_bswap64((uint64_t)(len + 4 + 64) * 8);
    for (int l = 0; l < 16; l++) {
        int s = l < n ? l : 0;
        for (int i = 0; i < 5; i++) {
            st[i][l] = key[s]->ist[i];
            st[5 + i][l] = key[s]->ost[i];
        }
    }
    for (int l = 0; l < n; l++) {
        uint8_t *q = sc[l];
        _mm512_store_si512(q, _mm512_maskz_loadu_epi8(lmask(rem), buf[l] + 64 * full));
        _mm512_store_si512(q + 64, _mm512_setzero_si512());
        uint32_t r = __builtin_bswap32(roc[l]);
        memcpy(q + rem, &r, 4);
        q[rem + 4] = 0x80;
        memcpy(q + (nb - full) * 64 - 8, &bits, 8);
    }
    for (int i = 0; i < 5; i++)
        S[i] = _mm512_load_si512(st[i]);
    for (int b = 0; b < full; b++) {
        for (int l = 0; l < 16; l++)
            w[l] = _mm512_shuffle_epi8(_mm512_loadu_si512((l < n ? buf[l] : buf[0]) + 64 * b),
                                       BSWD512);
        tr16(w);
        sha1x16_block(S, w);
    }
    for (int b = 0; b < nb - full; b++) {
        for (int l = 0; l < 16; l++)
            w[l] = _mm512_shuffle_epi8(_mm512_load_si512(sc[l < n ? l : 0] + 64 * b), BSWD512);
        tr16(w);
        sha1x16_block(S, w);
    }
    for (int i = 0; i < 5; i++)
        w[i] = S[i];
    w[5] = _mm512_set1_epi32((int)0x80000000);
    for (int i = 6; i < 15; i++)
        w[i] = _mm512_setzero_si512();
    w[15] = _mm512_set1_epi32((64 + 20) * 8);
    for (int i = 0; i < 5; i++)
        S[i] = _mm512_load_si512(st[5 + i]);
    sha1x16_block(S, w);
    for (int i = 0; i < 3; i++)
        _mm512_store_si512(st[i], _mm512_shuffle_epi8(S[i], BSWD512));
    for (int l = 0; l < n; l++) {
        uint8_t *p = buf[l] + len;
        memcpy(p, &st[0][l], 4);
        memcpy(p + 4, &st[1][l], 4);
        memcpy(p + 8, &st[2][l], 2);
    }
}
static inline void cm_setkey(cm_key *k, const uint8_t key[16], const uint8_t salt[14],
                             const uint8_t auth[20]) {
    memset(k, 0, sizeof *k);
    aes128_expand(k->rk, key);
    memcpy(k->salt, salt, 14);
    static const uint32_t iv[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t pad[64];
    uint32_t *sp[1];
    const uint8_t *bp[1] = {pad};
    memset(pad, 0x36, 64);
    for (int i = 0; i < 20; i++)
        pad[i] ^= auth[i];
    memcpy(k->ist, iv, 20);
    sp[0] = k->ist;
    sha1ni(1, sp, bp, 1);
    memset(pad, 0x5c, 64);
    for (int i = 0; i < 20; i++)
        pad[i] ^= auth[i];
    memcpy(k->ost, iv, 20);
    sp[0] = k->ost;
    sha1ni(1, sp, bp, 1);
}
/* RTP IVs (RFC 7714 / RFC 3711) */
AINL void gcm_iv(uint8_t iv[16], const uint8_t salt[12], uint32_t ssrc_be, uint32_t roc,
                 uint16_t seq) {
    uint8_t x[16] = {0};
    memcpy(x + 2, &ssrc_be, 4);
    uint32_t r = __builtin_bswap32(roc);
    memcpy(x + 6, &r, 4);
    x[10] = (uint8_t)(seq >> 8);
    x[11] = (uint8_t)seq;
    for (int i = 0; i < 12; i++)
        iv[i] = salt[i] ^ x[i];
}
AINL void cm_iv(uint8_t iv[16], const uint8_t salt[14], uint32_t ssrc_be, uint32_t roc,
                uint16_t seq) {
    uint8_t x[16] = {0};
    memcpy(x + 4, &ssrc_be, 4);
    uint32_t r = __builtin_bswap32(roc);
    memcpy(x + 8, &r, 4);
    x[12] = (uint8_t)(seq >> 8);
    x[13] = (uint8_t)seq;
    for (int i = 0; i < 14; i++)
        iv[i] = salt[i] ^ x[i];
    iv[14] = iv[15] = 0;
}
#endif
