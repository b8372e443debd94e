// In place of include/packed_ring.cuh: copies are done at once.
#pragma once

#include "mma.cuh"

inline void barrier_make(uint64_t *barrier, uint32_t arrivals) { *barrier = static_cast<uint64_t>(arrivals) << 32; }
inline void barriers_made() {}
inline void store_progress(uint32_t *to, uint32_t value) { *to = value, emulated_moved(); }
inline uint32_t load_progress(const uint32_t *from) {
    emulated_yield();
    return *from;
}
inline void barrier_of_warps(int number, uint32_t warps) {
    uint32_t &arrived = emulated->named_arrived[number], &now = emulated->named_generation[number];
    const uint32_t generation = now;
    if (++arrived == warps * 32) {
        arrived = 0, now++, emulated_moved();
    } else {
        while (now == generation) emulated_yield();
    }
}
inline void barrier_arrive(uint64_t *barrier) { ++*reinterpret_cast<uint32_t *>(barrier), emulated_moved(); }
inline void barrier_wait(uint64_t *barrier, uint32_t parity) {
    const uint32_t *words = reinterpret_cast<const uint32_t *>(barrier);
    while ((words[0] / words[1] & 1) == parity) emulated_yield();
}
inline uint32_t copy_arrivals() { return 1; }
inline bool copies_asks() { return true; }
inline void copies_expect(uint64_t *, uint32_t) {}
inline void copy_bytes(uint64_t *, uint8_t *target, const uint8_t *source, uint32_t bytes) {
    if (bytes % 16) std::printf("bad copy of %u bytes\n", bytes), std::exit(1);
    for (uint32_t i = threadIdx.x % 32 * 16; i < bytes; i += 512) {
        emulated_copy_now(shared_address(target) + i, source + i, true);
    }
}
inline void copies_arrive(uint64_t *barrier) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
}
