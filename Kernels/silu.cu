// silu(gate) x up into the channel order of down, and the sum into the residual stream, for prefill.
#include "include/device.cuh"

// Grid M, 256 threads, dynamic shared memory 2 x features bytes: products are made in the source's order, where reads
// are contiguous, and gathered from shared memory. Bytes per token: 4 or 8 x features + 2 x positions.
CRUMB_KERNEL __launch_bounds__(CRUMB_SILU_THREADS)
    silu_multiply_f16(const __grid_constant__ crumb_silu_multiply_args a) {
    extern __shared__ __align__(16) uint16_t products[];
    wait_for_previous();
    release_next();
    size_t first = static_cast<size_t>(blockIdx.x) * 2 * a.features;
    for (uint32_t n = 4 * threadIdx.x; n < a.features; n += 4 * CRUMB_SILU_THREADS) {
        float4 gate = load_four(a.gate_up, first + n, a.half_input);
        float4 up = load_four(a.gate_up, first + a.features + n, a.half_input);
        float x[4] = {gate.x, gate.y, gate.z, gate.w}, y[4] = {up.x, up.y, up.z, up.w};
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (a.bias) {
                x[j] += a.bias[n + j];
                y[j] += a.bias[a.features + n + j];
            }
            y[j] *= __fdividef(x[j], 1.0f + __expf(-fmaxf(x[j], -80.0f)));
        }
        *reinterpret_cast<uint2 *>(products + n) = make_uint2(pack_half2(y[0], y[1]), pack_half2(y[2], y[3]));
    }
    __syncthreads();
    uint16_t *output = a.output + static_cast<size_t>(blockIdx.x) * a.positions;
    for (uint32_t i = 8 * threadIdx.x; i < a.positions; i += 8 * CRUMB_SILU_THREADS) {
        union {
            uint4 vector;
            uint16_t numbers[8];
        } out;
        if (a.order) {
            out.vector = *reinterpret_cast<const uint4 *>(a.order + i);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                out.numbers[j] = out.numbers[j] == CRUMB_PADDING_CHANNEL ? 0 : products[out.numbers[j]];
            }
        } else {
            out.vector = *reinterpret_cast<const uint4 *>(products + i);
        }
        *reinterpret_cast<uint4 *>(output + i) = out.vector;
    }
}

// Grid ceil(M x N / 1024), 256 threads, four numbers each.
CRUMB_KERNEL __launch_bounds__(CRUMB_SILU_THREADS) residual_add(const __grid_constant__ crumb_residual_add_args a) {
    wait_for_previous();
    release_next();
    size_t index = (static_cast<size_t>(blockIdx.x) * CRUMB_SILU_THREADS + threadIdx.x) * 4;
    if (index >= static_cast<size_t>(a.tokens) * a.columns) return;
    float4 *stream = reinterpret_cast<float4 *>(a.stream + index);
    float4 sum = *stream, y = load_four(a.input, index, a.half_input);
    if (a.bias) {
        float4 bias = load_four(a.bias, index % a.columns, false);
        y = make_float4(y.x + bias.x, y.y + bias.y, y.z + bias.z, y.w + bias.w);
    }
    *stream = make_float4(sum.x + y.x, sum.y + y.y, sum.z + y.z, sum.w + y.w);
}
