// One token through a packed matrix with AVX2: the AVX-512 kernel in halves. A register holds the 8 words of one g and
// two t (t = 2 p and 2 p + 1), so element 4 (t % 2) + i is the word of row g + 8 i.
//
// Pairs of products are added in 16 bits: at most 4 x 2 x 6 x 127 = 6096 in a 2-bit word, 2 x 2 x 30 x 127 = 15240 in a
// 4-bit word.
#include "packed_decode.h"

#if CRUMB_X86

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { PREFETCH_BYTES = 4096 };

CRUMB_INLINE __m256i load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

// Four activations for each of two t, once per i. `at`: those of t = 2 p in `step`.
CRUMB_INLINE __m256i spread(const void *at) {
    __m256i two = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)at));
    return _mm256_permutevar8x32_epi32(two, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
}

// Scales of 4 rows, twice: nibbles of `word` from bit `shift` on, plus one.
CRUMB_INLINE __m256 scales_of(uint32_t word, __m256i shifts) {
    __m256i code = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32((int)word), shifts), _mm256_set1_epi32(15));
    return _mm256_cvtepi32_ps(_mm256_add_epi32(code, _mm256_set1_epi32(CRUMB_SCALE_BIAS)));
}

// Products of doubled codes, right shifts given, with their activations, as pairs in 16 bits.
CRUMB_INLINE __m256i products(__m256i w, int right, __m256i mask, __m256i x) {
    __m256i doubled = right < 0 ? _mm256_slli_epi32(w, 1) : _mm256_srli_epi32(w, right);
    return _mm256_maddubs_epi16(_mm256_and_si256(doubled, mask), x);
}

static void add_2bit(
    const uint8_t *codes, const uint8_t *scales, size_t tiles, crumb_packed_input input, __m256 sums[8]) {
    const __m256i mask = _mm256_set1_epi8(6), ones = _mm256_set1_epi16(1);
    for (size_t tile = 0; tile < tiles; tile++) {
        for (size_t p = 0; p < 2; p++) {
            const int8_t *bytes = input.bytes + 64 * tile + 8 * p;
            __m256i x0 = spread(bytes), x1 = spread(bytes + 16), x2 = spread(bytes + 32), x3 = spread(bytes + 48);
            __m256i offset = spread(input.sums + 8 * tile + 2 * p);
            __m256 x_scale = _mm256_set1_ps(input.scales[2 * tile + p]);
            __m256i shifts =
                _mm256_add_epi32(_mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12), _mm256_set1_epi32((int)(16 * p)));
#pragma clang loop unroll(full)
            for (size_t g = 0; g < 8; g++) {
                if (p == 0) _mm_prefetch(codes + 64 * g + PREFETCH_BYTES, _MM_HINT_T0);
                __m256i w = load256(codes + 64 * g + 32 * p);
                __m256i pairs = _mm256_add_epi16(
                    _mm256_add_epi16(products(w, -1, mask, x0), products(w, 1, mask, x1)),
                    _mm256_add_epi16(products(w, 3, mask, x2), products(w, 5, mask, x3)));
                __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(pairs, ones), offset);
                __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), scales_of(crumb_scales2(scales, g), shifts));
                sums[g] = _mm256_fmadd_ps(scaled, x_scale, sums[g]);
            }
        }
        codes += CRUMB_TILE_BYTES;
        scales += CRUMB_TILE2_SCALE_BYTES;
    }
}

static void add_4bit(
    const uint8_t *codes, const uint8_t *scales, size_t tiles, crumb_packed_input input, __m256 sums[8]) {
    const __m256i mask = _mm256_set1_epi8(30), ones = _mm256_set1_epi16(1);
    const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12);
    for (size_t tile = 0; tile < tiles; tile++) {
        __m256 x_scale = _mm256_set1_ps(input.scales[tile]);
        for (size_t p = 0; p < 2; p++) {
            const int8_t *bytes = input.bytes + 32 * tile + 8 * p;
            __m256i x0 = spread(bytes), x1 = spread(bytes + 16), offset = spread(input.sums + 4 * tile + 2 * p);
#pragma clang loop unroll(full)
            for (size_t g = 0; g < 8; g++) {
                if (p == 0) _mm_prefetch(codes + 64 * g + PREFETCH_BYTES, _MM_HINT_T0);
                __m256i w = load256(codes + 64 * g + 32 * p);
                __m256i pairs = _mm256_add_epi16(products(w, -1, mask, x0), products(w, 3, mask, x1));
                __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(pairs, ones), offset);
                __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), scales_of(crumb_scales4(scales, g), shifts));
                sums[g] = _mm256_fmadd_ps(scaled, x_scale, sums[g]);
            }
        }
        codes += CRUMB_TILE_BYTES;
        scales += CRUMB_TILE4_SCALE_BYTES;
    }
}

CRUMB_INLINE float half_to_float(uint16_t half) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))); }

// out[row] += the two t of sums[g] x row scale, row = g + 8 i.
static void apply_row_scales(const uint8_t *halves, const __m256 sums[8], float *out) {
    for (size_t g = 0; g < 8; g++) {
        float four[4];
        _mm_storeu_ps(four, _mm_add_ps(_mm256_castps256_ps128(sums[g]), _mm256_extractf128_ps(sums[g], 1)));
        for (size_t i = 0; i < 4; i++) {
            size_t row = g + 8 * i;
            out[row] += four[i] * half_to_float(crumb_read16(halves + 2 * row));
        }
    }
}

void crumb_packed_tile_avx2(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out) {
    size_t tiles4 = shape->four_bit_channels / CRUMB_TILE4_CHANNELS;
    size_t tiles2 = (shape->segment_channels - shape->four_bit_channels) / CRUMB_TILE2_CHANNELS;
    float copies[CRUMB_OUTLIER_COPIES][CRUMB_TILE_ROWS] = {{0}};
    memset(out, 0, sizeof(float) * CRUMB_TILE_ROWS);
    for (size_t segment = 0; segment < shape->segments; segment++) {
        const uint8_t *record = crumb_record(shape, records, segment, tile);
        crumb_packed_input rest = crumb_skip_groups(input, tiles4);
        __m256 sums[8];
        for (int g = 0; g < 8; g++) sums[g] = _mm256_setzero_ps();
        add_4bit(record, record + shape->scales4_offset, tiles4, input, sums);
        apply_row_scales(record + shape->row_scales_offset, sums, out);
        for (int g = 0; g < 8; g++) sums[g] = _mm256_setzero_ps();
        add_2bit(record + shape->codes2_offset, record + shape->scales2_offset, tiles2, rest, sums);
        apply_row_scales(record + shape->row_scales_offset + 64, sums, out);
        CRUMB_ADD_RECORD_OUTLIERS(shape, record, copies, rest.x, half_to_float);
        input = crumb_skip_groups(rest, 2 * tiles2);
    }
    for (size_t row = 0; row < CRUMB_TILE_ROWS; row++) {
        out[row] += (copies[0][row] + copies[1][row]) + (copies[2][row] + copies[3][row]);
    }
}

#pragma clang attribute pop

#endif
