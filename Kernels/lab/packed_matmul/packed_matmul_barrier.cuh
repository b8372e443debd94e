// Barriers in shared memory, copies that report to them, and the other blocks of a cluster.
#pragma once

#include "mma.cuh"

// A barrier whose phase ends after `count` arrivals and all bytes that were announced.
CRUMB_INLINE void barrier_init(uint32_t barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

// Makes what was initialised known to the cluster and to copies.
CRUMB_INLINE void barrier_publish() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

CRUMB_INLINE void barrier_arrive(uint32_t barrier, uint32_t count) {
    asm volatile("{\n\t.reg .b64 state;\n\tmbarrier.arrive.shared::cta.b64 state, [%0], %1;\n\t}" ::"r"(barrier),
                 "r"(count)
                 : "memory");
}

// At the barrier that block `rank` of the cluster has at the same place.
CRUMB_INLINE void barrier_arrive_at(uint32_t barrier, uint32_t rank) {
    asm volatile("{\n\t.reg .b32 remote;\n\tmapa.shared::cluster.u32 remote, %0, %1;\n\t"
                 "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n\t}" ::"r"(barrier),
                 "r"(rank)
                 : "memory");
}

// Waits for the end of a phase, counted modulo 2.
CRUMB_INLINE void barrier_wait(uint32_t barrier, uint32_t phase) {
    asm volatile("{\n\t.reg .pred done;\n\tagain:\n\t"
                 "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 done, [%0], %1;\n\t"
                 "@!done bra again;\n\t}" ::"r"(barrier),
                 "r"(phase)
                 : "memory");
}

// The same, and sees what other blocks wrote before they arrived.
CRUMB_INLINE void barrier_wait_cluster(uint32_t barrier, uint32_t phase) {
    asm volatile("{\n\t.reg .pred done;\n\tagain:\n\t"
                 "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n\t"
                 "@!done bra again;\n\t}" ::"r"(barrier),
                 "r"(phase)
                 : "memory");
}

// Starts to copy `bytes`, a multiple of 16, into shared memory; the barrier's phase ends after them and one arrival,
// which is this one.
CRUMB_INLINE void copy_bulk(uint32_t target, const void *source, uint32_t bytes, uint32_t barrier) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(target),
        "l"(source), "r"(bytes), "r"(barrier)
        : "memory");
}

// Waits for `threads` threads of the block, a multiple of 32, that name the same number (1 ... 15).
CRUMB_INLINE void barrier_some(uint32_t number, uint32_t threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

CRUMB_INLINE void barrier_cluster() {
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// A number in the shared memory of block `rank`, at the place it has in this block's.
CRUMB_INLINE float load_of_rank(uint32_t address, uint32_t rank) {
    uint32_t remote;
    float number;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(number) : "r"(remote) : "memory");
    return number;
}

// Hands registers back, or takes them, for the four warps that a warp stands among.
template <int registers> CRUMB_INLINE void registers_down() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers> CRUMB_INLINE void registers_up() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}
