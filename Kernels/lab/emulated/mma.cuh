// In place of include/mma.cuh: products and copies on a CPU.
#pragma once

#include "device.cuh"

inline void mma(int (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    uint64_t a01[32], a23[32], b[32];
    emulated_meet((uint64_t)a1 << 32 | a0, a01);
    emulated_meet((uint64_t)a3 << 32 | a2, a23);
    emulated_meet((uint64_t)b1 << 32 | b0, b);
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    for (int e = 0; e < 4; e++) {
        for (int k = 0; k < 32; k++) {
            int from = 4 * g + k % 16 / 4, to = 4 * (2 * t + e % 2) + k % 16 / 4;
            uint64_t words = k < 16 ? a01[from] : a23[from];
            uint8_t code = static_cast<uint8_t>((e < 2 ? words : words >> 32) >> 8 * (k % 4));
            int8_t x = static_cast<int8_t>((k < 16 ? b[to] : b[to] >> 32) >> 8 * (k % 4));
            c[e] += code * x;
        }
    }
}
inline void copy_async(uint32_t target, const void *source, bool valid) {
    if (target % 16 || target + 16 > sizeof packed_memory || (valid && reinterpret_cast<uintptr_t>(source) % 16)) {
        std::printf("bad copy\n"), std::exit(1);
    }
    if (valid)
        std::memcpy(packed_memory + target, source, 16);
    else
        std::memset(packed_memory + target, 0, 16);
}
inline void copies_end_group() {}
template <int pending> inline void copies_done() {}
