// What every kernel of the step uses: ordering against the kernels before and after, reductions, wide loads.
#pragma once

#include <cuda_fp16.h>
#include <stdint.h>

#include "crumb_kernels.h"

#define CRUMB_KERNEL extern "C" __global__ void
#define CRUMB_INLINE __device__ __forceinline__

// Waits until the kernel before this one in the stream is complete and its writes can be seen. A kernel calls it before
// it touches anything that kernel wrote, and it calls `release_next` only afterwards: so whatever was written two or
// more kernels ago may be read before the wait.
CRUMB_INLINE void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Lets the next kernel of the stream start on free multiprocessors.
CRUMB_INLINE void release_next() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

template <typename Value, typename Combine> CRUMB_INLINE Value warp_reduce(Value value, Combine combine) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = combine(value, __shfl_xor_sync(~0u, value, distance));
    }
    return value;
}

struct Sum {
    template <typename Value> CRUMB_INLINE Value operator()(Value a, Value b) const { return a + b; }
};

struct Maximum {
    template <typename Value> CRUMB_INLINE Value operator()(Value a, Value b) const { return a > b ? a : b; }
};

// The same result in all threads; a fixed order. `scratch` has an element for each warp and may be used again after the
// next barrier.
template <int warps, typename Value, typename Combine>
CRUMB_INLINE Value block_reduce(Value value, Value *scratch, Combine combine) {
    value = warp_reduce(value, combine);
    __syncthreads();
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads();
    Value result = scratch[0];
#pragma unroll
    for (int warp = 1; warp < warps; warp++) result = combine(result, scratch[warp]);
    return result;
}

// 16 bytes that are read once in a launch and written by none of its blocks.
CRUMB_INLINE uint4 load_streaming(const void *address) {
    uint4 v;
#if __CUDA_ARCH__ >= 700
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address));
#else
    v = __ldcs(static_cast<const uint4 *>(address));
#endif
    return v;
}

// Brings an address into the first-level cache.
CRUMB_INLINE void touch(const void *address) {
#if __CUDA_ARCH__ >= 700
    asm volatile("prefetch.global.L1 [%0];" ::"l"(address));
#endif
}

CRUMB_INLINE uint32_t pack_half2(float low, float high) {
    half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const uint32_t &>(pair);
}

CRUMB_INLINE half2 as_half2(uint32_t bits) { return reinterpret_cast<const half2 &>(bits); }
CRUMB_INLINE uint32_t as_bits(half2 pair) { return reinterpret_cast<const uint32_t &>(pair); }

CRUMB_INLINE float half_value(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
CRUMB_INLINE uint16_t half_bits(float value) { return __half_as_ushort(__float2half_rn(value)); }

// Number `index` of an array of fp16 or fp32.
CRUMB_INLINE float load_number(const void *numbers, size_t index, bool is_half) {
    return is_half ? half_value(static_cast<const uint16_t *>(numbers)[index])
                   : static_cast<const float *>(numbers)[index];
}

// Four numbers from `index` on, a multiple of 4, of an aligned array of fp16 or fp32.
CRUMB_INLINE float4 load_four(const void *numbers, size_t index, bool is_half) {
    if (!is_half) return *reinterpret_cast<const float4 *>(static_cast<const float *>(numbers) + index);
    uint2 bits = *reinterpret_cast<const uint2 *>(static_cast<const uint16_t *>(numbers) + index);
    float2 low = __half22float2(as_half2(bits.x)), high = __half22float2(as_half2(bits.y));
    return make_float4(low.x, low.y, high.x, high.y);
}
