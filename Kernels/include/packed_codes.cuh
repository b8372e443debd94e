// An item's codes times its activations: tensor-core sums, first-order scales, row scales.
#pragma once

#include "packed_work.cuh"
#include "packed_input.cuh"

// Scale codes, 4 bits each, of 16 bits as integers, the bias added.
CRUMB_INLINE void packed_scales(uint32_t codes, int (&out)[4]) {
    constexpr uint32_t bias = CRUMB_SCALE_BIAS * 0x0101u;
    uint32_t even = (codes & 0x0F0Fu) + bias, odd = (codes >> 4 & 0x0F0Fu) + bias;
    out[0] = even & 0xFF, out[1] = odd & 0xFF, out[2] = even >> 8, out[3] = odd >> 8;
}

// sums[m] += rows g + 16 m and g + 8 + 16 m of tile `tile` times its activations. A lane's words are its codes of rows g,
// g + 8, g + 16, g + 24.
template <int bits, int tokens>
CRUMB_INLINE void packed_tile(
    int (&sums)[2][4], uint4 words, const packed_input<bits, tokens> &input, int tile, int pass) {
    using Input = packed_input<bits, tokens>;
    constexpr uint32_t mask = bits == 2 ? 0x03030303u : 0x0F0F0F0Fu;
    const uint32_t code[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int word = 0; word < Input::words; word += 2) {
        uint32_t a[4][2];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t shifted = code[i] >> 4;
            if (bits == 2) {
                uint32_t from = word == 0 ? code[i] : shifted;
                a[i][0] = from & mask, a[i][1] = from & (mask << 2);
            } else {
                a[i][0] = code[i] & mask, a[i][1] = shifted & mask;
            }
        }
        uint32_t b0 = input.operand(tile, word, pass), b1 = input.operand(tile, word + 1, pass);
#pragma unroll
        for (int m = 0; m < 2; m++) mma(sums[m], a[2 * m][0], a[2 * m + 1][0], a[2 * m][1], a[2 * m + 1][1], b0, b1);
    }
}

// A lane's results of an item: y[i] of row g + 8 i and the groups of one token. `tiles`: code tiles of the item. An integer
// is below 2^31: 256 channels x 15 / 2 x 2^15 x a scale of 16.
template <int bits, int tokens>
CRUMB_INLINE void packed_item(
    int (&y)[4], const uint8_t *codes, const uint8_t *scale_codes, uint32_t tiles,
    const packed_input<bits, tokens> &input) {
    using Input = packed_input<bits, tokens>;
    const uint32_t lane = threadIdx.x % 32, g = lane / 4;
#pragma unroll
    for (int step = 0; step < Input::steps; step++) {
        const int first = step / Input::passes * Input::step_tiles, pass = step % Input::passes;
        // Segments and regions end in short items.
        if (first > 0 && first >= static_cast<int>(tiles)) break;
        int sums[2][4]; // columns of high and of low digits
#pragma unroll
        for (int e = 0; e < 8; e++) sums[e / 4][e % 4] = e % 2 ? input.in.start[step] : 0;
#pragma unroll
        for (int k = 0; k < Input::step_tiles; k++) {
            if (k > 0 && first + k >= static_cast<int>(tiles)) break;
            uint4 words = *reinterpret_cast<const uint4 *>(codes + (first + k) * CRUMB_TILE_BYTES + lane * 16);
            packed_tile<bits, tokens>(sums, words, input, first + k, pass);
        }
        const uint32_t tile = first + Input::result_tile();
        const uint32_t group = Input::passes > 1 ? pass : Input::result_group();
        const uint8_t *own = scale_codes
            + (bits == 2 ? tile * CRUMB_TILE2_SCALE_BYTES + 4 * g + 2 * group : tile * CRUMB_TILE4_SCALE_BYTES + 2 * g);
        int scales[4];
        packed_scales(*reinterpret_cast<const uint16_t *>(own), scales);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int sum = packed_digit * sums[i / 2][i % 2 * 2] + sums[i / 2][i % 2 * 2 + 1];
            y[i] = step == 0 ? sum * scales[i] : y[i] + sum * scales[i];
        }
    }
}

// Adds an item's results to the warp's sums of a row tile, fp32 [tokens][32] in shared memory.
template <int tokens>
CRUMB_INLINE void packed_gather(const int (&y)[4], float factor, const uint8_t *row_scales, float *sums) {
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    auto add = [&](uint32_t token, uint32_t row, int sum) {
        sums[token * CRUMB_TILE_ROWS + row] +=
            half_value(reinterpret_cast<const uint16_t *>(row_scales)[row]) * (static_cast<float>(sum) * factor);
    };
    if constexpr (tokens == 4) {
#pragma unroll
        for (int i = 0; i < 4; i++) add(t, g + 8 * i, y[i]);
    } else {
        // Neighbouring lanes have parts of the same sums: each keeps half of the rows. Below 2^31 still: the sums of all
        // channels of an item are within the bound above.
        const bool odd = t % 2;
        int low_rows = (odd ? y[1] : y[0]) + __shfl_xor_sync(~0u, odd ? y[0] : y[1], 1);
        int high_rows = (odd ? y[3] : y[2]) + __shfl_xor_sync(~0u, odd ? y[2] : y[3], 1);
        add(t / 2, g + 8 * (t % 2), low_rows);
        add(t / 2, g + 8 * (t % 2 + 2), high_rows);
    }
}
