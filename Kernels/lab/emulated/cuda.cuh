// The kernels on a CPU, for their indices and protocols: one fiber a CUDA thread, warp-wide operations as meetings of
// 32 fibers. Blocks run one after the other, unless one waits for others. What the hardware leaves open alternates from launch to launch: the order
// of blocks; whether warps keep step or each runs as far as it can, the first or the last before the others; whether
// asynchronous copies are done at once or when they are waited for.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>

#include <cuda_fp16.h>
#include <vector_functions.h>
#include <vector_types.h>

#define CRUMB_EMULATED
#define __grid_constant__
#undef __device__
#undef __global__
#undef __forceinline__
#undef __shared__
#undef __launch_bounds__
#undef __align__
#define __align__(bytes)
#undef __host__
#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__
#define __launch_bounds__(...)

// Pointers and constants as kernels see them.
#define __CUDACC__
#include "crumb_kernels.h"
#undef __CUDACC__

struct emulated_index {
    uint32_t x;
};
inline emulated_index threadIdx, blockIdx, blockDim, gridDim;
extern uint8_t packed_memory[232448];

struct emulated_warp {
    alignas(16) uint8_t values[2][32][32];
    uint32_t arrived = 0, generation = 0;
};
// An asynchronous copy under way, and the number of its group among its thread's.
struct emulated_copy {
    uint32_t target, group;
    const void *source;
    bool valid;
};
// Contexts are entered once and then left and resumed by jumps: swapcontext asks the kernel each time.
struct emulated_fiber {
    ucontext_t start;
    jmp_buf resume;
    bool started = false, finished = false;
    std::vector<emulated_copy> copies;
    uint32_t groups = 0;
};
struct emulated_block {
    std::vector<emulated_fiber> fibers;
    std::vector<emulated_warp> warps;
    jmp_buf scheduler;
    uint32_t current, arrived = 0, generation = 0;
    uint64_t stalls = 0; // yields since anything met
    bool moved = false;  // whether anything met since the scheduler looked
    uint32_t named_arrived[16] = {}, named_generation[16] = {};
};
inline emulated_block *emulated;
inline uint32_t emulated_launches = 0, emulated_shared_bytes = 0;
inline bool emulated_late() { return emulated_launches & 2; }

