// Rotation, KV append and attention of one token in each of M sequences, in one launch.
//
// Grid (splits, kv heads x ceil(query heads per kv head / 8), M), 128 threads. Block (s, h, m) attends with up to 8
// query heads of one KV head over its share of the positions, so K and V are read once. Positions go in units of 16;
// ceil(units / 4) splits at most are active, the others leave at once: a captured graph serves every length. The last
// block to arrive adds the splits' parts in their order, so results are the same bits from run to run.
//
// A warp takes every fourth unit. Lane 4 g + t reads 16 bytes at a time straight into fragments (see mma.cuh):
//   scores (16 positions x 8 heads) = K (16 x D) q^T: rows g and g + 8 of K, features 32 j + 8 t ... + 7
//   output (D x 8 heads) = V^T (D x 16) P^T: rows 2t, 2t + 1, 2t + 8, 2t + 9 of V, features 64 h + 8 g ... + 7
// The order of features within a product is the lane's own; q is read in the same order. P turns from the scores'
// layout to an operand's by an 8 x 8 transposition.
//
// attention_decode_cluster_* (sm_90 on) do the same in clusters of 8 splits, so grid.x must be a multiple of 8: blocks
// of a cluster add up their parts through each other's shared memory, which saves two passes through the second-level
// cache where one cluster is enough. On an H200: clusters with 8 splits for one token up to some 2000 positions (8 x 2
// to 8 for longer contexts with few KV heads), plain with 1 split from M x KV heads = 256 on.
//
// Bytes: 4 D x kv heads x length per sequence, once. Limit: memory. Reference: ReferenceBackend.attention.
#include "include/decode_combine.cuh"

