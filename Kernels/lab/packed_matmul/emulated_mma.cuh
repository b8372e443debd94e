// In place of include/mma.cuh: products and copies on a CPU.
#pragma once

#include "device.cuh"

inline void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    uint64_t a01[32], a23[32], b[32];
    emulated_meet((uint64_t)a1 << 32 | a0, a01);
    emulated_meet((uint64_t)a3 << 32 | a2, a23);
    emulated_meet((uint64_t)b1 << 32 | b0, b);
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    float out[4];
    for (int e = 0; e < 4; e++) {
        double sum = c[e];
        for (int k = 0; k < 16; k++) {
            int from = 4 * g + k % 8 / 2, to = 4 * (2 * t + e % 2) + k % 8 / 2;
            uint64_t words = k < 8 ? a01[from] : a23[from];
            uint32_t word = static_cast<uint32_t>(e < 2 ? words : words >> 32);
            sum +=
                emulated_half(word, k % 2) * emulated_half(static_cast<uint32_t>(k < 8 ? b[to] : b[to] >> 32), k % 2);
        }
        out[e] = static_cast<float>(sum);
    }
    std::memcpy(c, out, sizeof out);
}
inline void copy_async(uint32_t target, const void *source, bool valid) {
    if (target % 16 || target + 16 > emulated_memory || (valid && reinterpret_cast<uintptr_t>(source) % 16)) {
        emulated_fail("bad copy");
    }
    if (valid)
        std::memcpy(packed_memory + target, source, 16);
    else
        std::memset(packed_memory + target, 0, 16);
}
inline void copies_end_group() {}
template <int pending> inline void copies_done() {}
// Lane 8 i + r gives the address of row r of matrix i.
inline void load_matrices_transposed(uint32_t (&m)[4], uint32_t address) {
    uint32_t all[32];
    emulated_meet(address, all);
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    for (int i = 0; i < 4; i++) {
        for (int e = 0; e < 2; e++) {
            if (all[8 * i + 2 * t + e] % 16) emulated_fail("bad matrix address");
            uint32_t number = emulated_load<uint16_t>(all[8 * i + 2 * t + e] + 2 * g);
            m[i] = e ? m[i] | number << 16 : number;
        }
        // Rows of 16 bytes in the same banks would be read one after the other.
        for (int r = 0; r < 8; r++) {
            for (int q = 0; q < r; q++) {
                if ((all[8 * i + r] ^ all[8 * i + q]) % 128 / 16 == 0) emulated_fail("bank conflict");
            }
        }
    }
}
