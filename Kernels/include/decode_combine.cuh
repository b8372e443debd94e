// Sums of the parts of an attention: of a block's warps, of a cluster's blocks, of all splits. All in a fixed order.
#pragma once

#include "decode_inputs.cuh"

template <int D>
CRUMB_INLINE void write_output(const crumb_attention_decode_args &a, uint32_t head, uint32_t i, float number) {
    uint32_t feature = head * D + i;
    uint32_t place = a.places ? a.places[feature] : feature;
    a.output[crumb_input_index(place, a.first_row + blockIdx.z, a.output_stride, a.output_width)] = half_bits(number);
}

// Where split s of this block's heads has its part: heads8 x D numbers, heads8 maxima, heads8 sums.
template <int D> CRUMB_INLINE float *partial(const crumb_attention_decode_args &a, uint32_t split) {
    size_t block = static_cast<size_t>(blockIdx.z) * gridDim.y + blockIdx.y;
    // A multiple of 16 bytes, as is heads8 x (D + 2) floats.
    return a.partials + (block * gridDim.x + split) * (heads8 * (D + 2));
}

// The splits' parts added up: a warp takes every fourth split, all its loads of a split at once; then the warps' sums.
template <int D>
CRUMB_INLINE void combine_splits(
    const crumb_attention_decode_args &a, DecodeShared<D> &shared, uint32_t active, uint32_t first_head,
    uint32_t count) {
    constexpr int quads = heads8 * D / 4 / 32; // of four numbers, for each lane
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    // Lane 4 h + n looks at head h's maxima of every fourth split.
    uint32_t head = lane / 4;
    float highest = -INFINITY;
    for (uint32_t s = lane % 4; s < active; s += 4) {
        if (head < count) highest = fmaxf(highest, __ldcg(partial<D>(a, s) + heads8 * D + head));
    }
    highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 2));
    float4 numbers[quads];
    float total = 0;
#pragma unroll
    for (int q = 0; q < quads; q++) numbers[q] = make_float4(0, 0, 0, 0);
#pragma unroll 2
    for (uint32_t s = warp; s < active; s += decode_warps) {
        const float *part = partial<D>(a, s);
        float weight = head < count ? exp2f(__ldcg(part + heads8 * D + head) - highest) : 0.0f;
        float sum = head < count ? __ldcg(part + heads8 * D + heads8 + head) : 0.0f;
        total = fmaf(weight, sum, total);
#pragma unroll
        for (int q = 0; q < quads; q++) {
            uint32_t item = q * 32 + lane, item_head = item / (D / 4);
            float item_weight = __shfl_sync(~0u, weight, 4 * item_head);
            if (item_head >= count) continue;
            float4 v = __ldcg(reinterpret_cast<const float4 *>(part) + item);
            numbers[q].x = fmaf(item_weight, v.x, numbers[q].x);
            numbers[q].y = fmaf(item_weight, v.y, numbers[q].y);
            numbers[q].z = fmaf(item_weight, v.z, numbers[q].z);
            numbers[q].w = fmaf(item_weight, v.w, numbers[q].w);
        }
    }
#pragma unroll
    for (int q = 0; q < quads; q++) {
        uint32_t item = q * 32 + lane, item_head = item / (D / 4);
        *reinterpret_cast<float4 *>(&shared.output[warp][item_head][item % (D / 4) * 4]) = numbers[q];
    }
    if (lane % 4 == 0) shared.sum[warp][head] = total;
    __syncthreads();
    for (uint32_t index = threadIdx.x; index < count * D; index += CRUMB_DECODE_THREADS) {
        uint32_t h = index / D, i = index % D;
        float number = 0, all = 0;
#pragma unroll
        for (int w = 0; w < decode_warps; w++) {
            number += shared.output[w][h][i];
            all += shared.sum[w][h];
        }
        write_output<D>(a, first_head + h, i, number / all);
    }
}

// Number `index` of the warps' sum, relative to the returned maximum.
struct Merged {
    float number, maximum, sum;
};

template <int D> CRUMB_INLINE Merged merge_warps(const DecodeShared<D> &shared, uint32_t head, uint32_t i) {
    Merged merged = {0, shared.maximum[0][head], 0};
#pragma unroll
    for (int w = 1; w < decode_warps; w++) merged.maximum = fmaxf(merged.maximum, shared.maximum[w][head]);
#pragma unroll
    for (int w = 0; w < decode_warps; w++) {
        float weight = exp2f(shared.maximum[w][head] - merged.maximum);
        merged.sum = fmaf(weight, shared.sum[w][head], merged.sum);
        merged.number = fmaf(weight, shared.output[w][head][i], merged.number);
    }
    return merged;
}

template <int D>
CRUMB_INLINE void store_part(
    const crumb_attention_decode_args &a, uint32_t split, uint32_t index, const Merged &merged) {
    float *target = partial<D>(a, split);
    target[index] = merged.number;
    if (index % D == 0) {
        target[heads8 * D + index / D] = merged.maximum;
        target[heads8 * D + heads8 + index / D] = merged.sum;
    }
}

#if __CUDA_ARCH__ >= 900
CRUMB_INLINE void cluster_barrier() {
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// A number in the shared memory of another block of the cluster, at the place it has in this block's.
CRUMB_INLINE float load_of_block(const float *place, uint32_t rank) {
    uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(place)), remote;
    float number;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(number) : "r"(remote) : "memory");
    return number;
}

// The blocks' parts (in place of warp 0's and in block_*) added up, each block a share of the numbers: to the output,
// or to the workspace where there are several clusters. Blocks without positions have left, so they are not counted.
template <int D>
CRUMB_INLINE void combine_cluster(
    const crumb_attention_decode_args &a, DecodeShared<D> &shared, uint32_t active, uint32_t first_head,
    uint32_t count) {
    uint32_t cluster = blockIdx.x / decode_cluster, rank = blockIdx.x % decode_cluster;
    uint32_t members = min(active - cluster * decode_cluster, (uint32_t)decode_cluster);
    cluster_barrier();
    for (uint32_t index = rank * CRUMB_DECODE_THREADS + threadIdx.x; index < count * D;
         index += members * CRUMB_DECODE_THREADS) {
        uint32_t head = index / D;
        float maxima[decode_cluster], sums[decode_cluster], numbers[decode_cluster];
#pragma unroll
        for (uint32_t r = 0; r < decode_cluster; r++) {
            maxima[r] = -INFINITY;
            sums[r] = numbers[r] = 0;
            if (r >= members) continue;
            maxima[r] = load_of_block(&shared.block_maximum[head], r);
            sums[r] = load_of_block(&shared.block_sum[head], r);
            numbers[r] = load_of_block(&shared.output[0][head][index % D], r);
        }
        Merged merged = {0, maxima[0], 0};
#pragma unroll
        for (uint32_t r = 1; r < decode_cluster; r++) merged.maximum = fmaxf(merged.maximum, maxima[r]);
#pragma unroll
        for (uint32_t r = 0; r < decode_cluster; r++) {
            float weight = exp2f(maxima[r] - merged.maximum);
            merged.sum = fmaf(weight, sums[r], merged.sum);
            merged.number = fmaf(weight, numbers[r], merged.number);
        }
        if (active <= decode_cluster) {
            write_output<D>(a, first_head + head, index % D, merged.number / merged.sum);
        } else {
            store_part<D>(a, cluster, index, merged);
        }
    }
    // Nobody leaves while others read its shared memory.
    cluster_barrier();
}
#endif
