// The input of a matrix-vector product: normalised, in the table's order, in shared memory.
#pragma once

#include "table.cuh"

enum { matvec_warps = CRUMB_MATVEC_THREADS / 32, most_tokens = 8, tile_rows = 16 };

struct MatvecShared {
    float sums[matvec_warps][32][4]; // of warps that share a tile
    float squares[matvec_warps][most_tokens];
    unsigned long long best[matvec_warps][most_tokens];
};

// The x of all tokens, normalised, in the table's order, as fp16; zeros behind K. Where groups are kept apart, every
// group's excess (see raw_run) as fp32, negative, [M][units][groups].
template <int storage, bool apart>
CRUMB_INLINE void prepare_input(
    const crumb_matvec_args &a, MatvecShared &shared, uint16_t *x, uint32_t stride, float *excess) {
    uint32_t warp = threadIdx.x / 32;
    float scales[most_tokens];
    const float *input = static_cast<const float *>(a.input);
    if (a.norm) {
#pragma unroll
        for (uint32_t m = 0; m < most_tokens; m++) {
            float sum = 0;
            if (m < a.tokens) {
                for (uint32_t k = 4 * threadIdx.x; k < a.columns; k += 4 * blockDim.x) {
                    float4 v = *reinterpret_cast<const float4 *>(input + static_cast<size_t>(m) * a.columns + k);
                    sum += (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w);
                }
                sum = warp_reduce(sum, Sum());
                if (threadIdx.x % 32 == 0) shared.squares[warp][m] = sum;
            }
        }
        __syncthreads();
#pragma unroll
        for (uint32_t m = 0; m < most_tokens; m++) {
            float sum = 0;
            if (m < a.tokens) {
                for (uint32_t w = 0; w < blockDim.x / 32; w++) sum += shared.squares[w][m];
            }
            scales[m] = rsqrtf(sum / static_cast<float>(a.columns) + a.epsilon);
        }
    }
    uint32_t runs = (stride - 32) / 8;
    for (uint32_t run = threadIdx.x; run < runs; run += blockDim.x) {
        uint32_t k = 8 * run;
        uint16_t *place = x + 8 * input_place<storage>(run);
#pragma unroll
        for (uint32_t m = 0; m < most_tokens; m++) {
            if (m >= a.tokens) break;
            float v[8] = {};
            if (k < a.columns) {
                size_t index = static_cast<size_t>(m) * a.columns + k;
                float4 low = load_four(a.input, index, !a.norm), high = load_four(a.input, index + 4, !a.norm);
                v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w;
                v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
                if (a.norm) {
#pragma unroll
                    for (int i = 0; i < 8; i++) v[i] *= scales[m] * a.norm[k + i];
                }
            }
            *reinterpret_cast<uint4 *>(place + static_cast<size_t>(m) * stride) = pack_run<storage, apart>(v);
        }
    }
    __syncthreads();
    if constexpr (apart) {
        using T = Table<storage>;
        uint32_t groups = (stride - 32) / CRUMB_GROUP;
        for (uint32_t index = threadIdx.x; index < a.tokens * groups; index += blockDim.x) {
            uint32_t m = index / groups, group = index % groups;
            float sum = 0;
#pragma unroll
            for (uint32_t run = 0; run < 4; run++) {
                uint32_t place = input_place<storage>(4 * group + run);
                sum += run_excess<storage>(
                    *reinterpret_cast<const uint4 *>(x + static_cast<size_t>(m) * stride + 8 * place));
            }
            excess[index] = -sum;
        }
        __syncthreads();
    }
}
