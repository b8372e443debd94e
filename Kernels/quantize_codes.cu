// Codes: error feedback group by group, then coordinate descent. A thread a row; what a group's changes do to the other
// channels is a product of cuBLAS's in between. See CrumbQuant's ErrorFeedback and CoordinateDescent.
// targets: sm_80 sm_90a compute_80 compute_90
#include "include/quantize.cuh"

// Keeps the compiler from holding all of a group's own numbers in registers from one use to the next.
CRUMB_INLINE void forget() { asm volatile("" ::: "memory"); }

// The group's own 32 x 32 numbers of a [P][P] matrix; all threads read the same one at a time.
CRUMB_INLINE void load_own(float (&own)[CRUMB_GROUP][CRUMB_GROUP], const float *matrix, uint32_t positions, uint32_t first) {
    for (uint32_t i = threadIdx.x; i < CRUMB_GROUP * CRUMB_GROUP; i += CRUMB_QUANTIZE_THREADS) {
        own[i / CRUMB_GROUP][i % CRUMB_GROUP] =
            matrix[static_cast<size_t>(first + i / CRUMB_GROUP) * positions + first + i % CRUMB_GROUP];
    }
    __syncthreads();
}

CRUMB_QUANTIZE_KERNEL quantize_choose(const __grid_constant__ crumb_quantize_choose_args a) {
    __shared__ __align__(16) float own[CRUMB_GROUP][CRUMB_GROUP];
    const crumb_quantize_matrix &m = a.matrix;
    load_own(own, a.feedback, m.positions, a.group * CRUMB_GROUP);
    const uint32_t row = blockIdx.x * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    if (row >= m.rows) return;
    const quantize_group group(m, a.group, row);
    const size_t of_group = static_cast<size_t>(group.index) * m.rows + row;
    const uint32_t outliers = m.outliers[of_group];
    const float row_scale = m.row_scales[static_cast<size_t>(group.slot) * m.rows + row];
    float targets[CRUMB_GROUP];
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) targets[channel] = a.targets[place_of(m, group, channel, row)];
    const float code = best_code(m, group, targets, outliers, row_scale);
    const float scale = row_scale * code;
    m.scale_codes[of_group] = code;
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) {
        const size_t place = place_of(m, group, channel, row);
        const float level = nearest_level(targets[channel] / scale, group.top);
        // An outlier meets its target.
        const float value = outliers >> channel & 1 ? targets[channel] : scale * level;
        m.levels[place] = level;
        m.quantized[place] = value;
        const float error = m.weights[place] - value;
        a.errors[static_cast<size_t>(channel) * m.rows + row] = error;
        if (!a.feeds) continue;
#pragma unroll
        for (int later = channel + 1; later < CRUMB_GROUP; later++) targets[later] += own[channel][later] * error;
    }
}

CRUMB_QUANTIZE_KERNEL quantize_descend(const __grid_constant__ crumb_quantize_descend_args a) {
    __shared__ __align__(16) float own[CRUMB_GROUP][CRUMB_GROUP];
    const crumb_quantize_matrix &m = a.matrix;
    load_own(own, a.hessian, m.positions, a.group * CRUMB_GROUP);
    const uint32_t row = blockIdx.x * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    if (row >= m.rows) return;
    const quantize_group group(m, a.group, row);
    const size_t of_group = static_cast<size_t>(group.index) * m.rows + row;
    const uint32_t outliers = m.outliers[of_group];
    const float row_scale = m.row_scales[static_cast<size_t>(group.slot) * m.rows + row];
    float gradient[CRUMB_GROUP], levels[CRUMB_GROUP], changes[CRUMB_GROUP];
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) {
        const size_t place = place_of(m, group, channel, row);
        gradient[channel] = a.gradient[place];
        // What moves with the scale.
        levels[channel] = outliers >> channel & 1 ? 0 : m.levels[place];
    }
    float slope = 0, curvature = 0;
