// In place of include/packed_matmul_barrier.cuh: a barrier is 8 bytes of shared memory, as on the GPU.
#pragma once

#include "mma.cuh"

struct emulated_barrier {
    uint16_t count, pending;
    uint32_t phases; // complete ones
};

inline emulated_barrier &emulated_barrier_at(uint32_t address, uint8_t *memory = packed_memory) {
    if (address % 8 || address + 8 > emulated_memory) emulated_fail("bad barrier");
    return *reinterpret_cast<emulated_barrier *>(memory + address);
}
inline void emulated_arrive(emulated_barrier &barrier, uint32_t count) {
    if (count > barrier.pending) emulated_fail("too many arrivals");
    barrier.pending -= count, emulated_stalls = 0;
    if (barrier.pending == 0) barrier.pending = barrier.count, barrier.phases++;
}
inline void barrier_init(uint32_t barrier, uint32_t count) {
    emulated_barrier_at(barrier) = {static_cast<uint16_t>(count), static_cast<uint16_t>(count), 0};
}
inline void barrier_publish() {}
inline void barrier_arrive(uint32_t barrier, uint32_t count) { emulated_arrive(emulated_barrier_at(barrier), count); }
inline void barrier_arrive_at(uint32_t barrier, uint32_t rank) {
    emulated_arrive(emulated_barrier_at(barrier, emulated_cluster[rank].memory), 1);
}
inline void barrier_wait(uint32_t barrier, uint32_t phase) {
    while (emulated_barrier_at(barrier).phases % 2 == phase) emulated_yield();
}
inline void barrier_wait_cluster(uint32_t barrier, uint32_t phase) { barrier_wait(barrier, phase); }
inline void copy_bulk(uint32_t target, const void *source, uint32_t bytes, uint32_t barrier) {
    if (target % 16 || bytes % 16 || reinterpret_cast<uintptr_t>(source) % 16 || target + bytes > emulated_memory) {
        emulated_fail("bad bulk copy");
    }
    std::memcpy(packed_memory + target, source, bytes);
    barrier_arrive(barrier, 1);
}
inline void barrier_some(uint32_t number, uint32_t threads) {
    if (number < 1 || number > 15 || threads % 32) emulated_fail("bad barrier number");
    emulated_block *block = emulated;
    uint32_t generation = block->some_generation[number];
    if (++block->some_arrived[number] == threads) {
        block->some_arrived[number] = 0, block->some_generation[number]++, emulated_stalls = 0;
    } else {
        while (block->some_generation[number] == generation) emulated_yield();
    }
}
inline void barrier_cluster() {
    uint32_t generation = emulated_generation;
    if (++emulated_arrived == blockDim.x * emulated_cluster.size()) {
        emulated_arrived = 0, emulated_generation++, emulated_stalls = 0;
    } else {
        while (emulated_generation == generation) emulated_yield();
    }
}
inline float load_of_rank(uint32_t address, uint32_t rank) {
    float number;
    std::memcpy(&number, emulated_cluster[rank].memory + address, sizeof number);
    return number;
}
template <int registers> inline void registers_down() {}
template <int registers> inline void registers_up() {}