template <int D, bool clustered>
CRUMB_INLINE void attention_decode(const crumb_attention_decode_args &a, DecodeShared<D> &shared) {
    using Shared = DecodeShared<D>;
    uint32_t group = a.heads / a.cache.kv_heads, head_blocks = (group + heads8 - 1) / heads8;
    uint32_t kv_head = blockIdx.y / head_blocks, part = blockIdx.y % head_blocks;
    uint32_t first_head = kv_head * group + part * heads8, count = min(group - part * heads8, (uint32_t)heads8);
    if (a.positions[blockIdx.z] < 0) {
        wait_for_previous();
        return;
    }
    const Share share = decode_share(a);
    if (blockIdx.x >= share.active || share.position >= static_cast<int>(a.cache.capacity)) return;

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    uint32_t slot = a.slots ? static_cast<uint32_t>(a.slots[blockIdx.z]) : blockIdx.z;
    size_t cache_first = (static_cast<size_t>(slot) * a.cache.kv_heads + kv_head) * a.cache.capacity;
    const uint16_t *key_rows = a.cache.keys + cache_first * D, *value_rows = a.cache.values + cache_first * D;

    // The cached rows were written by earlier steps: their loads need not wait for the kernel before.
    uint4 keys[2][Shared::key_steps], values[4][Shared::value_steps];
    int u = share.begin + warp;
    int limit = u < share.end ? share.position : 0;
    load_keys<D>(keys, key_rows, unit * u + g, limit);
    load_values<D>(values, value_rows, unit * u, limit);
    for (uint32_t i = threadIdx.x; i < D / 2; i += CRUMB_DECODE_THREADS) {
        rotation(share.position, a.frequencies[i], shared.turn[i], shared.turn[D / 2 + i]);
    }
    for (uint32_t i = threadIdx.x; i < heads8 * (Shared::stride - D); i += CRUMB_DECODE_THREADS) {
        shared.queries[i / (Shared::stride - D)][D + i % (Shared::stride - D)] = 0;
    }
    __syncthreads();
    wait_for_previous();
    release_next();
    bool has_new = blockIdx.x == share.active - 1;
    prepare_token<D>(a, shared, first_head, count, kv_head, has_new, part == 0, cache_first + share.position);

    uint4 queries[Shared::key_steps];
#pragma unroll
    for (int j = 0; j < Shared::key_steps; j++) {
        queries[j] = *reinterpret_cast<const uint4 *>(&shared.queries[g][32 * j + 8 * t]);
    }
    float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
    float output[Shared::value_steps][4][4] = {};
    for (; u < share.end; u += decode_warps) {
        bool newest = unit * u + unit > share.position;
        if (newest) {
            // The new token's key and value are not in the cache for other readers of this launch: take the block's
            // own.
            int offset = share.position - unit * u;
#pragma unroll
            for (int j = 0; j < Shared::key_steps; j++) {
                uint4 fresh = *reinterpret_cast<const uint4 *>(&shared.key[32 * j + 8 * t]);
                bool inside = D % 32 == 0 || 32 * j + 8 * t < D;
                if (offset == g && inside) keys[0][j] = fresh;
                if (offset == g + 8 && inside) keys[1][j] = fresh;
            }
#pragma unroll
            for (int h = 0; h < Shared::value_steps; h++) {
                uint4 fresh = *reinterpret_cast<const uint4 *>(&shared.value[64 * h + 8 * g]);
                bool inside = D % 64 == 0 || 64 * h + 8 * g < D;
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    if (offset == 2 * t + i % 2 + i / 2 * 8 && inside) values[i][h] = fresh;
                }
            }
        }
        float scores[4] = {0, 0, 0, 0};
#pragma unroll
        for (int j = 0; j < Shared::key_steps; j++) {
            const uint4 &a0 = keys[0][j], &a1 = keys[1][j];
            mma(scores, a0.x, a1.x, a0.y, a1.y, queries[j].x, queries[j].y);
            mma(scores, a0.z, a1.z, a0.w, a1.w, queries[j].z, queries[j].w);
        }
        int row = unit * u + g;
        int next_limit = u + decode_warps < share.end ? share.position : 0;
        load_keys<D>(keys, key_rows, row + unit * decode_warps, next_limit);
        if (row > share.position || row < share.first_visible) scores[0] = scores[1] = -INFINITY;
        if (row + 8 > share.position || row + 8 < share.first_visible) scores[2] = scores[3] = -INFINITY;
        float correction[2];
#pragma unroll
        for (int c = 0; c < 2; c++) {
            float highest = fmaxf(scores[c], scores[2 + c]);
            highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 4));
            highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 8));
            highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 16));
            // Every unit has a visible position, so the maximum is a number from the first unit on.
            highest = fmaxf(highest, maximum[c]);
            correction[c] = exp2f(maximum[c] - highest);
            maximum[c] = highest;
            scores[c] = exp2f(scores[c] - highest);
            scores[2 + c] = exp2f(scores[2 + c] - highest);
            sum[c] = fmaf(sum[c], correction[c], scores[c] + scores[2 + c]);
        }
        uint32_t b0 = transpose_8x8(pack_half2(scores[0], scores[1]));
        uint32_t b1 = transpose_8x8(pack_half2(scores[2], scores[3]));
#pragma unroll
        for (int h = 0; h < Shared::value_steps; h++) {
            const uint32_t v[4][4] = {
                {values[0][h].x, values[0][h].y, values[0][h].z, values[0][h].w},
                {values[1][h].x, values[1][h].y, values[1][h].z, values[1][h].w},
                {values[2][h].x, values[2][h].y, values[2][h].z, values[2][h].w},
                {values[3][h].x, values[3][h].y, values[3][h].z, values[3][h].w}};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float (&c)[4] = output[h][j];
                c[0] *= correction[0];
                c[1] *= correction[1];
                c[2] *= correction[0];
                c[3] *= correction[1];
                mma(c, __byte_perm(v[0][j], v[1][j], 0x5410), __byte_perm(v[0][j], v[1][j], 0x7632),
                    __byte_perm(v[2][j], v[3][j], 0x5410), __byte_perm(v[2][j], v[3][j], 0x7632), b0, b1);
            }
        }
        load_values<D>(values, value_rows, unit * (u + decode_warps), next_limit);
    }

