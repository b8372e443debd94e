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

// One token: up to CRUMB_PACKED_RUN entries of one pool at once, four neighbours a lane. `input`: of the pool's first
// channel, in shared memory; `rows`: fp32 [32][CRUMB_PACKED_SUMS]. What is behind a record's last entries is zero, as
// unused ones are.
CRUMB_INLINE void packed_add_outliers(const uint8_t *entries, uint32_t count, const uint16_t *input, float *rows) {
    const uint32_t lane = threadIdx.x % 32;
    uint4 four = make_uint4(0, 0, 0, 0);
    if (4 * lane < count) four = reinterpret_cast<const uint4 *>(entries)[lane];
    const uint32_t bits[4] = {four.x, four.y, four.z, four.w};
    uint32_t row[4];
    float sum[4]; // of the entries of the same row so far
#pragma unroll
    for (int i = 0; i < 4; i++) {
        row[i] = bits[i] & 31;
        const uint16_t activation = input[bits[i] >> 5 & (CRUMB_OUTLIER_CHANNELS - 1)];
        sum[i] = half_value(static_cast<uint16_t>(bits[i] >> 16)) * half_value(activation);
    }
    // Entries are sorted: a row's are neighbours. Whether entry i has the row of the lane's first.
    bool first[4] = {true};
#pragma unroll
    for (int i = 1; i < 4; i++) {
        if (row[i] == row[i - 1]) sum[i] += sum[i - 1];
        first[i] = first[i - 1] && row[i] == row[0];
    }
    const uint32_t before = __shfl_up_sync(~0u, row[3], 1), after = __shfl_down_sync(~0u, row[0], 1);
    const bool joins = lane > 0 && row[0] == before;
    // The sum of a lane's last row, with what lanes before have of it.
    const uint32_t heads = __ballot_sync(~0u, !(joins && first[3]));
    const uint32_t distance = lane - (31 - __clz(heads & (~0u >> (31 - lane))));
    float last = sum[3];
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
        const float other = __shfl_up_sync(~0u, last, d);
        if (distance >= static_cast<uint32_t>(d)) last += other;
    }
    const float carried = __shfl_up_sync(~0u, last, 1);
    // A row's sum goes where its last entry is. Those of the unused entries are row 0 once more, with nothing to add.
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float all = i == 3 ? last : joins && first[i] ? sum[i] + carried : sum[i];
        const bool ends = i == 3 ? lane == 31 || row[3] != after : row[i] != row[i + 1];
        if (ends && all != 0) rows[row[i] * CRUMB_PACKED_SUMS] += all;
    }
    __syncwarp();
}
