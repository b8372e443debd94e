// Products by four neighbouring warps (sm_90a's `wgmma`): fp16 fragments in registers times activations in shared memory.
//
// Each warp has 16 rows of A, 64 x 16, and of C, 64 x 8 octets, in the lanes' places of mma.cuh. B is 16 rows of 8 octets
// halves, row after row, its pieces of 16 bytes exchanged as matmul_memory::exchanged() has it; it starts at a multiple of
// 16 rows. Products go on while the warps do. Source of the layouts: PTX ISA, "Asynchronous Warpgroup Level Matrix
// Instructions".
#pragma once

#include "mma.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
constexpr bool has_warpgroups = true;

// Registers written before are seen by the products behind.
CRUMB_INLINE void warpgroup_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
CRUMB_INLINE void warpgroup_end() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most `pending` of the latest groups of products are under way.
template <int pending> CRUMB_INLINE void warpgroup_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

// Of B `offset` bytes behind `address`, both multiples of 16.
template <int octets> CRUMB_INLINE uint64_t warpgroup_operand(uint32_t address, uint32_t offset) {
    // Exchanged within 8 rows, in patterns of 32, 64 or 128 bytes.
    constexpr uint32_t pattern = octets == 2 ? 3 : octets == 4 ? 2 : 1;
    // From 8 rows to the next 8, in 16 bytes; the other distance does not count, as a pattern is as wide as B.
    constexpr uint32_t stride = 8 * octets;
    return static_cast<uint64_t>(pattern << 30 | stride) << 32 | (address / 16 + (offset / 16 + (stride << 16)));
}

#define CRUMB_FOUR(c) "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])
CRUMB_INLINE void warpgroup_mma(float (&c)[2][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9,%10,%11}, %12, 1, 1, 1, 1;"
                 : CRUMB_FOUR(c[0]), CRUMB_FOUR(c[1])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
CRUMB_INLINE void warpgroup_mma(float (&c)[4][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, %20, 1, 1, 1, 1;"
                 : CRUMB_FOUR(c[0]), CRUMB_FOUR(c[1]), CRUMB_FOUR(c[2]), CRUMB_FOUR(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
CRUMB_INLINE void warpgroup_mma(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
                 "{%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
                 : CRUMB_FOUR(c[0]), CRUMB_FOUR(c[1]), CRUMB_FOUR(c[2]), CRUMB_FOUR(c[3]),
                   CRUMB_FOUR(c[4]), CRUMB_FOUR(c[5]), CRUMB_FOUR(c[6]), CRUMB_FOUR(c[7])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
#undef CRUMB_FOUR
#else
constexpr bool has_warpgroups = false;
CRUMB_INLINE void warpgroup_begin() {}
CRUMB_INLINE void warpgroup_end() {}
template <int pending> CRUMB_INLINE void warpgroup_wait() {}
template <int octets> CRUMB_INLINE uint64_t warpgroup_operand(uint32_t, uint32_t) { return 0; }
template <class Sums> CRUMB_INLINE void warpgroup_mma(Sums &, const uint32_t (&)[4], uint64_t) {}
#endif

// What this thread's finished copies wrote is seen by such products of all, behind a barrier.
CRUMB_INLINE void copies_seen() {
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
