// The sums of a pass in shared memory, fp32 [row tiles of the pass][tokens][32 rows]: outliers first, then the warps of
// a unit in order, then the blocks of the cluster in order.
#pragma once

#include "packed_matmul_barrier.cuh"
#include "packed_matmul_codes.cuh"

// Where a row of a token is within a row tile: rows are exchanged so that neither tokens of one row nor the rows and
// tokens of a product's fragment meet in a bank.
CRUMB_INLINE uint32_t matmul_sum_at(uint32_t token, uint32_t row) {
    return token * CRUMB_TILE_ROWS + (row ^ ((token >> 1 & 3) << 3 | token >> 3));
}

// The row scales of rows g + 8 i of a row tile, two a register.
struct matmul_row_scales {
    uint32_t pairs[2];

    CRUMB_INLINE void load(const uint8_t *slot, uint32_t second) {
        const uint16_t *from =
            reinterpret_cast<const uint16_t *>(slot + MATMUL_ROW_SCALES_AT + second * MATMUL_ROW_SCALES)
            + threadIdx.x % 32 / 4;
#pragma unroll
        for (int i = 0; i < 2; i++) pairs[i] = from[16 * i] | static_cast<uint32_t>(from[16 * i + 8]) << 16;
    }
    // A zero becomes so small a number that nothing remains of what it multiplies.
    CRUMB_INLINE float get(int i) const {
        float scale = i % 2 ? __high2float(as_half2(pairs[i / 2])) : __low2float(as_half2(pairs[i / 2]));
        return scale == 0 ? 8.67361738e-19f : scale; // 2^-60
    }
};

// Multiplies the sums of rows g + 8 i of a row tile.
template <int tokens> CRUMB_INLINE void matmul_rescale(float (&sums)[2][tokens / 8][4], const float (&factors)[4]) {
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
        for (int n = 0; n < tokens / 8; n++) {
#pragma unroll
            for (int e = 0; e < 4; e++) sums[m][n][e] *= factors[2 * m + e / 2];
        }
    }
}

// Adds a warp's sums, times the last row scales, to those of its unit.
template <int tokens>
CRUMB_INLINE void matmul_add_sums(const matmul_sums<tokens> &sums, const matmul_row_scales (&scales)[2], float *to) {
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int tile = 0; tile < 2; tile++) {
        float scale[4];
#pragma unroll
        for (int i = 0; i < 4; i++) scale[i] = scales[tile].get(i) * 16;
#pragma unroll
        for (int n = 0; n < tokens / 8; n++) {
            // Eight at a time on their way.
            float *place[8], value[8];
#pragma unroll
            for (int i = 0; i < 8; i++) {
                place[i] = to + tile * tokens * CRUMB_TILE_ROWS + matmul_sum_at(8 * n + 2 * t + i % 2, g + 8 * (i / 2));
                value[i] = *place[i];
            }
#pragma unroll
            for (int i = 0; i < 8; i++) {
                *place[i] = value[i] + sums[tile][i / 4][n][i % 4] * scale[i / 2];
            }
        }
    }
}

// The cluster's sums of a row for four tokens.
CRUMB_INLINE void matmul_cluster_sums(float (&to)[4], uint32_t sums, uint32_t token, uint32_t row) {
#pragma unroll
    for (int k = 0; k < 4; k++) {
        uint32_t place = sums + matmul_sum_at(token + k, row) * 4;
        float parts[CRUMB_MATMUL_CLUSTER];
#pragma unroll
        for (uint32_t rank = 0; rank < CRUMB_MATMUL_CLUSTER; rank++) parts[rank] = load_of_rank(place, rank);
        to[k] = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    }
}
