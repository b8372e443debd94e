// An item's codes times one token's activations.
#pragma once

#include "packed_digits.cuh"
#include "packed_work.cuh"

// Adds the products of 32 rows and a step's tiles. `low`: codes of the lower halves of bytes; `high`: of the upper halves,
// where they stand, 16 times as large. [rows g and g + 8; g + 16 and g + 24][...]
template <int bits>
CRUMB_INLINE void packed_step(int (&low)[2][4], int (&high)[2][4], const uint4 *words, const uint32_t *b) {
#pragma unroll
    for (int m = 0; m < 2; m++) {
        if constexpr (bits == 2) {
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const uint32_t v = m ? words[k].z : words[k].x, w = m ? words[k].w : words[k].y;
                const uint32_t *mine = b + 4 * k;
                mma(low[m], v & 0x03030303u, w & 0x03030303u, v & 0x0C0C0C0Cu, w & 0x0C0C0C0Cu, mine[0], mine[1]);
                mma(high[m], v & 0x30303030u, w & 0x30303030u, v & 0xC0C0C0C0u, w & 0xC0C0C0C0u, mine[2], mine[3]);
            }
        } else {
            // Two tiles at once: a code's half of the byte must be the same in all of a product.
#pragma unroll
            for (int k = 0; k < 4; k += 2) {
                const uint32_t v0 = m ? words[k].z : words[k].x, w0 = m ? words[k].w : words[k].y;
                const uint32_t v1 = m ? words[k + 1].z : words[k + 1].x, w1 = m ? words[k + 1].w : words[k + 1].y;
                const uint32_t *mine = b + 2 * k;
                constexpr uint32_t lower = 0x0F0F0F0Fu, upper = 0xF0F0F0F0u;
                mma(low[m], v0 & lower, w0 & lower, v1 & lower, w1 & lower, mine[0], mine[2]);
                mma(high[m], v0 & upper, w0 & upper, v1 & upper, w1 & upper, mine[1], mine[3]);
            }
        }
    }
}

// Sums of an item's `tiles` code tiles, 32 rows: of row g + 8 t in lane 4 g + t. An integer is below 2^31: 256 channels x
// 15 / 2 x 2^15 x a scale of 16. `whole`: all tiles are there.
template <int bits, bool whole>
CRUMB_INLINE int packed_sums(
    const uint8_t *codes, const uint8_t *scales, uint32_t tiles, const packed_digits &digits) {
    constexpr int step_tiles = bits == 2 ? 2 : 4;
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint8_t *own = scales + (bits == 2 ? t / 2 * CRUMB_TILE2_SCALE_BYTES + 4 * g + t % 2 * 2
                                             : t * CRUMB_TILE4_SCALE_BYTES + 2 * g);
    constexpr uint32_t step_scales = step_tiles * (bits == 2 ? CRUMB_TILE2_SCALE_BYTES : CRUMB_TILE4_SCALE_BYTES);
    // Scale codes, 4 bits each, of rows g, g + 8, g + 16, g + 24 and of both steps; the bias is added.
    constexpr uint32_t bias = CRUMB_SCALE_BIAS * 0x01010101u;
    const uint32_t scale_codes = *reinterpret_cast<const uint16_t *>(own)
        | static_cast<uint32_t>(*reinterpret_cast<const uint16_t *>(own + step_scales)) << 16;
    const uint32_t even = (scale_codes & 0x0F0F0F0Fu) + bias, odd = (scale_codes >> 4 & 0x0F0F0F0Fu) + bias;
    int y[4] = {};
#pragma unroll
    for (int step = 0; step < 2; step++) {
        // Segments and regions end in short items. Where a tile is not there its digits are zeros, whatever the codes.
        if (!whole && step > 0 && tiles <= step_tiles) break;
        uint4 words[step_tiles];
#pragma unroll
        for (uint32_t k = 0; k < step_tiles; k++) {
            const uint32_t tile = step * step_tiles + k;
            words[k] = reinterpret_cast<const uint4 *>(codes)[(whole ? tile : min(tile, tiles - 1)) * 32 + lane];
        }
        int low[2][4], high[2][4]; // [.][columns of high and of low digits of row g (+ 16), the same of g + 8]
#pragma unroll
        for (int e = 0; e < 8; e++) low[e / 4][e % 4] = e % 2 ? digits.start[step] : 0, high[e / 4][e % 4] = 0;
        packed_step<bits>(low, high, words, digits.b + 8 * step);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int *l = low[i / 2] + i % 2 * 2, *h = high[i / 2] + i % 2 * 2;
            const int sum = packed_digit * l[0] + l[1] + ((packed_digit * h[0] + h[1]) >> 4);
            y[i] += sum * static_cast<int>(__byte_perm(i % 2 ? odd : even, 0, 0x4440 + 2 * step + i / 2));
        }
    }
    // Neighbouring lanes have parts of the same sums: each keeps half of the rows.
    const bool right = t % 2, upper = t / 2;
    const int low_rows = (right ? y[1] : y[0]) + __shfl_xor_sync(~0u, right ? y[0] : y[1], 1);
    const int high_rows = (right ? y[3] : y[2]) + __shfl_xor_sync(~0u, right ? y[2] : y[3], 1);
    return (upper ? high_rows : low_rows) + __shfl_xor_sync(~0u, upper ? low_rows : high_rows, 2);
}
