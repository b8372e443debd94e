// The 16-lane operations that differ between levels, and what builds on them.
#include "lanes.h"

CRUMB_INLINE f32x16 LEVEL(load)(const float *p) {
    f32x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

CRUMB_INLINE void LEVEL(store)(float *p, f32x16 v) { memcpy(p, &v, sizeof v); }

CRUMB_INLINE f32x16 LEVEL(splat)(float a) { return (f32x16){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a}; }

// The first count < 16 floats, the others `fill`.
CRUMB_INLINE f32x16 LEVEL(load_part)(const float *p, size_t count, float fill) {
    f32x16 v = LEVEL(splat)(fill);
    for (size_t i = 0; i < count; i++) v[i] = p[i];
    return v;
}

CRUMB_INLINE void LEVEL(store_part)(float *p, size_t count, f32x16 v) {
    for (size_t i = 0; i < count; i++) p[i] = v[i];
}

CRUMB_INLINE f32x16 LEVEL(load_halves)(const uint16_t *p) {
#if HAS_F16C && LANES == 16
    return (f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif HAS_F16C
    f32x8 low = (f32x8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
    f32x8 high = (f32x8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)));
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    u16x16 halves;
    memcpy(&halves, p, sizeof halves);
    u32x16 wide = __builtin_convertvector(halves, u32x16);
    u32x16 magnitude = wide & 0x7FFFu;
    u32x16 finite = (u32x16)((f32x16)(magnitude << 13) * 0x1p112f);
    u32x16 special = (magnitude << 13) | 0x7F800000u;
    u32x16 is_special = (u32x16)(magnitude >= 0x7C00u);
    return (f32x16)((finite & ~is_special) | (special & is_special) | ((wide & 0x8000u) << 16));
#endif
}

CRUMB_INLINE float LEVEL(half_to_float)(uint16_t half) {
#if HAS_F16C
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
#else
    return crumb_half_to_float(half);
#endif
}

CRUMB_INLINE f32x16 LEVEL(load_bfloats)(const uint16_t *p) {
    u16x16 v;
    memcpy(&v, p, sizeof v);
    return (f32x16)(__builtin_convertvector(v, u32x16) << 16);
}

// 16 bytes, widened.
CRUMB_INLINE i32x16 LEVEL(load_unsigned)(const uint8_t *p) {
    u8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, i32x16);
}

CRUMB_INLINE i32x16 LEVEL(load_signed)(const uint8_t *p) {
    i8x16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, i32x16);
}

CRUMB_INLINE f32x16 LEVEL(to_float)(i32x16 v) { return __builtin_convertvector(v, f32x16); }

// 16 elements of a plain type; `type` is a constant where this is used.
CRUMB_INLINE f32x16 LEVEL(load_as)(crumb_type type, const void *p, size_t index) {
    if (type == CRUMB_F32) return LEVEL(load)((const float *)p + index);
    if (type == CRUMB_F16) return LEVEL(load_halves)((const uint16_t *)p + index);
    return LEVEL(load_bfloats)((const uint16_t *)p + index);
}

CRUMB_INLINE float LEVEL(element_as)(crumb_type type, const void *p, size_t index) {
    if (type == CRUMB_F32) return ((const float *)p)[index];
    uint16_t bits = ((const uint16_t *)p)[index];
    return type == CRUMB_F16 ? LEVEL(half_to_float)(bits) : crumb_float_of_bits((uint32_t)bits << 16);
}

CRUMB_INLINE float LEVEL(sum)(f32x16 v) {
    f32x8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
        + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    f32x4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    return (b[0] + b[2]) + (b[1] + b[3]);
}

CRUMB_INLINE f32x16 LEVEL(select)(i32x16 mask, f32x16 a, f32x16 b) {
    return (f32x16)(((i32x16)a & mask) | ((i32x16)b & ~mask));
}

CRUMB_INLINE f32x16 LEVEL(maximum)(f32x16 a, f32x16 b) { return LEVEL(select)(a > b, a, b); }

CRUMB_INLINE float LEVEL(largest)(f32x16 v) {
    float best = v[0];
    for (int i = 1; i < 16; i++) best = v[i] > best ? v[i] : best;
    return best;
}

// Transposes 16 x 16 floats held in 16 vectors: 4 rounds, round b exchanges blocks of size b between rows b apart.
CRUMB_INLINE void LEVEL(transpose)(f32x16 v[16]) {
    f32x16 w[16];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 2) {
        w[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
        w[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < 16; j++) {
        if (j & 2) continue;
        v[j] = __builtin_shufflevector(w[j], w[j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
        v[j + 2] = __builtin_shufflevector(w[j], w[j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < 16; j++) {
        if (j & 4) continue;
        w[j] = __builtin_shufflevector(v[j], v[j + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
        w[j + 4] = __builtin_shufflevector(v[j], v[j + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
        v[i] = __builtin_shufflevector(w[i], w[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        v[i + 8] =
            __builtin_shufflevector(w[i], w[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
}
