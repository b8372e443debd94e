// In place of include/roles_sync.cuh: a barrier is a counter, and copies that arrive are done at once.
#pragma once

#include "packed_ring.cuh"

template <int count> inline void more_registers() {}
template <int count> inline void fewer_registers() {}

inline uint64_t *emulated_barrier(uint32_t address) { return reinterpret_cast<uint64_t *>(emulated_shared(address, 8)); }
inline void barrier_make(uint32_t barrier, uint32_t arrivals) { barrier_make(emulated_barrier(barrier), arrivals); }
inline void barrier_arrive(uint32_t barrier) { barrier_arrive(emulated_barrier(barrier)); }
inline void barrier_wait(uint32_t barrier, uint32_t parity) { barrier_wait(emulated_barrier(barrier), parity); }
inline void copies_arrive_later(uint32_t barrier) {
    copies_end_group();
    copies_done<0>();
    barrier_arrive(barrier);
}
inline uint32_t load_acquired(const uint32_t *from) {
    emulated_yield();
    return *from;
}
inline void add_released(uint32_t *to, uint32_t value) { *to += value, emulated_moved(); }
