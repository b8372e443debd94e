// Outliers: y[row] += delta x activation.
//
// A record's entries are sorted by row within each pool of channels, so 32 neighbours, a run, are summed by a segmented
// scan and each row's sum is added by one lane: no atomics, the same bits every time. The warps of a block take the runs
// of its records in turns.
#pragma once

#include "packed_work.cuh"

// A lane's entry of one run.
struct packed_outlier {
    uint32_t bits;    // row, channel and delta; 0: unused
    uint32_t channel; // of the input

    // Run `run` of a record in shared memory.
    CRUMB_INLINE packed_outlier(const crumb_packed_part &part, const uint8_t *record, uint32_t segment, uint32_t run) {
        const crumb_packed_shape &shape = part.shape;
        const uint32_t entry = run * 32 + threadIdx.x % 32;
        bits = entry < part.record_entries
            ? reinterpret_cast<const uint32_t *>(record + shape.outliers_offset)[entry]
            : 0;
        channel = segment * shape.segment_channels + shape.four_bit_channels + (bits >> 5 & (CRUMB_OUTLIER_CHANNELS - 1));
        // A pool's entries are whole runs.
        for (uint32_t first = shape.outliers_per_tile; first <= run; first += shape.outliers_per_tile) {
            channel += CRUMB_OUTLIER_CHANNELS;
        }
    }

    // Adds the run's sums of one token to the rows of its slot.
    CRUMB_INLINE void add(uint16_t activation, float *rows) const {
        const uint32_t lane = threadIdx.x % 32, row = bits & 31;
        // Unused entries are row 0 with nothing to add, wherever they stand.
        uint32_t before = __shfl_up_sync(~0u, row, 1);
        uint32_t heads = __ballot_sync(~0u, lane == 0 || row != before);
        uint32_t distance = lane - (31 - __clz(heads & (~0u >> (31 - lane))));
        bool tail = lane == 31 || heads >> (lane + 1) & 1;
        float sum = half_value(static_cast<uint16_t>(bits >> 16)) * half_value(activation);
#pragma unroll
        for (int d = 1; d < 32; d *= 2) {
            float other = __shfl_up_sync(~0u, sum, d);
            if (distance >= static_cast<uint32_t>(d)) sum += other;
        }
        // Two tails of row 0 may stand in one run: the unused entries' one adds nothing.
        if (tail && sum != 0) rows[row] += sum;
    }
};
