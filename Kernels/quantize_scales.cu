// Weights in the order of a packed matrix, row scales, and which weights are outliers.
//
// A thread a row and group (best scales), a row and region (row scales), a number (load); quantize_outliers: a block a
// record and pool.
// targets: sm_80 sm_90a compute_80 compute_90
#include "include/quantize.cuh"

// Grid (ceil(N / threads) x P).
CRUMB_QUANTIZE_KERNEL quantize_load(const __grid_constant__ crumb_quantize_load_args a) {
    const auto [position, row] = place_in_grid(a.rows);
    if (row >= a.rows) return;
    const uint32_t channel = a.order[position];
    a.weights[static_cast<size_t>(position) * a.rows + row] =
        channel == CRUMB_PADDING_CHANNEL ? 0 : a.source[static_cast<size_t>(row) * a.columns + channel];
}

// Grid (ceil(N / threads) x groups).
CRUMB_QUANTIZE_KERNEL quantize_best_scales(const __grid_constant__ crumb_quantize_scales_args a) {
    const crumb_quantize_matrix &m = a.matrix;
    const auto [group_index, row] = place_in_grid(m.rows);
    if (row >= m.rows) return;
    const quantize_group group(m, group_index, row);
    const uint32_t outliers = m.outliers[static_cast<size_t>(group.index) * m.rows + row];
    const float *importance = m.importance + group.first;
    float w[CRUMB_GROUP], largest = 0;
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) {
        w[channel] = m.weights[place_of(m, group, channel, row)];
        if (!(outliers >> channel & 1)) largest = fmaxf(largest, fabsf(w[channel]));
    }
    float lowest = INFINITY, best = 0;
    for (int trial = 0; trial < CRUMB_QUANTIZE_TRIALS; trial++) {
        const float scale = fmaxf(largest / group.top * a.trials[trial], 1e-20f);
        float error = 0;
#pragma unroll
        for (int channel = 0; channel < CRUMB_GROUP; channel++) {
            const float lost = w[channel] - scale * nearest_level(w[channel] / scale, group.top);
            if (!(outliers >> channel & 1)) error += importance[channel] * lost * lost;
        }
        if (error < lowest) lowest = error, best = largest / group.top * a.trials[trial];
    }
    a.best[static_cast<size_t>(group.index) * m.rows + row] = best;
    if (a.costs) a.costs[static_cast<size_t>(group.index) * m.rows + row] = lowest;
}

// Grid (ceil(N / threads) x 2 x segments).
CRUMB_QUANTIZE_KERNEL quantize_row_scales(const __grid_constant__ crumb_quantize_scales_args a) {
    const crumb_quantize_matrix &m = a.matrix;
    const auto [slot, row] = place_in_grid(m.rows);
    if (row >= m.rows) return;
    const uint32_t first = slot / 2 * m.segment_channels, end = first + m.segment_channels;
    float widest = 0;
    for (uint32_t group = first / CRUMB_GROUP; group < end / CRUMB_GROUP; group++) {
        if (quantize_group(m, group, row).slot != slot) continue;
        widest = fmaxf(widest, a.best[static_cast<size_t>(group) * m.rows + row]);
    }
    m.row_scales[static_cast<size_t>(slot) * m.rows + row] =
        m.first_order ? 1 : rounded_scale(widest / (15 + CRUMB_SCALE_BIAS));
}

// The costs of a pool's weights, channel by channel, rows within.
struct quantize_pool {
    const crumb_quantize_matrix &m;
    uint32_t first, channels, row, rows;

    CRUMB_INLINE quantize_pool(const crumb_quantize_outliers_args &a) : m(a.matrix) {
        const uint32_t pool = blockIdx.x % a.pools, segment = blockIdx.x / a.pools % (m.positions / m.segment_channels);
        row = blockIdx.x / a.pools / (m.positions / m.segment_channels) * CRUMB_TILE_ROWS;
        first = segment * m.segment_channels + a.first + pool * CRUMB_OUTLIER_CHANNELS;
        channels = min(a.channels - pool * CRUMB_OUTLIER_CHANNELS, static_cast<uint32_t>(CRUMB_OUTLIER_CHANNELS));
        rows = min(m.rows - row, static_cast<uint32_t>(CRUMB_TILE_ROWS));
    }

