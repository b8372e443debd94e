// Barriers in shared memory, and the copies that complete them. On sm_90 one lane copies in bulk; on sm_80 all lanes of a
// warp copy 16 bytes at a time, asynchronously; before, copies are loads and stores and a barrier is a counter.
//
// A barrier has phases: it completes one when as many have arrived as it was made for and the copies it expects are
// there. Phases are told apart by their parity.
#pragma once

#include "mma.cuh"

// One lane's; __syncthreads before others use it.
CRUMB_INLINE void barrier_make(uint64_t *barrier, uint32_t arrivals) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
#else
    *barrier = static_cast<uint64_t>(arrivals) << 32;
#endif
}

// After making barriers: for the copies.
CRUMB_INLINE void barriers_made() {
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// A number of a warp that others poll: what it read before it stored may be overwritten by who has loaded it.
CRUMB_INLINE void store_progress(uint32_t *to, uint32_t value) {
#if __CUDA_ARCH__ >= 700
    asm volatile("st.release.cta.shared.u32 [%0], %1;" ::"r"(shared_address(to)), "r"(value) : "memory");
#endif
}
CRUMB_INLINE uint32_t load_progress(const uint32_t *from) {
    uint32_t value = 0;
#if __CUDA_ARCH__ >= 700
    asm volatile("ld.acquire.cta.shared.u32 %0, [%1];" : "=r"(value) : "r"(shared_address(from)) : "memory");
#endif
    return value;
}

// Waits for so many of the block's warps.
CRUMB_INLINE void barrier_of_warps(int number, uint32_t warps) {
    __syncwarp();
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(warps * 32) : "memory");
}

CRUMB_INLINE void barrier_arrive(uint64_t *barrier) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
#else
    __threadfence_block();
    atomicAdd(reinterpret_cast<uint32_t *>(barrier), 1);
#endif
}

// Until the phase of this parity is complete; 0 is the first phase's.
CRUMB_INLINE void barrier_wait(uint64_t *barrier, uint32_t parity) {
#if __CUDA_ARCH__ >= 900
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(shared_address(barrier)),
                 "r"(parity)
                 : "memory");
#elif __CUDA_ARCH__ >= 800
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.test_wait.parity.shared.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(shared_address(barrier)),
                 "r"(parity)
                 : "memory");
#else
    const volatile uint32_t *words = reinterpret_cast<const volatile uint32_t *>(barrier);
    while ((words[0] / words[1] & 1) == parity) {}
    __threadfence_block();
#endif
}

// Arrivals that a warp's copies of one phase are.
CRUMB_INLINE constexpr uint32_t copy_arrivals() {
#if __CUDA_ARCH__ >= 800 && __CUDA_ARCH__ < 900
    return 32;
#else
    return 1;
#endif
}

// Whether this lane of a warp that copies has to ask: copies_expect, copy_bytes ..., copies_arrive for each phase.
CRUMB_INLINE bool copies_asks() {
#if __CUDA_ARCH__ >= 900
    return threadIdx.x % 32 == 0;
#else
    return true;
#endif
}

// `bytes` are multiples of 16.
CRUMB_INLINE void copies_expect(uint64_t *barrier, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
#endif
}

CRUMB_INLINE void copy_bytes(uint64_t *barrier, uint8_t *target, const uint8_t *source, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
    if (bytes > 0) {
        asm volatile(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                shared_address(target)),
            "l"(source), "r"(bytes), "r"(shared_address(barrier))
            : "memory");
    }
#else
    const uint32_t to = shared_address(target);
#pragma unroll 4
    for (uint32_t i = threadIdx.x % 32 * 16; i < bytes; i += 512) copy_async(to + i, source + i, true);
#endif
}

CRUMB_INLINE void copies_arrive(uint64_t *barrier) {
#if __CUDA_ARCH__ >= 800 && __CUDA_ARCH__ < 900
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
#elif __CUDA_ARCH__ < 800
    __threadfence_block();
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
#endif
}
