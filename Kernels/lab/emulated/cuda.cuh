// The kernels on a CPU, for their indices and protocols: one fiber a CUDA thread, warp-wide operations as meetings of
// 32 fibers, copies done at once. Blocks run one after the other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <ucontext.h>
#include <vector>

#include <cuda_fp16.h>
#include <vector_types.h>

#define __grid_constant__
#undef __device__
#undef __global__
#undef __forceinline__
#undef __shared__
#undef __launch_bounds__
#undef __align__
#define __align__(bytes)
#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__
#define __launch_bounds__(...)

struct emulated_index {
    uint32_t x;
};
inline emulated_index threadIdx, blockIdx, blockDim, gridDim;
extern uint8_t packed_memory[232448];

struct emulated_warp {
    uint64_t values[2][32];
    uint32_t arrived = 0, generation = 0;
};
struct emulated_block {
    std::vector<ucontext_t> fibers;
    std::vector<bool> finished;
    std::vector<emulated_warp> warps;
    ucontext_t scheduler;
    uint32_t current, arrived = 0, generation = 0;
    uint64_t stalls = 0; // yields since anything met
    uint32_t named_arrived = 0, named_generation = 0;
};
inline emulated_block *emulated;

inline void emulated_yield() {
    if (++emulated->stalls > 50000000) std::printf("the block hangs\n"), std::exit(1);
    uint32_t me = emulated->current;
    swapcontext(&emulated->fibers[me], &emulated->scheduler);
}
// All lanes' values.
template <class Value> inline void emulated_meet(Value value, Value (&all)[32]) {
    emulated_warp &warp = emulated->warps[threadIdx.x / 32];
    uint32_t generation = warp.generation;
    std::memcpy(&warp.values[generation % 2][threadIdx.x % 32], &value, sizeof value);
    if (++warp.arrived == 32) {
        warp.arrived = 0, warp.generation++, emulated->stalls = 0;
    } else {
        while (warp.generation == generation) emulated_yield();
    }
    for (int i = 0; i < 32; i++) std::memcpy(&all[i], &warp.values[generation % 2][i], sizeof value);
}
inline void __syncwarp(unsigned = ~0u) {
    uint32_t all[32];
    emulated_meet(0u, all);
}
inline void __syncthreads() {
    uint32_t generation = emulated->generation;
    if (++emulated->arrived == blockDim.x) {
        emulated->arrived = 0, emulated->generation++, emulated->stalls = 0;
    } else {
        while (emulated->generation == generation) emulated_yield();
    }
}
inline void emulated_launch(uint32_t grid, uint32_t threads, const std::function<void()> &kernel) {
    static const std::function<void()> *body;
    static std::vector<std::vector<uint8_t>> stacks;
    body = &kernel;
    while (stacks.size() < threads) stacks.emplace_back(128 * 1024);
    for (uint32_t block = grid; block-- > 0;) {
        emulated_block state;
        emulated = &state;
        gridDim.x = grid, blockDim.x = threads, blockIdx.x = block;
        state.fibers.resize(threads), state.finished.assign(threads, false), state.warps.resize(threads / 32);
        std::memset(packed_memory, 0xA5, sizeof packed_memory);
        for (uint32_t i = 0; i < threads; i++) {
            getcontext(&state.fibers[i]);
            state.fibers[i].uc_stack.ss_sp = stacks[i].data();
            state.fibers[i].uc_stack.ss_size = stacks[i].size();
            state.fibers[i].uc_link = nullptr;
            makecontext(
                &state.fibers[i],
                +[] {
                    (*body)();
                    emulated->finished[emulated->current] = true;
                    swapcontext(&emulated->fibers[emulated->current], &emulated->scheduler);
                },
                0);
        }
        for (uint32_t left = threads; left > 0;) {
            for (uint32_t i = 0; i < threads; i++) {
                if (state.finished[i]) continue;
                state.current = threadIdx.x = i;
                swapcontext(&state.scheduler, &state.fibers[i]);
                if (state.finished[i]) left--;
            }
        }
    }
}

inline uint32_t __ballot_sync(unsigned, bool value) {
    uint32_t all[32], out = 0;
    emulated_meet((uint32_t)value, all);
    for (int i = 0; i < 32; i++) out |= all[i] << i;
    return out;
}
template <class Value> inline Value __shfl_xor_sync(unsigned, Value value, int mask) {
    Value all[32];
    emulated_meet(value, all);
    return all[(threadIdx.x % 32) ^ mask];
}
template <class Value> inline Value __shfl_sync(unsigned, Value value, int lane) {
    Value all[32];
    emulated_meet(value, all);
    return all[lane % 32];
}
template <class Value> inline Value __shfl_up_sync(unsigned, Value value, int by) {
    Value all[32];
    emulated_meet(value, all);
    int lane = threadIdx.x % 32;
    return all[lane >= by ? lane - by : lane];
}
template <class Value> inline Value __ldcg(const Value *from) { return *from; }
template <class Value> inline Value __ldcs(const Value *from) { return *from; }
template <class Value> inline Value __ldg(const Value *from) { return *from; }
template <class Value> inline void __stcg(Value *to, Value value) { *to = value; }
inline int __clz(uint32_t value) { return value ? __builtin_clz(value) : 32; }
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
    uint64_t both = (uint64_t)b << 32 | a;
    uint32_t out = 0;
    for (int i = 0; i < 4; i++) out |= (uint32_t)(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return out;
}
template <class To, class From> inline To emulated_bits(From from) {
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline float __uint_as_float(uint32_t value) { return emulated_bits<float>(value); }
inline uint32_t __float_as_uint(float value) { return emulated_bits<uint32_t>(value); }
inline float __expf(float value) { return std::exp(value); }
inline float rsqrtf(float value) { return 1 / std::sqrt(value); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline uint32_t min(uint32_t a, uint32_t b) { return a < b ? a : b; }
inline uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }

inline uint32_t shared_address(const void *pointer) {
    return static_cast<uint32_t>(static_cast<const uint8_t *>(pointer) - packed_memory);
}
inline half2 __hfma2(half2 a, half2 b, half2 c) {
    auto one = [](half x, half y, half z) {
        return __double2half(static_cast<double>(__half2float(x)) * __half2float(y) + __half2float(z));
    };
    return half2(one(a.x, b.x, c.x), one(a.y, b.y, c.y));
}
