// RMSNorm of the residual stream into the channel order of the next matrix, for prefill and batches.
//
// Grid M, 256 threads, dynamic shared memory 4 K bytes: the block reads a row once, keeps it in shared memory as fp32
// and gathers from there. Bytes: 4 K + 2 x positions per token, order and weight come from the caches.
#include "include/device.cuh"

CRUMB_KERNEL __launch_bounds__(CRUMB_NORM_THREADS) rmsnorm_gather_f16(const __grid_constant__ crumb_rmsnorm_args a) {
    extern __shared__ __align__(16) float row[];
    __shared__ float scratch[CRUMB_NORM_THREADS / 32];
    wait_for_previous();
    release_next();
    const float *input = a.input + static_cast<size_t>(blockIdx.x) * a.columns;
    float sum = 0;
    for (uint32_t k = 4 * threadIdx.x; k < a.columns; k += 4 * CRUMB_NORM_THREADS) {
        float4 x = *reinterpret_cast<const float4 *>(input + k);
        *reinterpret_cast<float4 *>(row + k) = x;
        sum += (x.x * x.x + x.y * x.y) + (x.z * x.z + x.w * x.w);
    }
    sum = block_reduce<CRUMB_NORM_THREADS / 32>(sum, scratch, Sum());
    float scale = rsqrtf(sum / static_cast<float>(a.columns) + a.epsilon);
    uint16_t *output = a.output + static_cast<size_t>(blockIdx.x) * a.positions;
    for (uint32_t i = 8 * threadIdx.x; i < a.positions; i += 8 * CRUMB_NORM_THREADS) {
        union {
            uint4 vector;
            uint16_t channels[8];
        } order;
        if (a.order) order.vector = *reinterpret_cast<const uint4 *>(a.order + i);
        float y[8];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            uint32_t channel = a.order ? order.channels[j] : i + j;
            bool padding = a.order && channel == CRUMB_PADDING_CHANNEL;
            y[j] = padding ? 0.0f : row[channel] * scale * a.weight[channel];
        }
        *reinterpret_cast<uint4 *>(output + i) =
            make_uint4(pack_half2(y[0], y[1]), pack_half2(y[2], y[3]), pack_half2(y[4], y[5]), pack_half2(y[6], y[7]));
    }
}
