// Outliers: y[row] += delta x activation, for the block's row tiles, by one warp beside the others.
//
// Entries of a pool are sorted by row, so 32 neighbours are summed by a segmented scan and each row's sum is added by
// one lane: no atomics, the same bits every time.
#pragma once

#include "packed_work.cuh"

CRUMB_INLINE uint32_t packed_entries(const crumb_packed_shape &shape) {
    return (shape.segment_channels - shape.four_bit_channels) / CRUMB_TILE2_CHANNELS * shape.outliers_per_tile;
}

// Starts to copy the entries of all the block's records, [slot][segment][entries], each record's to 16 bytes.
template <bool paired>
CRUMB_INLINE void packed_fetch_outliers(
    const crumb_packed_matvec_args &args, const packed_block &block, uint32_t target) {
#pragma unroll 1
    for (uint32_t part = 0; part < args.part_count; part++) {
        const crumb_packed_shape &shape = args.parts[part].shape;
        packed_range range = packed_tiles<paired>(args, block, part);
        uint32_t bytes = (packed_entries(shape) * 4 + 15) / 16 * 16;
#pragma unroll 1
        for (uint32_t tile = range.first; tile < range.end; tile++) {
#pragma unroll 1
            for (uint32_t segment = 0; segment < shape.segments; segment++, target += bytes) {
                const uint8_t *from = args.parts[part].records
                    + static_cast<uint64_t>(segment * shape.row_tiles + tile) * shape.record_bytes
                    + shape.outliers_offset;
#pragma unroll 1
                for (uint32_t i = threadIdx.x % 32 * 16; i < bytes; i += 512) copy_async(target + i, from + i, true);
            }
        }
    }
    copies_end_group();
}

// sums: [slot][tokens][32], zeros before.
template <bool paired, int tokens>
CRUMB_INLINE void packed_add_outliers(
    const crumb_packed_matvec_args &args, const packed_block &block, const uint8_t *entries, float *sums) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll 1
    for (uint32_t part = 0; part < args.part_count; part++) {
        const crumb_packed_shape &shape = args.parts[part].shape;
        packed_range range = packed_tiles<paired>(args, block, part);
        uint32_t count = packed_entries(shape), pool_entries = 32 * shape.outliers_per_tile;
#pragma unroll 1
        for (uint32_t tile = range.first; tile < range.end; tile++) {
            float *slot = sums + (range.slot + tile - range.first) * tokens * CRUMB_TILE_ROWS;
#pragma unroll 1
            for (uint32_t segment = 0; segment < shape.segments; segment++) {
                const uint32_t *record = reinterpret_cast<const uint32_t *>(entries);
                const uint16_t *x = args.input + segment * shape.segment_channels + shape.four_bit_channels;
#pragma unroll 2
                for (uint32_t i = 0, pool = 0, end = pool_entries; i < count; i += 32) {
                    // A pool's entries are a multiple of 32.
                    if (i == end) pool += CRUMB_OUTLIER_CHANNELS, end += pool_entries;
                    uint32_t bits = i + lane < count ? record[i + lane] : 0;
                    uint32_t row = bits & 31, channel = pool + (bits >> 5 & (CRUMB_OUTLIER_CHANNELS - 1));
                    float delta = half_value(static_cast<uint16_t>(bits >> 16));
                    // Unused entries are row 0 with nothing to add, wherever they stand.
                    uint32_t before = __shfl_up_sync(~0u, row, 1);
                    uint32_t heads = __ballot_sync(~0u, lane == 0 || row != before);
                    uint32_t distance = lane - (31 - __clz(heads & (~0u >> (31 - lane))));
                    bool tail = lane == 31 || heads >> (lane + 1) & 1;
#pragma unroll
                    for (int token = 0; token < tokens; token++) {
                        bool used = bits != 0 && static_cast<uint32_t>(token) < args.tokens;
                        float sum = used ? delta * half_value(__ldcg(x + token * args.positions + channel)) : 0;
#pragma unroll
                        for (int d = 1; d < 32; d *= 2) {
                            float other = __shfl_up_sync(~0u, sum, d);
                            if (distance >= static_cast<uint32_t>(d)) sum += other;
                        }
                        // Two tails of row 0 may stand in one run of 32: the unused entries' one adds nothing.
                        if (tail && sum != 0) slot[token * CRUMB_TILE_ROWS + row] += sum;
                    }
                    __syncwarp();
                }
                entries += (count * 4 + 15) / 16 * 16;
            }
        }
    }
}
