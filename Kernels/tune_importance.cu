// What each token and channel of a matrix's input counts for in the end: squares of the loss's gradient by the matrix's
// output, token by token, and by its weights, column by column.
//
// tune_row_squares: a block a token. tune_channel_squares: a thread a channel, which goes through the rows one after the
// other: the sum does not depend on the card.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

template <typename Element> CRUMB_INLINE void tune_row_squares(const crumb_tune_row_squares_args &a) {
    const Element *row = static_cast<const Element *>(a.gradient) + static_cast<size_t>(blockIdx.x) * a.columns + a.first;
    float sum = 0;
    for (uint32_t n = threadIdx.x; n < a.count; n += CRUMB_TUNE_THREADS) sum += number(row[n]) * number(row[n]);
    sum = tune_reduce(sum, Sum());
    if (threadIdx.x == 0) a.output[blockIdx.x] = sum;
}

template <typename Element> CRUMB_INLINE void tune_channel_squares(const crumb_tune_channel_squares_args &a) {
    const uint32_t channel = blockIdx.x * CRUMB_TUNE_THREADS + threadIdx.x;
    if (channel >= a.columns) return;
    const Element *input = static_cast<const Element *>(a.input) + channel;
    float sum = 0;
#pragma unroll 8
    for (uint32_t row = 0; row < a.rows; row++) {
        const float x = number(input[static_cast<size_t>(row) * a.columns]);
        sum += x * x;
    }
    a.output[channel] += sum;
}

CRUMB_TUNE_KERNEL(row_squares, crumb_tune_row_squares_args)
CRUMB_TUNE_KERNEL(channel_squares, crumb_tune_channel_squares_args)
