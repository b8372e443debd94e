// The most likely token of each row of logits, the lowest id among equals.
//
// Grid (blocks, M), 256 threads; any number of blocks, 32 for 32000 logits and 128 for 152000 are enough. Blocks meet
// in a maximum, whose order does not matter; the last one to arrive publishes the token. Bytes: 4 x vocabulary per row,
// from L2.
#include "include/choice.cuh"

CRUMB_KERNEL __launch_bounds__(CRUMB_ARGMAX_THREADS) argmax_f32(const __grid_constant__ crumb_argmax_args a) {
    __shared__ uint64_t scratch[CRUMB_ARGMAX_THREADS / 32];
    wait_for_previous();
    release_next();
    uint32_t m = blockIdx.y;
    const float *logits = a.logits + static_cast<size_t>(m) * a.vocabulary;
    uint64_t best = 0;
    for (uint32_t i = blockIdx.x * CRUMB_ARGMAX_THREADS + threadIdx.x; i < a.vocabulary;
         i += gridDim.x * CRUMB_ARGMAX_THREADS) {
        best = Maximum()(best, ranked(logits[i], i));
    }
    best = block_reduce<CRUMB_ARGMAX_THREADS / 32>(best, scratch, Maximum());
    if (threadIdx.x != 0) return;
    unsigned long long *shared_best = reinterpret_cast<unsigned long long *>(a.choice.best) + m;
    atomicMax(shared_best, static_cast<unsigned long long>(best));
    __threadfence();
    if (atomicAdd(a.choice.arrivals + m, 1) != gridDim.x - 1) return;
    __threadfence();
    publish_choice(a.choice, m, ranked_token(atomicExch(shared_best, 0)));
    a.choice.arrivals[m] = 0;
}