inline void emulated_fail(const char *what) { std::printf("%s\n", what), std::exit(1); }
inline void emulated_moved() { emulated->stalls = 0, emulated->moved = true; }
inline void emulated_yield() {
    if (++emulated->stalls > 50000000) emulated_fail("the block hangs");
    if (_setjmp(emulated->fibers[emulated->current].resume) == 0) _longjmp(emulated->scheduler, 1);
}
__attribute__((noinline)) inline void emulated_resume(uint32_t thread) {
    emulated_fiber &fiber = emulated->fibers[thread];
    emulated->current = threadIdx.x = thread;
    if (_setjmp(emulated->scheduler) != 0) return;
    if (fiber.started) _longjmp(fiber.resume, 1);
    fiber.started = true;
    setcontext(&fiber.start);
}
// All lanes' values.
template <class Value> inline void emulated_meet(Value value, Value (&all)[32]) {
    static_assert(sizeof value <= 32, "a lane's place");
    emulated_warp &warp = emulated->warps[threadIdx.x / 32];
    uint32_t generation = warp.generation;
    std::memcpy(&warp.values[generation % 2][threadIdx.x % 32], &value, sizeof value);
    if (++warp.arrived == 32) {
        warp.arrived = 0, warp.generation++, emulated_moved();
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
        emulated->arrived = 0, emulated->generation++, emulated_moved();
    } else {
        while (emulated->generation == generation) emulated_yield();
    }
}
// Runs a block's fibers until all are finished, or none gets any further; whether they are.
inline bool emulated_run(bool in_step, bool last_first) {
    emulated_block &state = *emulated;
    const uint32_t warps = static_cast<uint32_t>(state.warps.size());
    for (;;) {
        bool moved = false, left = false;
        for (uint32_t w = 0; w < warps; w++) {
            const uint32_t first = 32 * (last_first ? warps - 1 - w : w);
            do {
                state.moved = false;
                for (uint32_t i = first; i < first + 32; i++) {
                    if (!state.fibers[i].finished) emulated_resume(i);
                }
                moved |= state.moved;
            } while (state.moved && !in_step);
            for (uint32_t i = first; i < first + 32; i++) left |= !state.fibers[i].finished;
        }
        if (!left || !moved) return !left;
    }
}
// `shared`: bytes of shared memory that the kernel may use.
inline void emulated_launch(uint32_t grid, uint32_t threads, uint64_t shared, const std::function<void()> &kernel) {
    static const std::function<void()> *body;
    static std::vector<std::unique_ptr<uint8_t[]>> stacks;
    constexpr size_t stack_bytes = 128 * 1024;
    body = &kernel;
    emulated_shared_bytes = static_cast<uint32_t>(shared);
    const uint32_t number = ++emulated_launches, warps = threads / 32;
    const bool ascending = number & 1, in_step = !(number & 4), last_first = ascending;
    gridDim.x = grid, blockDim.x = threads;
    struct waiting_block {
        uint32_t index;
        emulated_block state;
        std::vector<uint8_t> memory;
        size_t stacks;
        bool begun = false;
    };
    std::vector<std::unique_ptr<waiting_block>> blocks;
    for (uint32_t block = 0; block < grid; block++) {
        blocks.emplace_back(new waiting_block);
        blocks.back()->index = ascending ? block : grid - 1 - block;
    }
    // Stacks of blocks that are done serve again.
    std::vector<size_t> free_stacks;
    size_t used = 0;
    uint32_t idle = 0;
    while (!blocks.empty()) {
        std::unique_ptr<waiting_block> own = std::move(blocks.front());
        blocks.erase(blocks.begin());
        emulated = &own->state, blockIdx.x = own->index;
        if (!own->begun) {
            own->begun = true;
            own->state.fibers.resize(threads), own->state.warps.resize(warps);
            if (free_stacks.empty()) free_stacks.push_back(used++ * threads);
            own->stacks = free_stacks.back(), free_stacks.pop_back();
            while (stacks.size() < own->stacks + threads) stacks.emplace_back(new uint8_t[stack_bytes]);
            std::memset(packed_memory, 0xA5, sizeof packed_memory);
            for (uint32_t i = 0; i < threads; i++) {
                ucontext_t &start = own->state.fibers[i].start;
                getcontext(&start);
                start.uc_stack.ss_sp = stacks[own->stacks + i].get(), start.uc_stack.ss_size = stack_bytes;
                start.uc_link = nullptr;
                makecontext(
                    &start,
                    +[] {
                        (*body)();
                        emulated->fibers[emulated->current].finished = true;
                        emulated_moved();
                        _longjmp(emulated->scheduler, 1);
                    },
                    0);
            }
            idle = 0;
        } else {
            std::memcpy(packed_memory, own->memory.data(), sizeof packed_memory);
        }
        const bool done = emulated_run(in_step, last_first);
        for (uint64_t i = shared; i < sizeof packed_memory; i++) {
            if (packed_memory[i] != 0xA5) emulated_fail("written behind the shared memory");
        }
        if (done) {
            free_stacks.push_back(own->stacks), idle = 0;
            continue;
        }
        if (idle++ > 1000) emulated_fail("the blocks hang");
        own->memory.assign(packed_memory, packed_memory + sizeof packed_memory);
        blocks.push_back(std::move(own));
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
template <class Value> inline Value __shfl_down_sync(unsigned, Value value, int by) {
    Value all[32];
    emulated_meet(value, all);
    int lane = threadIdx.x % 32;
    return all[lane + by < 32 ? lane + by : lane];
}
template <class Value> inline Value __ldcg(const Value *from) { return *from; }
template <class Value> inline Value __ldcs(const Value *from) { return *from; }
template <class Value> inline Value __ldg(const Value *from) { return *from; }
template <class Value> inline void __stcg(Value *to, Value value) { *to = value; }
inline void __threadfence() {}
inline uint32_t atomicAdd(uint32_t *to, uint32_t value) {
    const uint32_t before = *to;
    *to += value;
    return before;
}
inline uint32_t atomicOr(uint32_t *to, uint32_t value) {
    const uint32_t before = *to;
    *to |= value;
    return before;
}
inline int __popc(uint32_t value) { return __builtin_popcount(value); }
inline int __clz(uint32_t value) { return value ? __builtin_clz(value) : 32; }
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
    uint64_t both = (uint64_t)b << 32 | a;
    uint32_t out = 0;
    for (int i = 0; i < 4; i++) out |= (uint32_t)(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return out;
}
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 32; i += 8) c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
    return c;
}
template <class To, class From> inline To emulated_bits(From from) {
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline float __uint_as_float(uint32_t value) { return emulated_bits<float>(value); }
inline uint32_t __float_as_uint(float value) { return emulated_bits<uint32_t>(value); }
inline uint32_t __umulhi(uint32_t a, uint32_t b) { return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float value) { return std::exp(value); }
inline float rsqrtf(float value) { return 1 / std::sqrt(value); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline uint32_t min(uint32_t a, uint32_t b) { return a < b ? a : b; }
inline uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }

inline uint32_t shared_address(const void *pointer) {
    return static_cast<uint32_t>(static_cast<const uint8_t *>(pointer) - packed_memory);
}
// Rounded once: in fp64 a product is exact, and so is a sum that a half can hold or that lies half way between two.
inline half2 __hfma2(half2 a, half2 b, half2 c) {
    auto one = [](half x, half y, half z) {
        return __double2half(static_cast<double>(__half2float(x)) * __half2float(y) + __half2float(z));
    };
    return half2(one(a.x, b.x, c.x), one(a.y, b.y, c.y));
}
