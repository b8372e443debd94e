// Random weights, for measurements of speed on the shapes of models.
//
// random_records: grid (row tiles, segments), 256 threads: a block writes a record. random_halves, random_words: any
// grid, 256 threads. The numbers are a hash of seed and place, so they are the same on every card and in every run.
#include "crumb_random.h"

#include "include/device.cuh"

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
CRUMB_INLINE uint64_t mixed(uint64_t seed, uint64_t place) {
    uint64_t z = seed + (place + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// Entry `index` of a record: rows ascend within a pool, no channel of it stands twice.
CRUMB_INLINE uint32_t random_outlier(const crumb_random_records_args &a, uint32_t index, uint32_t rows, uint64_t bits) {
    uint32_t channels2 = a.shape.segment_channels - a.shape.four_bit_channels;
    uint32_t pool_entries = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS * a.shape.outliers_per_tile;
    uint32_t pool = index / pool_entries, in_pool = index % pool_entries;
    uint32_t channels = min(channels2 - pool * CRUMB_OUTLIER_CHANNELS, (uint32_t)CRUMB_OUTLIER_CHANNELS);
    uint32_t entries = channels / CRUMB_TILE2_CHANNELS * a.shape.outliers_per_tile;
    // 65521 is a prime above any number of channels, so its multiples are different channels.
    uint32_t row = in_pool * rows / entries, channel = in_pool * 65521u % channels;
    uint32_t delta = a.delta ^ static_cast<uint32_t>(bits & 1) << 15;
    return row | channel << 5 | delta << 16;
}

CRUMB_KERNEL __launch_bounds__(CRUMB_RANDOM_THREADS)
    random_records(const __grid_constant__ crumb_random_records_args a) {
    uint64_t record = static_cast<uint64_t>(blockIdx.y) * a.shape.row_tiles + blockIdx.x;
    uint32_t *words = reinterpret_cast<uint32_t *>(a.records + record * a.shape.record_bytes);
    uint32_t count = a.shape.record_bytes / 4, row_scales = a.shape.row_scales_offset / 4;
    uint32_t outliers = a.shape.outliers_offset / 4;
    uint32_t entries = (a.shape.segment_channels - a.shape.four_bit_channels) / CRUMB_TILE2_CHANNELS
        * a.shape.outliers_per_tile;
    uint32_t rows = min(a.shape.rows - blockIdx.x * CRUMB_TILE_ROWS, (uint32_t)CRUMB_TILE_ROWS);
    for (uint32_t i = threadIdx.x; i < count; i += CRUMB_RANDOM_THREADS) {
        uint64_t bits = mixed(a.seed, record * count + i);
        uint32_t word = static_cast<uint32_t>(bits >> 32);
        if (i >= outliers) {
            word = i - outliers < entries ? random_outlier(a, i - outliers, rows, bits) : 0;
        } else if (i >= row_scales) {
            // Rows behind the last have a scale of zero.
            uint32_t row = (i - row_scales) * 2 % CRUMB_TILE_ROWS;
            uint32_t scale = (i - row_scales) * 2 < CRUMB_TILE_ROWS ? a.row_scale4 : a.row_scale2;
            word = (row < rows ? scale : 0) | (row + 1 < rows ? scale : 0) << 16;
        }
        words[i] = word;
    }
}

CRUMB_KERNEL __launch_bounds__(CRUMB_RANDOM_THREADS) random_halves(const __grid_constant__ crumb_random_halves_args a) {
    uint64_t step = static_cast<uint64_t>(gridDim.x) * CRUMB_RANDOM_THREADS;
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * CRUMB_RANDOM_THREADS + threadIdx.x; i < a.count / 2; i += step) {
        uint64_t bits = mixed(a.seed, i);
        float low = static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-31f;
        float high = static_cast<float>(static_cast<int32_t>(bits >> 32)) * 0x1p-31f;
        reinterpret_cast<uint32_t *>(a.output)[i] =
            pack_half2(fmaf(low, a.spread, a.center), fmaf(high, a.spread, a.center));
    }
}

CRUMB_KERNEL __launch_bounds__(CRUMB_RANDOM_THREADS) random_words(const __grid_constant__ crumb_random_words_args a) {
    uint64_t step = static_cast<uint64_t>(gridDim.x) * CRUMB_RANDOM_THREADS;
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * CRUMB_RANDOM_THREADS + threadIdx.x; i < a.count; i += step) {
        a.output[i] = static_cast<uint32_t>(mixed(a.seed, i) >> 32);
    }
}
