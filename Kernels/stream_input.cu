// The residual stream as the first packed matrices want it, where no packed_product wrote it.
//
// Grid M, 256 threads: a block per token. Bytes per token: 4 K read, 2 K written at scattered places, norm and places
// from the caches; a launch, not its bytes, is what it costs.
// check: hot stream_input
#include "include/device.cuh"

CRUMB_KERNEL __launch_bounds__(CRUMB_NORM_THREADS) stream_input(const __grid_constant__ crumb_stream_input_args a) {
    __shared__ float scratch[CRUMB_NORM_THREADS / 32];
    wait_for_previous();
    release_next();
    uint32_t m = blockIdx.x;
    const float *stream = a.stream + static_cast<size_t>(m) * a.columns;
    float sum = 0;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_NORM_THREADS) {
        float x = stream[k];
        sum = fmaf(x, x, sum);
        const uint64_t at = crumb_input_index(a.places ? a.places[k] : k, m, a.next_positions, a.next_width);
        a.next_input[at] = half_bits(fminf(fmaxf(x * a.norm[k] * CRUMB_STREAM_SCALE, -65504.0f), 65504.0f));
    }
    sum = block_reduce<CRUMB_NORM_THREADS / 32>(sum, scratch, Sum());
    if (threadIdx.x == 0) a.squares[m] = sum;
}
