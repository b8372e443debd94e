// RMSNorm for tuning, forward and backward, and sums of columns.
//
// tune_norm: a block a token. tune_norm_backward: CRUMB_TUNE_PARTIALS blocks, a row of fp32 in shared memory; a block takes
// every CRUMB_TUNE_PARTIALS-th token. tune_column_sums: ceil(columns / 256) x parts blocks.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

template <typename Element> CRUMB_INLINE void tune_norm(const crumb_tune_norm_args &a) {
    const size_t row = static_cast<size_t>(blockIdx.x) * a.columns;
    float squares = 0;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) squares += a.input[row + k] * a.input[row + k];
    squares = tune_reduce(squares, Sum());
    const float scale = rsqrtf(squares / static_cast<float>(a.columns) + a.epsilon);
    Element *output = static_cast<Element *>(a.output) + row;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) {
        output[k] = element<Element>(a.input[row + k] * scale * a.weight[k]);
    }
    if (threadIdx.x == 0) a.scales[blockIdx.x] = scale;
}

// With y = s x w and s = (mean(x^2) + e)^-1/2: dx = s w dy - s^3 x mean(x w dy), dw = sum over tokens of s x dy.
template <typename Element> CRUMB_INLINE void tune_norm_backward(const crumb_tune_norm_backward_args &a) {
    float *weight_gradient = tune_row();
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) weight_gradient[k] = 0;
    for (uint32_t token = blockIdx.x; token < a.tokens; token += CRUMB_TUNE_PARTIALS) {
        const size_t row = static_cast<size_t>(token) * a.columns;
        const Element *gradient = static_cast<const Element *>(a.gradient) + row;
        const float scale = a.scales[token];
        float dot = 0;
        for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) {
            const float share = a.input[row + k] * number(gradient[k]);
            weight_gradient[k] += scale * share;
            dot += share * a.weight[k];
        }
        dot = tune_reduce(dot, Sum());
        const float back = scale * scale * scale * dot / static_cast<float>(a.columns);
        for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) {
            a.stream_gradient[row + k] += scale * a.weight[k] * number(gradient[k]) - back * a.input[row + k];
        }
    }
    float *output = a.partials + static_cast<size_t>(blockIdx.x) * a.columns;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) output[k] = weight_gradient[k];
}

template <typename Element> CRUMB_INLINE void tune_column_sums(const crumb_tune_column_sums_args &a) {
    const uint32_t part = blockIdx.x % a.parts, column = blockIdx.x / a.parts * CRUMB_TUNE_THREADS + threadIdx.x;
    if (column >= a.columns) return;
    const Element *input = static_cast<const Element *>(a.input);
    float sum = 0;
    for (uint32_t row = part; row < a.rows; row += a.parts) {
        sum += number(input[static_cast<size_t>(row) * a.columns + column]);
    }
    a.output[static_cast<size_t>(part) * a.columns + column] = sum;
}

CRUMB_TUNE_KERNEL(norm, crumb_tune_norm_args)
CRUMB_TUNE_KERNEL(norm_backward, crumb_tune_norm_backward_args)
CRUMB_TUNE_KERNEL(column_sums, crumb_tune_column_sums_args)
