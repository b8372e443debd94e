// One token's activations as 8-bit integers, made once by a block for each item of its input.
//
// They are those of packed_input.cuh: X = 254 hi + lo, scaled by a power of two for each item. An item has
// CRUMB_PACKED_DIGIT_BYTES of shared memory: its channels' high digits and their low digits, 256 bytes each, what the sums
// of its 8 groups of channels begin with, and what brings its sums to weight / scale x activation.
#pragma once

#include "packed_input.cuh"
#include "packed_shared.cuh"

constexpr uint32_t packed_low_digits = 256, packed_starts = 512, packed_factor = 544;

// The largest of a warp's numbers.
CRUMB_INLINE uint32_t packed_largest(uint32_t value) {
#if __CUDA_ARCH__ >= 800
    return __reduce_max_sync(~0u, value);
#else
    return warp_reduce(value, Maximum());
#endif
}

// An item's digits, by one warp. `input` and `digits` are in shared memory. Channels are in the order of code words:
// [tile][lane % 4][word][4].
template <int bits> CRUMB_INLINE void packed_make_digits(const uint16_t *input, uint32_t tiles, uint8_t *digits) {
    const uint32_t lane = threadIdx.x % 32;
    uint32_t x[4] = {};
    if constexpr (bits == 2) {
        // Two words have channels 0 ... 3 and 8 ... 11 of 16, or 4 ... 7 and 12 ... 15.
        const uint2 *mine = reinterpret_cast<const uint2 *>(input + lane / 2 * 16 + lane % 2 * 4);
        if (lane / 8 < tiles) x[0] = mine[0].x, x[1] = mine[0].y, x[2] = mine[2].x, x[3] = mine[2].y;
    } else {
        const uint4 *mine = reinterpret_cast<const uint4 *>(input) + lane;
        if (lane / 4 < tiles) x[0] = mine->x, x[1] = mine->y, x[2] = mine->z, x[3] = mine->w;
    }
    half2 largest = __habs2(as_half2(x[0]));
#pragma unroll
    for (int i = 1; i < 4; i++) largest = __hmax2_nan(largest, __habs2(as_half2(x[i])));
    const uint32_t most = packed_largest(max(as_bits(largest) & 0xFFFF, as_bits(largest) >> 16));
    // The power of two that brings the largest activation to 64 ... 127; the largest high digit is 127, not 127.5.
    const uint32_t bits_of_most = __float_as_uint(half_value(static_cast<uint16_t>(most))) + (1u << 16);
    const int exponent = most == 0 ? 0 : static_cast<int>(bits_of_most >> 23) - 127;
    int up = 6 - exponent;
    // Too small for the largest power of two of fp16.
    if (up > 15) {
#pragma unroll
        for (int i = 0; i < 4; i++) x[i] = as_bits(__hmul2(as_half2(x[i]), packed_power(15)));
        up -= 15;
    }
    uint32_t high[4], low[4];
#pragma unroll
    for (int pair = 0; pair < 4; pair++) {
        const half2 value = as_half2(x[pair]), by = packed_power(bits == 2 && pair % 2 ? up - 2 : up);
        const half2 rounded = __hfma2(value, by, packed_rounding());
        const half2 rest = __hfma2(value, by, __hsub2(packed_rounding(), rounded));
        high[pair] = as_bits(rounded), low[pair] = as_bits(__hfma2(rest, as_half2(0x5BF05BF0), packed_rounding()));
    }
    const uint2 highs = make_uint2(__byte_perm(high[0], high[2], 0x6240), __byte_perm(high[1], high[3], 0x6240));
    const uint2 lows = make_uint2(__byte_perm(low[0], low[2], 0x6240), __byte_perm(low[1], low[3], 0x6240));
    reinterpret_cast<uint2 *>(digits)[lane] = highs;
    reinterpret_cast<uint2 *>(digits + packed_low_digits)[lane] = lows;
    // Zero point x activation, doubled; a 2-bit code at bits 2 and 3 counts four times. Four lanes have a group.
    constexpr int even = (bits == 2 ? 3 : 15) * 0x01010101, odd = bits == 2 ? 4 * even : even;
    const int sum_of_highs = __dp4a(static_cast<int>(highs.x), even, __dp4a(static_cast<int>(highs.y), odd, 0));
    int sum = __dp4a(static_cast<int>(lows.x), even, __dp4a(static_cast<int>(lows.y), odd, packed_digit * sum_of_highs));
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    if (lane % 4 == 0) reinterpret_cast<int *>(digits + packed_starts)[lane / 4] = -(sum >> 1);
    // A number that is none, or infinite, spoils the result.
    const float factor = most < 0x7C00
        ? __uint_as_float(static_cast<uint32_t>(127 - 6 + exponent) << 23) * (1.0f / packed_digit)
        : __uint_as_float(0x7FC00000);
    if (lane == 0) *reinterpret_cast<float *>(digits + packed_factor) = factor;
}

// An item's digits as B fragments. The 8 columns are 4 groups of channels x (high, low): 4 tiles of 4 bits, or 2 tiles of
// 2 bits, side by side, so that each has sums of its own, which are scaled once for all of them. A step is as many tiles.
struct packed_digits {
    uint32_t b[16]; // [tile][word], zeros in columns of other groups
    int start[2];   // of each step: what the sums of the low digits begin with, the zero points' share
    float factor;   // from sums to sums of weight / scale x activation

    template <int bits> CRUMB_INLINE void load(const uint8_t *digits) {
        const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, group = g / 2;
        const uint8_t *zeros = packed_shared_head()->zeros, *column = digits + g % 2 * packed_low_digits;
        if constexpr (bits == 2) {
            // A tile has two groups, the channels of lanes t / 2.
            const uint8_t *own = column + (group / 2 * 4 + t) * 16;
            const bool mine = group % 2 == t / 2;
#pragma unroll
            for (uint32_t i = 0; i < 2; i++) {
                const uint8_t *from = mine && group / 2 == i ? own : zeros;
#pragma unroll
                for (int step = 0; step < 2; step++) {
                    const uint4 v = *reinterpret_cast<const uint4 *>(from + 128 * step);
                    uint32_t *to = b + (2 * step + i) * 4;
                    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
                }
            }
        } else {
            const uint8_t *own = column + (group * 4 + t) * 8;
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const uint8_t *from = group == i ? own : zeros;
#pragma unroll
                for (int step = 0; step < 2; step++) {
                    const uint2 v = *reinterpret_cast<const uint2 *>(from + 128 * step);
                    uint32_t *to = b + (4 * step + i) * 2;
                    to[0] = v.x, to[1] = v.y;
                }
            }
        }
        const int *starts = reinterpret_cast<const int *>(digits + packed_starts);
        start[0] = starts[t], start[1] = starts[4 + t];
        factor = *reinterpret_cast<const float *>(digits + packed_factor);
    }
};
