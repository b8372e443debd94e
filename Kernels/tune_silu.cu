// silu(gate) x up for tuning, forward and backward: a block a token, 8 features a thread where they can be read at once.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

template <typename Element, int width>
CRUMB_INLINE void tune_silu_row(Element *gates, Element *output, uint32_t features, bool is_backward) {
    using few = tune_few<Element, width>;
    for (uint32_t i = width * threadIdx.x; i < features; i += width * CRUMB_TUNE_THREADS) {
        few &gate = *reinterpret_cast<few *>(gates + i), &up = *reinterpret_cast<few *>(gates + features + i);
        few &out = *reinterpret_cast<few *>(output + i);
        few g = gate, u = up, y = out;
#pragma unroll
        for (int n = 0; n < width; n++) {
            const float x = number(g.numbers[n]), factor = number(u.numbers[n]), share = 1 / (1 + expf(-x)), silu = x * share;
            if (is_backward) {
                const float gradient = number(y.numbers[n]);
                g.numbers[n] = element<Element>(gradient * factor * (share + silu * (1 - share)));
                u.numbers[n] = element<Element>(gradient * silu);
            } else {
                y.numbers[n] = element<Element>(silu * factor);
            }
        }
        if (is_backward) {
            gate = g;
            up = u;
        } else {
            out = y;
        }
    }
}

template <typename Element> CRUMB_INLINE void tune_silu(const crumb_tune_silu_args &a) {
    Element *gates = static_cast<Element *>(a.gate_up) + static_cast<size_t>(blockIdx.x) * 2 * a.features;
    Element *output = static_cast<Element *>(a.output) + static_cast<size_t>(blockIdx.x) * a.features;
    if (a.features % 8 == 0) {
        tune_silu_row<Element, 8>(gates, output, a.features, a.backward);
    } else {
        tune_silu_row<Element, 1>(gates, output, a.features, a.backward);
    }
}

CRUMB_TUNE_KERNEL(silu, crumb_tune_silu_args)
