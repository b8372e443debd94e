// Bias, rotation and KV append of M tokens, for prefill.
//
// Grid M, 256 threads, dynamic shared memory 4 D bytes: the token's cosines and sines. A thread turns pairs (i, i + D /
// 2). Bytes per token: (heads + 2 x kv heads) x D in, as many out in fp16.
#include "include/rotary.cuh"

CRUMB_KERNEL __launch_bounds__(CRUMB_ROPE_THREADS) rope_append_f16(const __grid_constant__ crumb_rope_append_args a) {
    extern __shared__ float turn[];
    uint32_t pairs = a.head_dim / 2, heads = a.heads + 2 * a.cache.kv_heads, token = blockIdx.x;
    int position = a.positions[token];
    for (uint32_t i = threadIdx.x; i < pairs; i += CRUMB_ROPE_THREADS) {
        rotation(position, a.frequencies[i], turn[i], turn[pairs + i]);
    }
    wait_for_previous();
    release_next();
    if (position < 0 || position >= static_cast<int>(a.cache.capacity)) return;
    __syncthreads();
    uint32_t slot = a.slots ? static_cast<uint32_t>(a.slots[token]) : a.slot;
    float query_scale = rsqrtf(static_cast<float>(a.head_dim)) * 1.4426950408889634f;
    size_t first = static_cast<size_t>(token) * heads * a.head_dim;
    for (uint32_t index = threadIdx.x; index < heads * pairs; index += CRUMB_ROPE_THREADS) {
        uint32_t head = index / pairs, i = index % pairs, feature = head * a.head_dim + i;
        float x = load_number(a.qkv, first + feature, a.half_input);
        float y = load_number(a.qkv, first + feature + pairs, a.half_input);
        if (a.bias) {
            x += a.bias[feature];
            y += a.bias[feature + pairs];
        }
        bool is_value = head >= a.heads + a.cache.kv_heads;
        float c = turn[i], s = turn[pairs + i];
        float u = is_value ? x : x * c - y * s, v = is_value ? y : y * c + x * s;
        uint16_t *target;
        if (head < a.heads) {
            u *= query_scale;
            v *= query_scale;
            target = a.queries + static_cast<size_t>(token) * a.heads * a.head_dim + feature;
        } else {
            uint32_t kv_head = head - a.heads - (is_value ? a.cache.kv_heads : 0);
            size_t row = (static_cast<size_t>(slot) * a.cache.kv_heads + kv_head) * a.cache.capacity + position;
            target = (is_value ? a.cache.values : a.cache.keys) + row * a.head_dim + i;
        }
        target[0] = half_bits(u);
        target[pairs] = half_bits(v);
    }
}
