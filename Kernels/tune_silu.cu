// silu(gate) x up for tuning, forward and backward (a block a token), and fp32 numbers as elements.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

template <typename Element> CRUMB_INLINE void tune_silu(const crumb_tune_silu_args &a) {
    Element *gates = static_cast<Element *>(a.gate_up) + static_cast<size_t>(blockIdx.x) * 2 * a.features;
    Element *ups = gates + a.features;
    Element *output = static_cast<Element *>(a.output) + static_cast<size_t>(blockIdx.x) * a.features;
    for (uint32_t i = threadIdx.x; i < a.features; i += CRUMB_TUNE_THREADS) {
        const float gate = number(gates[i]), up = number(ups[i]), share = 1 / (1 + expf(-gate)), silu = gate * share;
        if (!a.backward) {
            output[i] = element<Element>(silu * up);
            continue;
        }
        const float gradient = number(output[i]);
        gates[i] = element<Element>(gradient * up * (share + silu * (1 - share)));
        ups[i] = element<Element>(gradient * silu);
    }
}

template <typename Element> CRUMB_INLINE void tune_narrow(const crumb_tune_narrow_args &a) {
    const uint64_t i = static_cast<uint64_t>(blockIdx.x) * CRUMB_TUNE_THREADS + threadIdx.x;
    if (i < a.count) static_cast<Element *>(a.output)[i] = element<Element>(a.input[i]);
}

CRUMB_TUNE_KERNEL(silu, crumb_tune_silu_args)
CRUMB_TUNE_KERNEL(narrow, crumb_tune_narrow_args)
