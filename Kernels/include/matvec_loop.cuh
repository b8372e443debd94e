// The loop of a matrix-vector product over a warp's row tiles and their units.
#pragma once

#include "matvec_output.cuh"
#include "matvec_stream.cuh"

// `Multiply` has the two ways to multiply a unit: `scaled` and `apart`.
template <int storage, bool apart, typename Multiply>
CRUMB_INLINE void matvec(const crumb_matvec_args &a, MatvecShared &shared, uint8_t *memory) {
    using T = Table<storage>;
    using UnitScales = Scales<apart ? 4 : T::scale_words>;
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32, g = lane / 4, t = lane % 4;
    uint32_t units = (a.columns + T::unit_features - 1) / T::unit_features, stride = units * T::unit_features + 32;
    uint32_t slice = warp % a.k_split, side_by_side = warps / a.k_split;
    uint32_t first_unit = units * slice / a.k_split, last_unit = units * (slice + 1) / a.k_split;
    uint32_t tiles = (a.rows + tile_rows - 1) / tile_rows;
    // Tiles go to blocks in turn, then to a block's warps: every multiprocessor has the same number of them, +- 1.
    uint32_t tile = warp / a.k_split * gridDim.x + blockIdx.x, tile_step = side_by_side * gridDim.x;
    uint32_t passes = (tiles + tile_step - 1) / tile_step;
    // The groups that a lane's scales start with: of its half of the unit; with groups apart all (8 bits), or those
    // that its columns stand for (4 bits).
    uint32_t scale_offset = !apart ? t / 2 * 2 * T::scale_words : storage == CRUMB_TABLE_Q4 ? t % 2 * 8 : 0;

    Stage *ring = reinterpret_cast<Stage *>(memory) + warp * a.stages;
    uint16_t *x = reinterpret_cast<uint16_t *>(reinterpret_cast<Stage *>(memory) + warps * a.stages);
    uint16_t *zeros = x + static_cast<size_t>(a.tokens) * stride;
    float *excess = reinterpret_cast<float *>(zeros + 128);
    Cursor ahead = {first_unit < last_unit ? tile : tiles, first_unit};
    UnitScales scales;
    if (ahead.tile < tiles) scales.load(a, tile, first_unit * T::unit_groups + scale_offset);
    for (uint32_t stage = 0; stage + 1 < a.stages; stage++) {
        if (ahead.tile < tiles) fetch<storage>(a, ring[stage], ahead);
        copies_end_group();
        ahead.advance(first_unit, last_unit, tile_step);
    }
    if (threadIdx.x < 128) zeros[threadIdx.x] = 0;
    if (a.norm) {
        for (uint32_t k = 32 * threadIdx.x; k < a.columns; k += 32 * blockDim.x) {
            asm volatile("prefetch.global.L2 [%0];" ::"l"(a.norm + k));
        }
    }
    wait_for_previous();
    release_next();
    prepare_input<storage, apart>(a, shared, x, stride, excess);

    // The token of the lane's column of the input, and of its columns of the products.
    uint32_t input_token = apart ? g / T::step_groups : g, token = apart ? (storage == CRUMB_TABLE_Q4 ? t / 2 : t) : 0;
    bool idle = apart && (input_token >= a.tokens || g % T::step_groups != t * T::step_groups / 4);
    const uint16_t *column = idle ? zeros : x + static_cast<size_t>(min(input_token, a.tokens - 1)) * stride + t * 8;
    uint32_t moving = idle ? 0 : T::eighths * 32;
    const float *token_excess = excess + static_cast<size_t>(min(token, a.tokens - 1)) * units * T::unit_groups;
    uint32_t full = a.stages - 1, current = 0;
    unsigned long long best[2] = {0, 0};
    for (uint32_t pass = 0; pass < passes; pass++, tile += tile_step) {
        float sums[4] = {0, 0, 0, 0}, totals[2] = {0, 0};
        for (uint32_t unit = first_unit; tile < tiles && unit < last_unit; unit++) {
            if (a.stages == 3) {
                copies_done<1>();
            } else {
                copies_done<0>();
            }
            // All lanes' copies are there, and all lanes are done with the stage that is filled next.
            __syncwarp();
            if (ahead.tile < tiles) fetch<storage>(a, ring[full], ahead);
            copies_end_group();
            ahead.advance(first_unit, last_unit, tile_step);
            Cursor next = {tile, unit};
            next.advance(first_unit, last_unit, tile_step);
            UnitScales next_scales;
            if (next.tile < tiles) next_scales.load(a, next.tile, next.unit * T::unit_groups + scale_offset);
            const Stage &stage = ring[current];
            full = current;
            current = current + 1 == a.stages ? 0 : current + 1;
            const uint16_t *runs = column + static_cast<size_t>(unit) * 4 * moving;
            if constexpr (apart) {
                Multiply::template apart<storage>(
                    totals, stage, scales, runs, moving, token_excess + unit * T::unit_groups);
            } else {
                Multiply::template scaled<storage>(sums, stage, scales, runs);
            }
            scales = next_scales;
        }
        if constexpr (apart) arrange<storage>(sums, totals);
        if (a.k_split > 1) {
            *reinterpret_cast<float4 *>(shared.sums[warp][lane]) = make_float4(sums[0], sums[1], sums[2], sums[3]);
            __syncthreads();
            if (slice == 0) {
                for (uint32_t other = 1; other < a.k_split; other++) {
#pragma unroll
                    for (int i = 0; i < 4; i++) sums[i] += shared.sums[warp + other][lane][i];
                }
            }
            __syncthreads();
        }
        if (slice == 0 && tile < tiles) write_rows(a, tile, sums, best);
    }
    if (a.greedy) choose_greedily(a, shared, best);
}
