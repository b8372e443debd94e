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

struct emulated_fragment {
    uint32_t words[6];
};
inline float emulated_half(uint32_t word, int high) {
    static const std::vector<float> numbers = [] {
        std::vector<float> all(65536);
        for (uint32_t i = 0; i < 65536; i++) all[i] = __half2float(__ushort_as_half(static_cast<uint16_t>(i)));
        return all;
    }();
    return numbers[high ? word >> 16 : word & 0xFFFF];
}
inline void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    emulated_fragment all[32];
    emulated_meet({{a0, a1, a2, a3, b0, b1}}, all);
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    for (int e = 0; e < 4; e++) {
        double sum = c[e];
        for (int k = 0; k < 16; k++) {
            const uint32_t a = all[4 * g + k % 8 / 2].words[k / 8 * 2 + e / 2];
            const uint32_t b = all[4 * (2 * t + e % 2) + k % 8 / 2].words[4 + k / 8];
            sum += static_cast<double>(emulated_half(a, k % 2)) * emulated_half(b, k % 2);
        }
        c[e] = static_cast<float>(sum);
    }
}
inline uint32_t transpose_8x8(uint32_t pair) {
    uint32_t all[32];
    emulated_meet(pair, all);
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, shift = g % 2 * 16;
    const uint32_t even = all[4 * (2 * t) + g / 2], odd = all[4 * (2 * t + 1) + g / 2];
    return (even >> shift & 0xFFFF) | (odd >> shift & 0xFFFF) << 16;
}

// A part of the shared memory that a kernel has asked for.
inline uint8_t *emulated_shared(uint32_t address, uint32_t bytes) {
    if (address % bytes || address + bytes > emulated_shared_bytes) emulated_fail("a bad address of shared memory");
    return packed_memory + address;
}
template <class Value> inline Value emulated_load(uint32_t address) {
    Value value;
    std::memcpy(&value, emulated_shared(address, sizeof value), sizeof value);
    return value;
}
inline uint4 load_shared(uint32_t address) { return emulated_load<uint4>(address); }
inline uint32_t load_shared_word(uint32_t address) { return emulated_load<uint32_t>(address); }
inline uint32_t load_shared_half(uint32_t address) { return emulated_load<uint16_t>(address); }
inline void store_shared(uint32_t address, uint4 v) { std::memcpy(emulated_shared(address, 16), &v, 16); }
inline void store_shared(uint32_t address, uint32_t v) { std::memcpy(emulated_shared(address, 4), &v, 4); }
inline void keep_in_register(float &) {}
inline void keep_in_register(uint32_t &) {}
inline void load_matrices_transposed(uint32_t (&m)[4], uint32_t address) {
    uint32_t rows[32];
    emulated_meet(address, rows);
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    for (int i = 0; i < 4; i++) {
        uint16_t even[8], odd[8];
        std::memcpy(even, emulated_shared(rows[8 * i + 2 * t], 16), 16);
        std::memcpy(odd, emulated_shared(rows[8 * i + 2 * t + 1], 16), 16);
        m[i] = even[g] | static_cast<uint32_t>(odd[g]) << 16;
    }
    // Nobody writes there before all have read.
    __syncwarp();
}

inline void emulated_copy_now(uint32_t target, const void *source, bool valid) {
    uint8_t *to = emulated_shared(target, 16);
    if (valid && reinterpret_cast<uintptr_t>(source) % 16) emulated_fail("a bad copy");
    if (valid) {
        std::memcpy(to, source, 16);
    } else {
        std::memset(to, 0, 16);
    }
}
inline void copy_async(uint32_t target, const void *source, bool valid) {
    emulated_fiber &fiber = emulated->fibers[threadIdx.x];
    if (!emulated_late()) return emulated_copy_now(target, source, valid);
    fiber.copies.push_back({target, fiber.groups, source, valid});
}
inline void copies_end_group() { emulated->fibers[threadIdx.x].groups++; }
template <int pending> inline void copies_done() {
    emulated_fiber &fiber = emulated->fibers[threadIdx.x];
    std::vector<emulated_copy> later;
    for (const emulated_copy &copy : fiber.copies) {
        if (copy.group + pending < fiber.groups) {
            emulated_copy_now(copy.target, copy.source, copy.valid);
        } else {
            later.push_back(copy);
        }
    }
    fiber.copies.swap(later);
}
