// What a block of attention_decode works on: its share of the positions, the token's own q, k and v, and the loads of K
// and V straight into fragments.
#pragma once

#include "mma.cuh"
#include "rotary.cuh"

enum {
    heads8 = CRUMB_DECODE_HEADS,
    decode_warps = CRUMB_DECODE_THREADS / 32,
    unit = 16,
    decode_cluster = CRUMB_DECODE_CLUSTER
};

template <int D> struct DecodeShared {
    enum { key_steps = (D + 31) / 32, value_steps = (D + 63) / 64, padded = 64 * value_steps, stride = padded + 8 };
    float turn[D];
    uint16_t queries[heads8][stride];
    uint16_t key[stride], value[stride];
    float maximum[decode_warps][heads8], sum[decode_warps][heads8];
    float output[decode_warps][heads8][padded + 4];
    float block_maximum[heads8], block_sum[heads8];
    bool is_last;
};

// Which positions a block attends over, and which of the splits it is.
struct Share {
    int position, first_visible;
    int begin, end; // units
    uint32_t active;
};

CRUMB_INLINE Share decode_share(const crumb_attention_decode_args &a) {
    Share share;
    share.position = a.positions[blockIdx.z];
    int window = static_cast<int>(a.window);
    share.first_visible = window > 0 && window <= share.position ? share.position - window + 1 : 0;
    int first = share.first_visible / unit, units = share.position / unit - first + 1;
    share.active = min(gridDim.x, static_cast<uint32_t>(units + decode_warps - 1) / decode_warps);
    share.begin = first + static_cast<int>(static_cast<int64_t>(blockIdx.x) * units / share.active);
    share.end = first + static_cast<int>(static_cast<int64_t>(blockIdx.x + 1) * units / share.active);
    return share;
}

// Rotated queries and the new key and value to shared memory; the key and value to the cache where `append` says so.
template <int D>
CRUMB_INLINE void prepare_token(
    const crumb_attention_decode_args &a, DecodeShared<D> &shared, uint32_t first_head, uint32_t count,
    uint32_t kv_head, bool has_new, bool append, size_t cache_row) {
    const float query_scale = rsqrtf(static_cast<float>(D)) * 1.4426950408889634f;
    size_t token_first = static_cast<size_t>(blockIdx.z) * (a.heads + 2 * a.cache.kv_heads) * D;
    constexpr int rounds = ((heads8 + 2) * (D / 2) + CRUMB_DECODE_THREADS - 1) / CRUMB_DECODE_THREADS;
    float x[rounds], y[rounds];
    // All loads first: their latency is paid once.
#pragma unroll
    for (int n = 0; n < rounds; n++) {
        uint32_t index = n * CRUMB_DECODE_THREADS + threadIdx.x, row = index / (D / 2), i = index % (D / 2);
        uint32_t head = row < heads8 ? first_head + row : a.heads + (row - heads8) * a.cache.kv_heads + kv_head;
        uint32_t feature = head * D + i;
        x[n] = y[n] = 0;
        if (row < count || (row >= heads8 && row < heads8 + 2 && has_new)) {
            x[n] = load_number(a.qkv, token_first + feature, a.half_input);
            y[n] = load_number(a.qkv, token_first + feature + D / 2, a.half_input);
            if (a.bias) {
                x[n] += a.bias[feature];
                y[n] += a.bias[feature + D / 2];
            }
        }
    }
#pragma unroll
    for (int n = 0; n < rounds; n++) {
        uint32_t index = n * CRUMB_DECODE_THREADS + threadIdx.x, row = index / (D / 2), i = index % (D / 2);
        if (row >= heads8 + 2) break;
        float c = shared.turn[i], s = shared.turn[D / 2 + i];
        float u = row == heads8 + 1 ? x[n] : x[n] * c - y[n] * s, v = row == heads8 + 1 ? y[n] : y[n] * c + x[n] * s;
        float scale = row < heads8 ? query_scale : 1.0f;
        uint16_t *target = row < heads8 ? shared.queries[row] : row == heads8 ? shared.key : shared.value;
        uint16_t low = half_bits(u * scale), high = half_bits(v * scale);
        target[i] = low;
        target[i + D / 2] = high;
        if (row >= heads8 && has_new && append) {
            uint16_t *cached = (row == heads8 ? a.cache.keys : a.cache.values) + cache_row * D;
            cached[i] = low;
            cached[i + D / 2] = high;
        }
    }
    __syncthreads();
}

template <int D>
CRUMB_INLINE void load_keys(uint4 (&keys)[2][DecodeShared<D>::key_steps], const uint16_t *cache, int row, int limit) {
    int t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 2; i++, row += 8) {
#pragma unroll
        for (int j = 0; j < DecodeShared<D>::key_steps; j++) {
            bool inside = (D % 32 == 0 || 32 * j + 8 * t < D) && row < limit;
            keys[i][j] =
                inside ? load_streaming(cache + static_cast<size_t>(row) * D + 32 * j + 8 * t) : make_uint4(0, 0, 0, 0);
        }
    }
}

template <int D>
CRUMB_INLINE void load_values(
    uint4 (&values)[4][DecodeShared<D>::value_steps], const uint16_t *cache, int first, int limit) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int row = first + 2 * t + i % 2 + i / 2 * 8;
#pragma unroll
        for (int h = 0; h < DecodeShared<D>::value_steps; h++) {
            bool inside = (D % 64 == 0 || 64 * h + 8 * g < D) && row < limit;
            values[i][h] =
                inside ? load_streaming(cache + static_cast<size_t>(row) * D + 64 * h + 8 * g) : make_uint4(0, 0, 0, 0);
        }
    }
}
