// One token through a packed matrix with AVX-512 VNNI.
//
// A register holds the 16 words of one g: element 4 t + i is the word of row g + 8 i, channels of t.
//
//            t = 0       t = 1       t = 2       t = 3
//   g:    i 0 1 2 3   i 0 1 2 3   i 0 1 2 3   i 0 1 2 3      <- 64 bytes of codes
//
// Per g and 2-bit tile (256 weights): 4 shifts, 4 masks, 4 dot products of four codes with four activations that the
// 8 g share, then one float multiply-add into sums[g]. 17 vector operations on four ports: 50 weights per cycle, so
// memory is the limit (measured on Zen 5: 40 from the second-level cache).
#include "packed_decode.h"

#if CRUMB_X86

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)

// How far ahead the codes are asked for: beyond a page, where the hardware stops. Best between 8 and 16 KiB on Zen 5.
enum { PREFETCH_BYTES = 12288 };

// Elements 4 t + i of these: t, t / 2, and the shift of nibble i of group t / 2.
#define BY_T _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3)
#define BY_GROUP _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
#define NIBBLE2 _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 16, 20, 24, 28, 16, 20, 24, 28)
#define NIBBLE4 _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12)
// A scale code's value: vpermps looks at the low four bits only, which saves the mask and the conversion.
#define SCALE_OF_CODE _mm512_setr_ps(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)

CRUMB_INLINE __m512 decoded(__m512i dot, __m512i scale_codes, __m512 table) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(scale_codes, table));
}

// sums[g] += 2-bit tiles x activations. Codes come out of the words doubled, at bits 1 and 2 of each byte.
static void add_2bit(
    const uint8_t *codes, const uint8_t *scales, size_t tiles, crumb_packed_input input, __m512 sums[8]) {
    const __m512i by_t = BY_T, by_group = BY_GROUP, nibble = NIBBLE2, mask = _mm512_set1_epi8(6);
    const __m512 table = SCALE_OF_CODE;
    __m512 s[8];
    for (int g = 0; g < 8; g++) s[g] = sums[g];
    for (size_t tile = 0; tile < tiles; tile++) {
        __m512i bytes = _mm512_loadu_si512(input.bytes + 64 * tile);
        __m512i x0 = _mm512_permutexvar_epi32(by_t, bytes);
        __m512i x1 = _mm512_permutexvar_epi32(_mm512_add_epi32(by_t, _mm512_set1_epi32(4)), bytes);
        __m512i x2 = _mm512_permutexvar_epi32(_mm512_add_epi32(by_t, _mm512_set1_epi32(8)), bytes);
        __m512i x3 = _mm512_permutexvar_epi32(_mm512_add_epi32(by_t, _mm512_set1_epi32(12)), bytes);
        __m512i offset = _mm512_permutexvar_epi32(
            by_t, _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(input.sums + 8 * tile))));
        __m128i both_scales = _mm_loadl_epi64((const __m128i *)(input.scales + 2 * tile));
        __m512 x_scale = _mm512_permutexvar_ps(by_group, _mm512_castps128_ps512(_mm_castsi128_ps(both_scales)));
        _mm_prefetch(scales + PREFETCH_BYTES, _MM_HINT_T0);
#pragma clang loop unroll(full)
        for (size_t g = 0; g < 8; g++) {
            _mm_prefetch(codes + 64 * g + PREFETCH_BYTES, _MM_HINT_T0);
            __m512i w = _mm512_loadu_si512(codes + 64 * g);
            __m512i dot = _mm512_dpbusd_epi32(offset, _mm512_and_si512(_mm512_slli_epi32(w, 1), mask), x0);
            dot = _mm512_dpbusd_epi32(dot, _mm512_and_si512(_mm512_srli_epi32(w, 1), mask), x1);
            dot = _mm512_dpbusd_epi32(dot, _mm512_and_si512(_mm512_srli_epi32(w, 3), mask), x2);
            dot = _mm512_dpbusd_epi32(dot, _mm512_and_si512(_mm512_srli_epi32(w, 5), mask), x3);
            __m512i code = _mm512_srlv_epi32(_mm512_set1_epi32((int)crumb_scales2(scales, g)), nibble);
            s[g] = _mm512_fmadd_ps(decoded(dot, code, table), x_scale, s[g]);
        }
        codes += CRUMB_TILE_BYTES;
        scales += CRUMB_TILE2_SCALE_BYTES;
    }
    for (int g = 0; g < 8; g++) sums[g] = s[g];
}

// sums[g] += 4-bit tiles x activations. Codes are at bits 1 to 4 of each byte.
static void add_4bit(
    const uint8_t *codes, const uint8_t *scales, size_t tiles, crumb_packed_input input, __m512 sums[8]) {
    const __m512i by_t = BY_T, nibble = NIBBLE4, mask = _mm512_set1_epi8(30);
    const __m512 table = SCALE_OF_CODE;
    __m512 s[8];
    for (int g = 0; g < 8; g++) s[g] = sums[g];
    for (size_t tile = 0; tile < tiles; tile++) {
        __m512i bytes = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(input.bytes + 32 * tile)));
        __m512i x0 = _mm512_permutexvar_epi32(by_t, bytes);
        __m512i x1 = _mm512_permutexvar_epi32(_mm512_add_epi32(by_t, _mm512_set1_epi32(4)), bytes);
        __m512i offset = _mm512_permutexvar_epi32(
            by_t, _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(input.sums + 4 * tile))));
        __m512 x_scale = _mm512_set1_ps(input.scales[tile]);
        _mm_prefetch(scales + PREFETCH_BYTES, _MM_HINT_T0);
