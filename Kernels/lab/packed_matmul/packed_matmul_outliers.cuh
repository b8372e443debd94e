// Outliers of a pass: sums[row][token] += delta x activation. Each block takes a quarter of every record's entries; in
// it, groups of tokens / 2 lanes take row tiles in turns, each lane two tokens, entries one after the other.
#pragma once

#include "packed_matmul_sums.cuh"
#include "packed_outliers.cuh"

constexpr uint32_t matmul_outlier_warps = CRUMB_MATMUL_SIDE_WARPS - 1;

// Entries first ... end - 1 of a record, by a group of lanes.
template <int tokens>
CRUMB_INLINE void matmul_add_entries(
    const uint32_t *entries, uint32_t first, uint32_t end, uint32_t pool_entries, const uint16_t *input,
    uint32_t position, float *sums) {
    constexpr uint32_t lanes = tokens / 2, batch = 8;
    const uint32_t lane = threadIdx.x % lanes, token = lane * 2;
    const uint32_t mask = (lanes == 32 ? ~0u : (1u << lanes) - 1) << threadIdx.x % 32 / lanes * lanes;
    uint32_t next = first + lane < end ? __ldg(entries + first + lane) : 0;
#pragma unroll 1
    for (; first < end; first += lanes) {
        // Each lane has an entry. Unused ones, and those beyond the end, have position and delta 0.
        uint32_t own = next, at = min(first + lane, end - 1);
        next = first + lanes + lane < end ? __ldg(entries + first + lanes + lane) : 0;
        uint32_t channel =
            position + at / pool_entries * CRUMB_OUTLIER_CHANNELS + (own >> 5 & (CRUMB_OUTLIER_CHANNELS - 1));
        uint32_t own_place = matmul_place_of<tokens>(channel, 0);
#pragma unroll 1
        for (uint32_t done = 0; done < lanes && first + done < end; done += batch) {
            uint32_t x[batch];
#pragma unroll
            for (uint32_t i = 0; i < batch; i++) {
                // Runs of tokens are exchanged bit by bit.
                uint32_t place = __shfl_sync(mask, own_place, done + i, lanes) ^ token / 8;
                x[i] = __ldcg(reinterpret_cast<const uint32_t *>(input + place * 8 + token % 8));
            }
#pragma unroll
            for (uint32_t i = 0; i < batch; i++) {
                uint32_t entry = __shfl_sync(mask, own, done + i, lanes), row = entry & 31;
                float delta = half_value(static_cast<uint16_t>(entry >> 16));
                float2 both = __half22float2(as_half2(x[i]));
                float *low = sums + matmul_sum_at(token, row), *high = sums + matmul_sum_at(token + 1, row);
                float a = *low, b = *high;
                *low = a + delta * both.x, *high = b + delta * both.y;
            }
        }
    }
}

// warp: 0 ... matmul_outlier_warps - 1.
template <bool paired, int tokens>
CRUMB_INLINE void matmul_pass_outliers(
    const crumb_packed_matmul_args &args, const matmul_pass<paired> &pass, uint32_t warp, float *sums) {
    constexpr uint32_t tile_floats = tokens * CRUMB_TILE_ROWS, groups = 64 / tokens;
    const uint32_t lane = threadIdx.x % 32, tiles = 2 * pass.units();
    const uint32_t group = warp * groups + lane / (tokens / 2), all_groups = matmul_outlier_warps * groups;
#pragma unroll 1
    for (uint32_t at = group; at < tiles; at += all_groups) {
        float4 *to = reinterpret_cast<float4 *>(sums + at * tile_floats);
#pragma unroll 4
        for (uint32_t i = lane % (tokens / 2); i < tile_floats / 4; i += tokens / 2) to[i] = make_float4(0, 0, 0, 0);
    }
    __syncwarp();
#pragma unroll 1
    for (uint32_t at = group; at < tiles; at += all_groups) {
        const crumb_packed_part &part = args.product.parts[pass.part_of(at % 2)];
        const crumb_packed_shape &shape = part.shape;
        uint32_t tile = pass.tile(at / 2, at % 2), entries = packed_entries(shape);
        if (tile >= shape.row_tiles || entries == 0) continue;
        uint32_t rank = matmul_rank();
        uint32_t first = entries * rank / CRUMB_MATMUL_CLUSTER, end = entries * (rank + 1) / CRUMB_MATMUL_CLUSTER;
#pragma unroll 1
        for (uint32_t segment = 0; segment < shape.segments; segment++) {
            const uint8_t *record =
                part.records + static_cast<uint64_t>(segment * shape.row_tiles + tile) * shape.record_bytes;
            matmul_add_entries<tokens>(
                reinterpret_cast<const uint32_t *>(record + shape.outliers_offset), first, end,
                CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS * shape.outliers_per_tile, args.product.input,
                segment * shape.segment_channels + shape.four_bit_channels, sums + at * tile_floats);
        }
    }
    __syncwarp();
}
