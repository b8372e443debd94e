// What a quantized matrix lost, and its numbers for the host and for the layers behind it.
//
// quantize_dot: CRUMB_QUANTIZE_PARTIALS blocks. The others: grid (ceil(N / threads) x P, or x groups).
// targets: sm_80 sm_90a compute_80 compute_90
#include "include/quantize.cuh"

CRUMB_QUANTIZE_KERNEL quantize_difference(const __grid_constant__ crumb_quantize_difference_args a) {
    const crumb_quantize_matrix &m = a.matrix;
    const size_t index = static_cast<size_t>(blockIdx.x) * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    if (index >= static_cast<size_t>(m.positions) * m.rows) return;
    a.difference[index] = m.importance[index / m.rows] > 0 ? m.weights[index] - m.quantized[index] : 0;
}

CRUMB_QUANTIZE_KERNEL quantize_dot(const __grid_constant__ crumb_quantize_dot_args a) {
    __shared__ double scratch[CRUMB_QUANTIZE_THREADS / 32];
    double sum = 0;
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * CRUMB_QUANTIZE_THREADS + threadIdx.x; i < a.count;
         i += static_cast<uint64_t>(CRUMB_QUANTIZE_PARTIALS) * CRUMB_QUANTIZE_THREADS) {
        sum += static_cast<double>(a.a[i]) * a.b[i];
    }
    sum = block_reduce<CRUMB_QUANTIZE_THREADS / 32>(sum, scratch, Sum());
    if (threadIdx.x == 0) a.partials[blockIdx.x] = sum;
}

CRUMB_QUANTIZE_KERNEL quantize_store(const __grid_constant__ crumb_quantize_store_args a) {
    const crumb_quantize_matrix &m = a.matrix;
    const auto [group_index, row] = place_in_grid(m.rows);
    if (row >= m.rows) return;
    const quantize_group group(m, group_index, row);
    const size_t of_group = static_cast<size_t>(group.index) * m.rows + row;
    const uint32_t outliers = m.outliers[of_group];
    const float code = m.scale_codes[of_group];
    const float scale = m.row_scales[static_cast<size_t>(group.slot) * m.rows + row] * code;
    a.scale_codes[static_cast<size_t>(row) * (m.positions / CRUMB_GROUP) + group.index] =
        static_cast<uint8_t>(code - CRUMB_SCALE_BIAS);
    for (uint32_t channel = 0; channel < CRUMB_GROUP; channel++) {
        const uint32_t position = group.first + channel;
        const size_t place = place_of(m, group, channel, row);
        const float level = m.levels[place];
        float value = scale * level;
        a.codes[static_cast<size_t>(row) * m.positions + position] = static_cast<uint8_t>(level + group.top);
        if (outliers >> channel & 1) {
            const float wanted = m.quantized[place] - value;
            const uint16_t delta = half_bits(fminf(fmaxf(wanted, -65504.0f), 65504.0f));
            value += half_value(delta);
            if (delta & 0x7FFF) {
                const uint32_t index = atomicAdd(a.count, 1);
                if (index < a.capacity) a.outliers[index] = crumb_quantize_outlier{row, position, delta};
            }
        }
        const uint32_t source = a.order[position];
        if (source != CRUMB_PADDING_CHANNEL) a.dense[static_cast<size_t>(row) * a.columns + source] = value;
    }
}