#pragma clang loop unroll(full)
        for (size_t g = 0; g < 8; g++) {
            _mm_prefetch(codes + 64 * g + PREFETCH_BYTES, _MM_HINT_T0);
            __m512i w = _mm512_loadu_si512(codes + 64 * g);
            __m512i dot = _mm512_dpbusd_epi32(offset, _mm512_and_si512(_mm512_slli_epi32(w, 1), mask), x0);
            dot = _mm512_dpbusd_epi32(dot, _mm512_and_si512(_mm512_srli_epi32(w, 3), mask), x1);
            __m512i code = _mm512_srlv_epi32(_mm512_set1_epi32((int)crumb_scales4(scales, g)), nibble);
            s[g] = _mm512_fmadd_ps(decoded(dot, code, table), x_scale, s[g]);
        }
        codes += CRUMB_TILE_BYTES;
        scales += CRUMB_TILE4_SCALE_BYTES;
    }
    for (int g = 0; g < 8; g++) sums[g] = s[g];
}

// total[g] += sums[g] x the row scale of row g + 8 i, for one region.
CRUMB_INLINE void apply_row_scales(const uint8_t *halves, const __m512 sums[8], __m512 total[8]) {
    __m512 low = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)halves));
    __m512 high = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(halves + 32)));
    const __m512i rows = _mm512_setr_epi32(0, 8, 16, 24, 0, 8, 16, 24, 0, 8, 16, 24, 0, 8, 16, 24);
#pragma clang loop unroll(full)
    for (int g = 0; g < 8; g++) {
        __m512 scale = _mm512_permutex2var_ps(low, _mm512_add_epi32(rows, _mm512_set1_epi32(g)), high);
        total[g] = _mm512_fmadd_ps(sums[g], scale, total[g]);
    }
}

// Adds up t for four g: the quarters of the result are g0 ... g3, each with i = 0 ... 3.
CRUMB_INLINE __m512 sum_over_t(const __m512 v[4]) {
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x44), _mm512_shuffle_f32x4(v[0], v[1], 0xEE));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], 0x44), _mm512_shuffle_f32x4(v[2], v[3], 0xEE));
    return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
}

CRUMB_INLINE float half_to_float(uint16_t half) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))); }

void crumb_packed_tile_avx512(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out) {
    size_t tiles4 = shape->four_bit_channels / CRUMB_TILE4_CHANNELS;
    size_t tiles2 = (shape->segment_channels - shape->four_bit_channels) / CRUMB_TILE2_CHANNELS;
    float copies[CRUMB_OUTLIER_COPIES][CRUMB_TILE_ROWS] = {{0}};
    __m512 total[8];
    for (int g = 0; g < 8; g++) total[g] = _mm512_setzero_ps();
    for (size_t segment = 0; segment < shape->segments; segment++) {
        const uint8_t *record = crumb_record(shape, records, segment, tile);
        crumb_packed_input rest = crumb_skip_groups(input, tiles4);
        if (tiles4 > 0) {
            __m512 sums[8];
            for (int g = 0; g < 8; g++) sums[g] = _mm512_setzero_ps();
            add_4bit(record, record + shape->scales4_offset, tiles4, input, sums);
            apply_row_scales(record + shape->row_scales_offset, sums, total);
        }
        if (tiles2 > 0) {
            __m512 sums[8];
            for (int g = 0; g < 8; g++) sums[g] = _mm512_setzero_ps();
            add_2bit(record + shape->codes2_offset, record + shape->scales2_offset, tiles2, rest, sums);
            apply_row_scales(record + shape->row_scales_offset + 64, sums, total);
        }
        CRUMB_ADD_RECORD_OUTLIERS(shape, record, copies, rest.x, half_to_float);
        input = crumb_skip_groups(rest, 2 * tiles2);
    }
    // From (g, i) to rows g + 8 i.
    __m512 low = sum_over_t(total), high = sum_over_t(total + 4);
    const __m512i rows = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    __m512 first = _mm512_permutex2var_ps(low, rows, high);
    __m512 second = _mm512_permutex2var_ps(low, _mm512_add_epi32(rows, _mm512_set1_epi32(2)), high);
    for (int c = 0; c < CRUMB_OUTLIER_COPIES; c++) {
        first = _mm512_add_ps(first, _mm512_loadu_ps(copies[c]));
        second = _mm512_add_ps(second, _mm512_loadu_ps(copies[c] + 16));
    }
    _mm512_storeu_ps(out, first);
    _mm512_storeu_ps(out + 16, second);
}

#pragma clang attribute pop

#endif
