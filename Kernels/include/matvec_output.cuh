// What happens to the sums of a row tile: written, added, and the most likely token chosen.
#pragma once

#include "choice.cuh"
#include "matvec_input.cuh"

// The totals of a tile with groups apart in the places of a product's sums: (row, token) of write_rows.
template <int storage> CRUMB_INLINE void arrange(float (&sums)[4], float (&totals)[2]) {
    uint32_t quad = threadIdx.x % 32 & ~3u, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        // 4 bits: a token's groups lie with two lanes.
        if (storage == CRUMB_TABLE_Q4) totals[i] += __shfl_xor_sync(~0u, totals[i], 1);
#pragma unroll
        for (uint32_t c = 0; c < 2; c++) {
            uint32_t token = 2 * t + c, lane = storage == CRUMB_TABLE_Q4 ? 2 * token % 4 : token % 4;
            sums[2 * i + c] = __shfl_sync(~0u, totals[i], quad + lane);
        }
    }
}

// Writes a warp's 16 x 8 sums; keeps the best of what it wrote.
CRUMB_INLINE void write_rows(
    const crumb_matvec_args &a, uint32_t tile, const float (&sums)[4], unsigned long long (&best)[2]) {
    uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t row = tile * tile_rows + lane / 4 + i / 2 * 8, token = lane % 4 * 2 + i % 2;
        if (row >= a.rows || token >= a.tokens) continue;
        float *target = a.output + static_cast<size_t>(token) * a.rows + row;
        float y = sums[i] + (a.bias ? a.bias[row] : 0.0f);
        if (a.accumulate) y += *target;
        *target = y;
        if (a.greedy) best[i % 2] = Maximum()(best[i % 2], static_cast<unsigned long long>(ranked(y, row)));
    }
}

// The block's best rows meet those of the other blocks; the last block to arrive publishes the tokens.
CRUMB_INLINE void choose_greedily(const crumb_matvec_args &a, MatvecShared &shared, unsigned long long (&best)[2]) {
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int c = 0; c < 2; c++) {
        best[c] = Maximum()(best[c], __shfl_xor_sync(~0u, best[c], 4));
        best[c] = Maximum()(best[c], __shfl_xor_sync(~0u, best[c], 8));
        best[c] = Maximum()(best[c], __shfl_xor_sync(~0u, best[c], 16));
        if (lane < 4) shared.best[warp][2 * lane + c] = best[c];
    }
    __syncthreads();
    if (warp != 0) return;
    unsigned long long *all_best = reinterpret_cast<unsigned long long *>(a.choice.best);
    if (lane < a.tokens) {
        unsigned long long mine = 0;
        for (uint32_t w = 0; w < blockDim.x / 32; w++) mine = Maximum()(mine, shared.best[w][lane]);
        atomicMax(all_best + lane, mine);
        __threadfence();
    }
    __syncwarp();
    bool last = false;
    if (lane == 0) last = atomicAdd(a.choice.arrivals, 1) == gridDim.x - 1;
    if (!__shfl_sync(~0u, last, 0)) return;
    __threadfence();
    if (lane < a.tokens) publish_choice(a.choice, lane, ranked_token(atomicExch(all_best + lane, 0)));
    if (lane == 0) a.choice.arrivals[0] = 0;
}