#pragma unroll
    for (int i = 0; i < CRUMB_GROUP; i++) {
        slope += levels[i] * gradient[i];
        float sum = 0;
#pragma unroll
        for (int j = 0; j < CRUMB_GROUP; j++) sum += own[i][j] * levels[j];
        curvature += sum * levels[i];
    }
    forget();
    const float code = m.scale_codes[of_group];
    const float best = code + slope / (fmaxf(curvature, 1e-30f) * row_scale);
    const float new_code = m.first_order
        ? rounded_scale(fmaxf(best, 0.25f * code))
        : rintf(fminf(fmaxf(best, CRUMB_SCALE_BIAS), CRUMB_SCALE_BIAS + 15));
    const float step = (new_code - code) * row_scale, scale = row_scale * new_code;
    m.scale_codes[of_group] = new_code;
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) changes[channel] = step * levels[channel];
#pragma unroll
    for (int i = 0; i < CRUMB_GROUP; i++) {
        float sum = 0;
#pragma unroll
        for (int j = 0; j < CRUMB_GROUP; j++) sum += own[i][j] * changes[j];
        gradient[i] -= sum;
    }
    forget();
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) {
        const size_t place = place_of(m, group, channel, row);
        const float now = m.quantized[place] + changes[channel];
        const float wanted = now + gradient[channel] / own[channel][channel];
        const float level = nearest_level(wanted / scale, group.top);
        const float value = outliers >> channel & 1 ? wanted : scale * level, delta = value - now;
        m.levels[place] = level;
        m.quantized[place] = value;
        a.changes[static_cast<size_t>(channel) * m.rows + row] = changes[channel] + delta;
#pragma unroll
        for (int other = 0; other < CRUMB_GROUP; other++) gradient[other] -= own[channel][other] * delta;
    }
}

// Grid (ceil(N / threads) x channels of the region).
CRUMB_QUANTIZE_KERNEL quantize_direction(const __grid_constant__ crumb_quantize_direction_args a) {
    const crumb_quantize_matrix &m = a.matrix;
    const auto [channel, row] = place_in_grid(m.rows);
    if (row >= m.rows) return;
    const uint32_t position = a.first + channel;
    const size_t group = static_cast<size_t>(position / CRUMB_GROUP) * m.rows + row;
    const bool is_outlier = m.outliers[group] >> position % CRUMB_GROUP & 1;
    const bool is_elsewhere = quantize_group(m, position / CRUMB_GROUP, row).slot != a.slot;
    a.direction[static_cast<size_t>(channel) * m.rows + row] =
        is_outlier || is_elsewhere ? 0 : m.levels[static_cast<size_t>(position) * m.rows + row] * m.scale_codes[group];
}

// A block 32 rows, its warps shares of the channels.
CRUMB_QUANTIZE_KERNEL quantize_row_steps(const __grid_constant__ crumb_quantize_move_args a) {
    constexpr int warps = CRUMB_QUANTIZE_THREADS / 32;
    __shared__ float slopes[warps][32], curvatures[warps][32];
    const crumb_quantize_matrix &m = a.matrix;
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = blockIdx.x * 32 + lane;
    float slope = 0, curvature = 0;
    for (uint32_t channel = warp; row < m.rows && channel < a.count; channel += warps) {
        const float u = a.direction[static_cast<size_t>(channel) * m.rows + row];
        const size_t place = static_cast<size_t>(a.first + channel) * m.rows + row;
        slope += u * a.gradient[place];
        curvature += u * a.image[place];
    }
    slopes[warp][lane] = slope, curvatures[warp][lane] = curvature;
    __syncthreads();
    if (warp > 0 || row >= m.rows) return;
    for (int i = 1; i < warps; i++) slope += slopes[i][lane], curvature += curvatures[i][lane];
    float *scale = m.row_scales + static_cast<size_t>(a.slot) * m.rows + row;
    const float old = *scale;
    const float next = curvature > 0 ? rounded_scale(fmaxf(old + slope / curvature, 0.25f * old)) : old;
    *scale = next;
    a.steps[row] = next - old;
}

// Grid (ceil(N / threads) x P).
CRUMB_QUANTIZE_KERNEL quantize_move(const __grid_constant__ crumb_quantize_move_args a) {
    const crumb_quantize_matrix &m = a.matrix;
    const auto [position, row] = place_in_grid(m.rows);
    if (row >= m.rows) return;
    const size_t place = static_cast<size_t>(position) * m.rows + row;
    const float step = a.steps[row];
    if (position >= a.first && position < a.first + a.count) {
        m.quantized[place] += step * a.direction[static_cast<size_t>(position - a.first) * m.rows + row];
    }
    a.gradient[place] -= step * a.image[place];
}
