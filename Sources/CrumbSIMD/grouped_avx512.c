// Grouped rows with AVX-512 VNNI. 64 bytes of codes are one load and one or two dot products; scales are multiplied for
// 16 groups at once and spread over the lanes. Rows are read one after the other, so that memory is one stream.
#include "grouped.h"

#if CRUMB_X86

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)

enum { PREFETCH_BYTES = 8192 };

CRUMB_INLINE __m512i load_codes(const uint8_t *codes, size_t bytes) {
    if (bytes >= 64) return _mm512_loadu_si512(codes);
    return _mm512_maskz_loadu_epi8(_cvtu64_mask64(((uint64_t)1 << bytes) - 1), codes);
}

// 64 bytes of codes against the chunk's activations: 16 sums of 4 bytes each. Bytes beyond the row meet zeros.
CRUMB_INLINE __m512i dot_chunk(const int bits, __m512i codes, const int8_t *bytes, __m512i offsets) {
    __m512i x = _mm512_loadu_si512(bytes);
    if (bits == 8) return _mm512_dpbusd_epi32(offsets, _mm512_xor_si512(codes, _mm512_set1_epi8((char)0x80)), x);
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i low = _mm512_dpbusd_epi32(offsets, _mm512_and_si512(codes, mask), x);
    return _mm512_dpbusd_epi32(
        low, _mm512_and_si512(_mm512_srli_epi16(codes, 4), mask), _mm512_loadu_si512(bytes + 64));
}

// sums[chunk % 2] += up to 16 groups from `group` on; chunks of a full block are unrolled. `bits` is a constant.
CRUMB_INLINE void add_block(
    const int bits, const bool full, const uint8_t *codes, const uint16_t *scales, size_t groups, size_t group,
    crumb_grouped_input input, __m512 sums[2]) {
    const size_t chunk_groups = bits == 8 ? 2 : 4, left = full ? 16 : groups - group;
    // Which group of a chunk a lane belongs to.
    const __m512i group_of_lane = bits == 8 ? _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
                                            : _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    __m256i halves = full ? _mm256_loadu_si256((const __m256i *)(scales + group))
                          : _mm256_maskz_loadu_epi16(_cvtu32_mask16((1u << left) - 1), scales + group);
    __m512 factors = _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_loadu_ps(input.scales + group));
    size_t chunk = group / chunk_groups;
    codes += 64 * chunk;
    const int8_t *bytes = input.bytes + 32 * group;
    const int32_t *offsets = input.offsets + 16 * chunk;
#pragma clang loop unroll(full)
    for (size_t c = 0; c < 16 / chunk_groups; c++) {
        if (!full && c * chunk_groups >= left) break;
        if (full) _mm_prefetch(codes + 64 * c + PREFETCH_BYTES, _MM_HINT_T0);
        __m512i w = full ? _mm512_loadu_si512(codes + 64 * c)
                         : load_codes(codes + 64 * c, (left - c * chunk_groups) * 32 * (size_t)bits / 8);
        __m512i dot = dot_chunk(bits, w, bytes + 32 * chunk_groups * c, _mm512_loadu_si512(offsets + 16 * c));
        __m512i lanes = _mm512_add_epi32(group_of_lane, _mm512_set1_epi32((int)(c * chunk_groups)));
        sums[c % 2] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(lanes, factors), sums[c % 2]);
    }
}

CRUMB_INLINE float row_sum(
    const int bits, const uint8_t *codes, const uint16_t *scales, size_t groups, crumb_grouped_input input) {
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    size_t group = 0;
    for (; group + 16 <= groups; group += 16) add_block(bits, true, codes, scales, groups, group, input, sums);
    if (group < groups) add_block(bits, false, codes, scales, groups, group, input, sums);
    return _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
}

void crumb_grouped_rows_avx512(
    int bits, const uint8_t *codes, const uint16_t *scales, size_t rows, size_t k, crumb_grouped_input input, float *y,
    bool accumulate) {
    size_t row_bytes = k * (size_t)bits / 8, groups = k / CRUMB_GROUP;
    for (size_t row = 0; row < rows; row++, codes += row_bytes, scales += groups) {
        float sum = bits == 8 ? row_sum(8, codes, scales, groups, input) : row_sum(4, codes, scales, groups, input);
        y[row] = (accumulate ? y[row] : 0) + sum;
    }
}

#pragma clang attribute pop

#endif
