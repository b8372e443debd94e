// Element types of the tuning kernels: bf16, and fp32 to check gradients with.
#pragma once

#include <cuda_bf16.h>

#include "crumb_tune_kernels.h"
#include "device.cuh"

using tune_bf16 = __nv_bfloat16;

CRUMB_INLINE float number(float value) { return value; }
CRUMB_INLINE float number(tune_bf16 value) { return __bfloat162float(value); }
template <typename Element> CRUMB_INLINE Element element(float value);
template <> CRUMB_INLINE float element<float>(float value) { return value; }
template <> CRUMB_INLINE tune_bf16 element<tune_bf16>(float value) { return __float2bfloat16_rn(value); }

// Neighbours that are read and written at once; fp32 ones in pieces of 16 bytes.
template <typename Element, int count> struct alignas(count * sizeof(Element) > 16 ? 16 : count * sizeof(Element)) tune_few {
    Element numbers[count];
};

constexpr int tune_warps = CRUMB_TUNE_THREADS / 32;

// Dynamic shared memory: CRUMB_TUNE_SCRATCH_BYTES for sums over the block, then, where a kernel keeps a row, the row.
extern __shared__ __align__(16) float tune_memory[];

static_assert(CRUMB_TUNE_SCRATCH_BYTES >= 4 * tune_warps && CRUMB_TUNE_SCRATCH_BYTES % 16 == 0, "a number for each warp");

CRUMB_INLINE float *tune_row() { return tune_memory + CRUMB_TUNE_SCRATCH_BYTES / 4; }

// The same in all threads of the block.
template <typename Combine> CRUMB_INLINE float tune_reduce(float value, Combine combine) {
    return block_reduce<tune_warps>(value, tune_memory, combine);
}

// A kernel for both types: NAME_bf16 and NAME_f32, which call tune_NAME<Element>.
#define CRUMB_TUNE_KERNEL(name, arguments) \
    CRUMB_KERNEL __launch_bounds__(CRUMB_TUNE_THREADS) tune_##name##_bf16(const __grid_constant__ arguments a) { \
        tune_##name<tune_bf16>(a); \
    } \
    CRUMB_KERNEL __launch_bounds__(CRUMB_TUNE_THREADS) tune_##name##_f32(const __grid_constant__ arguments a) { \
        tune_##name<float>(a); \
    }
