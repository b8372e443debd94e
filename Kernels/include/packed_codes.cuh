// An item's codes times its activations: tensor-core sums, first-order scales, row scales.
#pragma once

#include "packed_work.cuh"
#include "packed_input.cuh"

// The pair of codes of `bits` bits at bit p of both halves, as 1 + code x 2^(p - 10).
template <int bits, int p> CRUMB_INLINE uint32_t packed_codes(uint32_t word) {
    constexpr uint32_t mask = ((1u << bits) - 1) * 0x10001u << p;
    return (word & mask) | packed_one;
}

// Scale codes, 4 bits each, of a word as floats code + CRUMB_SCALE_BIAS, exactly: out[n] of bits 4 n ... 4 n + 3.
template <int count> CRUMB_INLINE void packed_scales(uint32_t word, float (&out)[count]) {
    uint32_t even = word & 0x0F0F0F0Fu, odd = word >> 4 & 0x0F0F0F0Fu;
    // 2^23 + code has the code in its lowest byte.
    constexpr float base = 8388608.0f - CRUMB_SCALE_BIAS;
#pragma unroll
    for (int n = 0; n < count; n++) {
        out[n] = __uint_as_float(__byte_perm(n % 2 ? odd : even, 0x4B000000u, 0x7440 + n / 2)) - base;
    }
}

// sums[m] += rows g + 16 m and g + 8 + 16 m of tile `tile` times its activations. words[i] belongs to row g + 8 i.
template <int bits, int tokens>
CRUMB_INLINE void packed_tile(
    float (&sums)[2][4], const uint4 &words, const packed_input<bits, tokens> &input, int tile, int pass) {
    constexpr int pairs = packed_input<bits, tokens>::pairs;
    uint32_t low[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int pair = half * pairs / 2; pair < (half + 1) * pairs / 2; pair += 2) {
            uint32_t b0 = input.operand(tile, pair, pass), b1 = input.operand(tile, pair + 1, pass);
#pragma unroll
            for (int m = 0; m < 2; m++) {
                if (bits == 2 && pair % 4 == 2) {
                    mma(sums[m], packed_codes<2, 4>(low[2 * m]), packed_codes<2, 4>(low[2 * m + 1]),
                        packed_codes<2, 6>(low[2 * m]), packed_codes<2, 6>(low[2 * m + 1]), b0, b1);
                } else {
                    mma(sums[m], packed_codes<bits, 0>(low[2 * m]), packed_codes<bits, 0>(low[2 * m + 1]),
                        packed_codes<bits, bits>(low[2 * m]), packed_codes<bits, bits>(low[2 * m + 1]), b0, b1);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) low[i] >>= 8;
    }
}

// A lane's results of an item: rows g + 8 i; with fewer than 8 tokens the two columns are groups of one token, else
// they are two tokens. `tiles`: code tiles of the item, 1 to 4.
template <int bits, int tokens>
CRUMB_INLINE void packed_item(
    float (&y)[4][2], const uint8_t *slot, uint32_t tiles, const packed_input<bits, tokens> &input) {
    using Input = packed_input<bits, tokens>;
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) y[i][0] = y[i][1] = 0;
#pragma unroll
    for (int step = 0; step < Input::steps; step++) {
        const int first = step / Input::passes * Input::step_tiles, pass = step % Input::passes;
        // Even and odd tiles apart: half as long a chain of dependent products.
        float sums[2][2][4];
#pragma unroll
        for (int m = 0; m < 2; m++) {
#pragma unroll
            for (int e = 0; e < 4; e++) sums[0][m][e] = input.correction[step][e % 2], sums[1][m][e] = 0;
        }
#pragma unroll
        for (int k = 0; k < Input::step_tiles; k++) {
            // Segments and regions end in short items.
            if (first + k > 0 && first + k >= static_cast<int>(tiles)) break;
            uint4 words = *reinterpret_cast<const uint4 *>(slot + (first + k) * CRUMB_TILE_BYTES + lane * 16);
            packed_tile<bits, tokens>(sums[k % 2], words, input, first + k, pass);
        }
        // The scales of columns 2 t and 2 t + 1: factors[c][i] for row g + 8 i.
        float factors[2][4];
        const uint8_t *scales = slot + PACKED_SCALES_AT;
        if (bits == 2) {
            // Columns 2 t, 2 t + 1 are the two groups of a tile.
            uint32_t tile = Input::step_tiles > 1 ? first + t % Input::step_tiles : first;
            uint32_t word = *reinterpret_cast<const uint32_t *>(scales + tile * CRUMB_TILE2_SCALE_BYTES + 4 * g);
            float both[8];
            packed_scales(word, both);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                factors[0][i] = both[tokens == 8 ? 4 * pass + i : i];
                factors[1][i] = both[tokens == 8 ? 4 * pass + i : 4 + i];
            }
        } else {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                uint32_t tile = Input::step_tiles > 1 ? first + (2 * t + c) % Input::step_tiles : first;
                packed_scales(
                    *reinterpret_cast<const uint16_t *>(scales + tile * CRUMB_TILE4_SCALE_BYTES + 2 * g), factors[c]);
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                int e = i % 2 * 2 + c;
                float sum = Input::step_tiles > 1 ? sums[0][i / 2][e] + sums[1][i / 2][e] : sums[0][i / 2][e];
                y[i][c] += sum * factors[c][i];
            }
        }
    }
}

// Adds an item's results to the warp's sums of a row tile, fp32 [tokens][32] in shared memory.
template <int tokens>
CRUMB_INLINE void packed_gather(float (&y)[4][2], const float (&factor)[2], const uint8_t *slot, float *sums) {
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint16_t *row_scales = reinterpret_cast<const uint16_t *>(slot + PACKED_ROW_SCALES_AT);
    auto add = [&](uint32_t token, uint32_t row, float value) {
        sums[token * CRUMB_TILE_ROWS + row] += half_value(row_scales[row]) * value;
    };
    if constexpr (tokens == 8) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int c = 0; c < 2; c++) add(2 * t + c, g + 8 * i, y[i][c] * factor[c]);
        }
    } else {
        float v[4];
#pragma unroll
        for (int i = 0; i < 4; i++) v[i] = y[i][0] * factor[0] + y[i][1] * factor[1];
        if constexpr (tokens == 4) {
#pragma unroll
            for (int i = 0; i < 4; i++) add(t, g + 8 * i, v[i]);
        } else {
            // Neighbouring lanes have parts of the same sums: each keeps half of the rows.
            bool odd = t % 2;
            float low_rows = (odd ? v[1] : v[0]) + __shfl_xor_sync(~0u, odd ? v[0] : v[1], 1);
            float high_rows = (odd ? v[3] : v[2]) + __shfl_xor_sync(~0u, odd ? v[2] : v[3], 1);
            if constexpr (tokens == 2) {
                add(t / 2, g + 8 * (t % 2), low_rows);
                add(t / 2, g + 8 * (t % 2 + 2), high_rows);
            } else {
                bool upper = t / 2;
                float sum = (upper ? high_rows : low_rows) + __shfl_xor_sync(~0u, upper ? low_rows : high_rows, 2);
                add(0, g + 8 * t, sum);
            }
        }
    }
}
