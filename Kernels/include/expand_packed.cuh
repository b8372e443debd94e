// Tiles of a packed matrix to fp16, and weights with outliers.
#pragma once

#include "device.cuh"

enum {
    dequantize_warps = CRUMB_DEQUANTIZE_THREADS / 32,
    block_tiles = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS,
    warp_tiles = block_tiles / dequantize_warps,
};

CRUMB_INLINE half2 both_halves(uint16_t bits) { return __half2half2(__ushort_as_half(bits)); }

// Levels (code - zero point) of the pair of 4-bit codes at bits 4 j and 16 + 4 j: the half 1024 + 16 x code, made
// small.
CRUMB_INLINE half2 level4(uint32_t codes, int j) {
    uint32_t moved = j == 0 ? codes << 4 : codes >> (4 * j - 4);
    return __hfma2(as_half2((moved & 0x00F000F0u) | 0x64006400u), __float2half2_rn(0.0625f), __float2half2_rn(-71.5f));
}

// The same of 2-bit codes at bits 2 j and 16 + 2 j, brought to bits 2 and 18.
CRUMB_INLINE half2 level2(uint32_t codes, int j) {
    uint32_t moved = j == 0 ? codes << 2 : codes >> (2 * j - 2);
    return __hfma2(as_half2((moved & 0x000C000Cu) | 0x64006400u), __float2half2_rn(0.25f), __float2half2_rn(-257.5f));
}

CRUMB_INLINE half2 first_order(uint32_t code) { return __half2half2(__uint2half_rn((code & 15) + CRUMB_SCALE_BIAS)); }

// A tile's place in the output: `out` is its first weight, of `rows` rows.
struct Target {
    uint16_t *out;
    size_t stride;
    uint32_t rows;
};

CRUMB_INLINE void expand_tile4(const uint4 &codes, uint32_t scales, const half2 (&row_scales)[4], Target target) {
    uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const uint32_t words[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        half2 scale = first_order(scales >> 4 * i);
        uint32_t w[4];
#pragma unroll
        for (int j = 0; j < 4; j++) w[j] = as_bits(__hmul2(__hmul2(level4(words[i], j), scale), row_scales[i]));
        if (g + 8 * i < target.rows) {
            *reinterpret_cast<uint4 *>(target.out + (g + 8 * i) * target.stride + 8 * t) =
                make_uint4(w[0], w[1], w[2], w[3]);
        }
    }
}

CRUMB_INLINE void expand_tile2(const uint4 &codes, uint32_t scales, const half2 (&row_scales)[4], Target target) {
    uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const uint32_t words[4] = {codes.x, codes.y, codes.z, codes.w};
    bool odd = t % 2 == 1;
    scales >>= 16 * (t / 2);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        half2 scale = first_order(scales >> 4 * i);
        uint32_t w[8];
#pragma unroll
        for (int j = 0; j < 8; j++) w[j] = as_bits(__hmul2(__hmul2(level2(words[i], j), scale), row_scales[i]));
        // The even lane of a pair keeps its first half and gets its neighbour's first, the odd one their second halves.
        uint32_t first[4], second[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            uint32_t received = __shfl_xor_sync(~0u, odd ? w[j] : w[4 + j], 1);
            first[j] = odd ? received : w[j];
            second[j] = odd ? w[4 + j] : received;
        }
        if (g + 8 * i < target.rows) {
            uint4 *pair = reinterpret_cast<uint4 *>(target.out + (g + 8 * i) * target.stride + 32 * (t / 2)) + t % 2;
            pair[0] = make_uint4(first[0], first[1], first[2], first[3]);
            pair[2] = make_uint4(second[0], second[1], second[2], second[3]);
        }
    }
}

// The weight of row and channel (of the pool) before its outlier, not rounded. `tile` is the pool's first.
CRUMB_INLINE float weight2(
    const uint8_t *record, const crumb_packed_shape &shape, uint32_t tile, uint32_t row, uint32_t channel) {
    tile += channel / CRUMB_TILE2_CHANNELS;
    uint32_t place = channel % CRUMB_TILE2_CHANNELS, g = row % 8, i = row / 8, at = place % 16;
    const uint32_t *codes = reinterpret_cast<const uint32_t *>(record + shape.codes2_offset + tile * CRUMB_TILE_BYTES);
    const uint32_t *scales =
        reinterpret_cast<const uint32_t *>(record + shape.scales2_offset + tile * CRUMB_TILE2_SCALE_BYTES);
    const uint16_t *row_scales = reinterpret_cast<const uint16_t *>(record + shape.row_scales_offset);
    uint32_t code = codes[16 * g + place / 16 * 4 + i] >> (2 * (at / 2) + 16 * (at % 2)) & 3;
    uint32_t scale = (scales[g] >> 4 * (place / 32 * 4 + i) & 15) + CRUMB_SCALE_BIAS;
    return half_value(row_scales[CRUMB_TILE_ROWS + row])
        * (static_cast<float>(scale) * (static_cast<float>(code) - 1.5f));
}

// A weight with its outlier.
struct Patch {
    bool used;
    uint32_t row, channel;
    float weight;
};

CRUMB_INLINE Patch make_patch(
    const uint8_t *record, const crumb_packed_shape &shape, uint32_t tile, crumb_outlier entry, uint32_t rows,
    uint32_t tiles) {
    Patch patch = {false, entry.position % (uint32_t)CRUMB_TILE_ROWS, entry.position / (uint32_t)CRUMB_TILE_ROWS, 0};
    patch.used = entry.delta != 0 && patch.row < rows && patch.channel < tiles * CRUMB_TILE2_CHANNELS;
    if (patch.used) patch.weight = weight2(record, shape, tile, patch.row, patch.channel) + half_value(entry.delta);
    return patch;
}
