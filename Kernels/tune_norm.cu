// RMSNorm for tuning, forward and backward, and sums of columns.
//
// tune_norm: a block a token. tune_norm_backward: CRUMB_TUNE_NORM_BLOCKS blocks, a row of fp32 in shared memory; a block
// takes every CRUMB_TUNE_NORM_BLOCKS-th token. tune_column_sums: ceil(columns / 32) x parts blocks, a lane a column, a warp
// every eighth row of the part; CRUMB_TUNE_THREADS numbers of fp32 in shared memory.
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
    for (uint32_t token = blockIdx.x; token < a.tokens; token += CRUMB_TUNE_NORM_BLOCKS) {
        const size_t row = static_cast<size_t>(token) * a.columns;
        const Element *gradient = static_cast<const Element *>(a.gradient) + row;
        Element *narrow = static_cast<Element *>(a.narrow) + row;
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
            const float sum = a.stream_gradient[row + k] + scale * a.weight[k] * number(gradient[k]) - back * a.input[row + k];
            a.stream_gradient[row + k] = sum;
            narrow[k] = element<Element>(sum);
        }
    }
    float *output = a.partials + static_cast<size_t>(blockIdx.x) * a.columns;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) output[k] = weight_gradient[k];
}

template <typename Element> CRUMB_INLINE void tune_column_sums(const crumb_tune_column_sums_args &a) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const uint32_t part = blockIdx.x % a.parts, column = blockIdx.x / a.parts * 32 + lane;
    const Element *input = static_cast<const Element *>(a.input);
    float sum = 0;
    if (column < a.columns) {
#pragma unroll 8
        for (uint32_t row = part + warp * a.parts; row < a.rows; row += tune_warps * a.parts) {
            sum += number(input[static_cast<size_t>(row) * a.columns + column]);
        }
    }
    float *sums = tune_row();
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (warp != 0 || column >= a.columns) return;
    for (uint32_t other = 1; other < tune_warps; other++) sum += sums[32 * other + lane];
    a.output[static_cast<size_t>(part) * a.columns + column] = sum;
}

CRUMB_TUNE_KERNEL(norm, crumb_tune_norm_args)
CRUMB_TUNE_KERNEL(norm_backward, crumb_tune_norm_backward_args)
CRUMB_TUNE_KERNEL(column_sums, crumb_tune_column_sums_args)
