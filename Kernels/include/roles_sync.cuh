// How warps with roles (sm_90a), and the blocks that share a group, wait for each other.
#pragma once

#include "packed_ring.cuh"

// Registers of the threads of four neighbouring warps, a multiple of 8.
template <int count> CRUMB_INLINE void more_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count> CRUMB_INLINE void fewer_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
// This lane's asynchronous copies up to now are one arrival when they are done. Products by warpgroups may read what they
// wrote as soon as the barrier's phase is complete: CUTLASS has no fence there either
// (sm90_mma_multistage_gmma_ss_warpspecialized.hpp), and with one the copies of a lane wait for each other, 1,000 cycles
// a unit on an H200.
CRUMB_INLINE void copies_arrive_later(uint32_t barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}
// Barriers by their addresses.
CRUMB_INLINE void barrier_make(uint32_t barrier, uint32_t arrivals) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
CRUMB_INLINE void barrier_arrive(uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(barrier) : "memory");
}
CRUMB_INLINE void barrier_wait(uint32_t barrier, uint32_t parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

CRUMB_INLINE uint32_t load_acquired(const uint32_t *from) {
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
    return value;
}
CRUMB_INLINE void add_released(uint32_t *to, uint32_t value) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}