    // A record's own rows and channels only, none for padding.
    CRUMB_INLINE float cost(uint32_t index) const {
        const uint32_t position = first + index / CRUMB_TILE_ROWS, n = row + index % CRUMB_TILE_ROWS;
        if (index % CRUMB_TILE_ROWS >= rows || !(m.importance[position] > 0)) return 0;
        const quantize_group group(m, position / CRUMB_GROUP);
        const float scale = m.row_scales[static_cast<size_t>(group.slot) * m.rows + n]
            * m.scale_codes[static_cast<size_t>(group.index) * m.rows + n];
        const float w = m.weights[static_cast<size_t>(position) * m.rows + n];
        const float lost = w - scale * nearest_level(w / scale, group.top);
        return m.importance[position] * lost * lost;
    }
};

// Finds the cost of the last outlier byte by byte (costs are not negative, so their bits are in their order), then marks
// what costs more, and of what costs as much the first ones.
CRUMB_QUANTIZE_KERNEL quantize_outliers(const __grid_constant__ crumb_quantize_outliers_args a) {
    __shared__ uint32_t counts[256], prefix, wanted, taken[CRUMB_QUANTIZE_THREADS / 32];
    const crumb_quantize_matrix &m = a.matrix;
    const quantize_pool pool(a);
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    // Scale codes for the weights as they are.
    for (uint32_t i = threadIdx.x; i < pool.channels / CRUMB_GROUP * CRUMB_TILE_ROWS; i += CRUMB_QUANTIZE_THREADS) {
        const uint32_t n = pool.row + i % CRUMB_TILE_ROWS;
        if (i % CRUMB_TILE_ROWS >= pool.rows) continue;
        const quantize_group group(m, pool.first / CRUMB_GROUP + i / CRUMB_TILE_ROWS);
        float w[CRUMB_GROUP];
#pragma unroll
        for (int channel = 0; channel < CRUMB_GROUP; channel++) w[channel] = m.weights[place_of(m, group, channel, n)];
        m.scale_codes[static_cast<size_t>(group.index) * m.rows + n] =
            best_code(m, group, w, 0, m.row_scales[static_cast<size_t>(group.slot) * m.rows + n]);
    }
    if (threadIdx.x == 0) prefix = 0, wanted = pool.channels * a.outliers_per_tile / CRUMB_TILE2_CHANNELS;
    __syncthreads();
    const uint32_t all = pool.channels * CRUMB_TILE_ROWS;
    for (int shift = 24; shift >= 0; shift -= 8) {
        for (uint32_t i = threadIdx.x; i < 256; i += CRUMB_QUANTIZE_THREADS) counts[i] = 0;
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < all; i += CRUMB_QUANTIZE_THREADS) {
            const uint32_t bits = __float_as_uint(pool.cost(i));
            if (shift == 24 || bits >> (shift + 8) == prefix >> (shift + 8)) atomicAdd(&counts[bits >> shift & 255], 1);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            uint32_t byte = 255;
            while (byte > 0 && counts[byte] < wanted) wanted -= counts[byte--];
            prefix |= byte << shift;
        }
        __syncthreads();
    }
    // `wanted` of those that cost exactly `prefix`.
    uint32_t equals = 0;
    for (uint32_t start = 0; start < all; start += CRUMB_QUANTIZE_THREADS) {
        const uint32_t bits = __float_as_uint(pool.cost(start + threadIdx.x));
        const bool is_equal = bits == prefix;
        const uint32_t vote = __ballot_sync(~0u, is_equal);
        if (lane == 0) taken[warp] = __popc(vote);
        __syncthreads();
        uint32_t before = equals + __popc(vote & ((1u << lane) - 1));
        for (uint32_t i = 0; i < CRUMB_QUANTIZE_THREADS / 32; i++) {
            before += i < warp ? taken[i] : 0;
            equals += taken[i];
        }
        if (bits > 0 && (bits > prefix || (is_equal && before < wanted))) {
            const uint32_t index = start + threadIdx.x, position = pool.first + index / CRUMB_TILE_ROWS;
            const size_t group = static_cast<size_t>(position / CRUMB_GROUP) * m.rows + pool.row + index % CRUMB_TILE_ROWS;
            atomicOr(m.outliers + group, 1u << position % CRUMB_GROUP);
        }
        __syncthreads();
    }
}
