// Vectors of 16 lanes that the compiler splits into the registers a level has.
#ifndef CRUMB_LANES_H
#define CRUMB_LANES_H

#include "levels.h"

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef int8_t i8x64 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x4 __attribute__((vector_size(16)));

// The bits of a float and back.
CRUMB_INLINE float crumb_float_of_bits(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
CRUMB_INLINE uint32_t crumb_bits_of_float(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

// Half to single, exact, subnormals and NaN included. The shifted bits are a float whose exponent is 112 too small.
CRUMB_INLINE float crumb_half_to_float(uint16_t half) {
    uint32_t magnitude = half & 0x7FFFu;
    uint32_t bits = crumb_bits_of_float(crumb_float_of_bits(magnitude << 13) * 0x1p112f);
    if (magnitude >= 0x7C00u) bits = (magnitude << 13) | 0x7F800000u;
    return crumb_float_of_bits(bits | (uint32_t)(half & 0x8000u) << 16);
}

// Single to half, to nearest even.
CRUMB_INLINE uint16_t crumb_float_to_half(float value) {
    uint32_t bits = crumb_bits_of_float(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); // 65520 and above
    if (magnitude < 0x38800000u) {
        // Below 2^-14: adding 1/2 aligns the mantissa to multiples of 2^-24, and the hardware rounds to even.
        uint32_t aligned = crumb_bits_of_float(crumb_float_of_bits(magnitude) + 0.5f) - 0x3F000000u;
        return (uint16_t)(sign | aligned);
    }
    uint32_t odd = (magnitude >> 13) & 1u;
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
}

#endif