#pragma unroll
    for (int c = 0; c < 2; c++) {
        sum[c] += __shfl_xor_sync(~0u, sum[c], 4);
        sum[c] += __shfl_xor_sync(~0u, sum[c], 8);
        sum[c] += __shfl_xor_sync(~0u, sum[c], 16);
        if (g == 0) {
            shared.maximum[warp][2 * t + c] = maximum[c];
            shared.sum[warp][2 * t + c] = sum[c];
        }
    }
#pragma unroll
    for (int h = 0; h < Shared::value_steps; h++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                float *target = &shared.output[warp][2 * t + c][64 * h + 8 * g + 2 * j];
                *reinterpret_cast<float2 *>(target) = make_float2(output[h][j][c], output[h][j][2 + c]);
            }
        }
    }
    __syncthreads();
    for (uint32_t index = threadIdx.x; index < count * D; index += CRUMB_DECODE_THREADS) {
        uint32_t head = index / D, i = index % D;
        Merged merged = merge_warps<D>(shared, head, i);
        if (share.active == 1) {
            write_output<D>(a, first_head + head, i, merged.number / merged.sum);
        } else if (clustered) {
            // This thread alone has read the warps' numbers of this place.
            shared.output[0][head][i] = merged.number;
            if (i == 0) {
                shared.block_maximum[head] = merged.maximum;
                shared.block_sum[head] = merged.sum;
            }
        } else {
            store_part<D>(a, blockIdx.x, index, merged);
        }
    }
    if (share.active == 1) return;
    uint32_t parts = share.active;
#if __CUDA_ARCH__ >= 900
    if (clustered) {
        combine_cluster<D>(a, shared, share.active, first_head, count);
        parts = (share.active + decode_cluster - 1) / decode_cluster;
        if (parts == 1) return;
    }
#endif
    __threadfence();
    __syncthreads();
    uint32_t *arrivals = a.arrivals + static_cast<size_t>(blockIdx.z) * gridDim.y + blockIdx.y;
    if (threadIdx.x == 0) shared.is_last = atomicAdd(arrivals, 1) == share.active - 1;
    __syncthreads();
    if (!shared.is_last) return;
    __threadfence();
    combine_splits<D>(a, shared, parts, first_head, count);
    if (threadIdx.x == 0) *arrivals = 0;
}

// 168 registers, three blocks a multiprocessor: 96 KB of loads under way (H200; 35 KB cover the latency). Not tuned for
// later cards, for which the compiler needs a few registers more.
#if __CUDA_ARCH__ >= 1000
enum { decode_blocks = 2 };
#else
enum { decode_blocks = 3 };
#endif

#define CRUMB_ATTENTION_DECODE(D) \
    CRUMB_KERNEL __launch_bounds__(CRUMB_DECODE_THREADS, decode_blocks) \
        attention_decode_f16_d##D(const __grid_constant__ crumb_attention_decode_args a) { \
        __shared__ __align__(16) DecodeShared<D> shared; \
        attention_decode<D, false>(a, shared); \
    }

#define CRUMB_ATTENTION_DECODE_CLUSTER(D) \
    CRUMB_KERNEL __cluster_dims__(CRUMB_DECODE_CLUSTER, 1, 1) __launch_bounds__(CRUMB_DECODE_THREADS, decode_blocks) \
        attention_decode_cluster_f16_d##D(const __grid_constant__ crumb_attention_decode_args a) { \
        __shared__ __align__(16) DecodeShared<D> shared; \
        attention_decode<D, true>(a, shared); \
    }

CRUMB_ATTENTION_DECODE(32)
CRUMB_ATTENTION_DECODE(64)
CRUMB_ATTENTION_DECODE(80)
CRUMB_ATTENTION_DECODE(96)
CRUMB_ATTENTION_DECODE(128)

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
CRUMB_ATTENTION_DECODE_CLUSTER(32)
CRUMB_ATTENTION_DECODE_CLUSTER(64)
CRUMB_ATTENTION_DECODE_CLUSTER(80)
CRUMB_ATTENTION_DECODE_CLUSTER(96)
CRUMB_ATTENTION_DECODE_CLUSTER(128)
#endif
