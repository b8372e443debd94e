// What attention needs for tuning beside its products, which are cuBLAS's: heads out of rows and back, with the rotation,
// and the causal softmax.
//
// tune_rope, tune_heads: a block a token. Softmax: a warp a row, 8 rows a block.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

// Feature i of a head turns together with feature i + D / 2; backward it turns the other way.
template <typename Element> CRUMB_INLINE void tune_rope(const crumb_tune_rope_args &a) {
    const uint32_t token = blockIdx.x, text = token / a.length, position = token % a.length;
    const uint32_t all = a.heads + 2 * a.kv_heads, half = a.head_dim / 2;
    for (uint32_t index = threadIdx.x; index < all * half; index += CRUMB_TUNE_THREADS) {
        const uint32_t slice = index / half, i = index % half;
        const bool is_query = slice < a.heads, is_value = slice >= a.heads + a.kv_heads;
        const uint32_t heads = is_query ? a.heads : a.kv_heads, head = is_query ? slice : (slice - a.heads) % a.kv_heads;
        Element *row = static_cast<Element *>(a.rows) + (static_cast<size_t>(token) * all + slice) * a.head_dim;
        Element *own = static_cast<Element *>(is_query ? a.queries : is_value ? a.values : a.keys)
            + ((static_cast<size_t>(text) * heads + head) * a.length + position) * a.head_dim;
        const Element *from = a.backward ? own : row;
        float x = number(from[i]), y = number(from[i + half]);
        if (a.bias && !a.backward) {
            x += a.bias[slice * a.head_dim + i];
            y += a.bias[slice * a.head_dim + i + half];
        }
        float sine = 0, cosine = 1;
        if (!is_value) sincosf(static_cast<float>(position) * a.frequencies[i], &sine, &cosine);
        if (a.backward) sine = -sine;
        Element *to = a.backward ? row : own;
        to[i] = element<Element>(x * cosine - y * sine);
        to[i + half] = element<Element>(y * cosine + x * sine);
    }
}

template <typename Element> CRUMB_INLINE void tune_heads(const crumb_tune_heads_args &a) {
    const uint32_t token = blockIdx.x, text = token / a.length, position = token % a.length;
    const uint32_t columns = a.heads * a.head_dim;
    const Element *input = static_cast<const Element *>(a.input);
    Element *output = static_cast<Element *>(a.output);
    for (uint32_t k = threadIdx.x; k < columns; k += CRUMB_TUNE_THREADS) {
        const size_t row = static_cast<size_t>(token) * columns + k;
        const size_t own =
            ((static_cast<size_t>(text) * a.heads + k / a.head_dim) * a.length + position) * a.head_dim + k % a.head_dim;
        output[a.to_heads ? own : row] = input[a.to_heads ? row : own];
    }
}

// Grid ceil(rows / 8), rows = texts x heads x L, a multiple of 8 as L is.
template <typename Element> CRUMB_INLINE void tune_softmax(const crumb_tune_softmax_args &a) {
    const size_t row = static_cast<size_t>(blockIdx.x) * tune_warps + threadIdx.x / 32;
    const uint32_t lane = threadIdx.x % 32, last = static_cast<uint32_t>(row % a.length);
    const float *scores = a.scores + row * a.length;
    Element *output = static_cast<Element *>(a.probabilities) + row * a.length;
    float most = -INFINITY;
    for (uint32_t i = lane; i <= last; i += 32) most = fmaxf(most, scores[i]);
    most = warp_reduce(most, Maximum());
    float sum = 0;
    for (uint32_t i = lane; i <= last; i += 32) sum += expf(a.scale * (scores[i] - most));
    sum = warp_reduce(sum, Sum());
    for (uint32_t i = lane; i < a.length; i += 32) {
        output[i] = element<Element>(i <= last ? expf(a.scale * (scores[i] - most)) / sum : 0);
    }
}

// d score = scale x p (dp - sum of p dp).
template <typename Element> CRUMB_INLINE void tune_softmax_backward(const crumb_tune_softmax_backward_args &a) {
    const size_t row = static_cast<size_t>(blockIdx.x) * tune_warps + threadIdx.x / 32;
    const uint32_t lane = threadIdx.x % 32, last = static_cast<uint32_t>(row % a.length);
    const float *gradient = a.gradient + row * a.length;
    const Element *probabilities = static_cast<const Element *>(a.probabilities) + row * a.length;
    Element *output = static_cast<Element *>(a.output) + row * a.length;
    float dot = 0;
    for (uint32_t i = lane; i <= last; i += 32) dot += number(probabilities[i]) * gradient[i];
    dot = warp_reduce(dot, Sum());
    for (uint32_t i = lane; i < a.length; i += 32) {
        output[i] = element<Element>(i <= last ? a.scale * number(probabilities[i]) * (gradient[i] - dot) : 0);
    }
}

CRUMB_TUNE_KERNEL(rope, crumb_tune_rope_args)
CRUMB_TUNE_KERNEL(heads, crumb_tune_heads_args)
CRUMB_TUNE_KERNEL(softmax, crumb_tune_softmax_args)
CRUMB_TUNE_KERNEL(softmax_backward, crumb_tune_softmax_backward_args)
