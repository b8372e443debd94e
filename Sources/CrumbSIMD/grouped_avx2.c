// Grouped rows with AVX2. 8 bits: |code| as unsigned bytes against activations with the code's sign; a pair is at most
// 2 x 128 x 127 = 32512, which fits 16 bits. 4 bits: nibbles 0 ... 15, the offset is added to the sums.
#include "grouped.h"

#if CRUMB_X86

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

CRUMB_INLINE __m256i load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

CRUMB_INLINE float half_to_float(uint16_t half) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))); }

CRUMB_INLINE float sum_of(__m256 v) {
    __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}

// One group of 8-bit codes in 8 sums.
CRUMB_INLINE __m256i dot8(const uint8_t *codes, const int8_t *x) {
    __m256i w = load256(codes);
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(load256(x), w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// One group of 4-bit codes: 16 bytes of low and 16 bytes of high nibbles in one register, 8 sums.
CRUMB_INLINE __m256i dot4(const uint8_t *codes, const int8_t *even, const int32_t *offsets) {
    __m128i w = _mm_loadu_si128((const __m128i *)codes);
    __m256i nibbles = _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(w, 4), w), _mm256_set1_epi8(15));
    __m256i x = _mm256_loadu2_m128i((const __m128i *)(even + 64), (const __m128i *)even);
    __m256i dot = _mm256_madd_epi16(_mm256_maddubs_epi16(nibbles, x), _mm256_set1_epi16(1));
    return _mm256_add_epi32(dot, _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)offsets)));
}

void crumb_grouped_rows_avx2(
    int bits, const uint8_t *codes, const uint16_t *scales, size_t rows, size_t k, crumb_grouped_input input, float *y,
    bool accumulate) {
    size_t groups = k / CRUMB_GROUP, group_bytes = CRUMB_GROUP * (size_t)bits / 8;
    for (size_t row = 0; row < rows; row++) {
        __m256 sums = _mm256_setzero_ps();
        for (size_t group = 0; group < groups; group++, codes += group_bytes) {
            __m256i dot = bits == 8
                ? dot8(codes, input.bytes + CRUMB_GROUP * group)
                : dot4(codes, input.bytes + group / 4 * 128 + group % 4 * 16, input.offsets + 4 * group);
            float factor = half_to_float(*scales++) * input.scales[group];
            sums = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_set1_ps(factor), sums);
        }
        y[row] = (accumulate ? y[row] : 0) + sum_of(sums);
    }
}

#pragma clang attribute pop

#endif
