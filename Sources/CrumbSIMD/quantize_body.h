// Activations to int8 in groups of 32: scale = absmax / 127.

// 16 activations times `inverse`, to the nearest integer. Adding 1.5 x 2^23 leaves the integer in the low bits. Two
// statements, so that no level fuses them and all levels round alike.
CRUMB_INLINE i32x16 LEVEL(to_integers)(f32x16 x, float inverse) {
    f32x16 scaled = x * LEVEL(splat)(inverse);
    f32x16 shifted = scaled + LEVEL(splat)(0x1.8p23f);
    return (i32x16)shifted - 0x4B400000;
}

// Largest magnitude of 32 values.
CRUMB_INLINE float LEVEL(absolute_maximum)(const float *x) {
    i32x16 low = (i32x16)LEVEL(load)(x) & 0x7FFFFFFF, high = (i32x16)LEVEL(load)(x + 16) & 0x7FFFFFFF;
    i32x16 high_wins = high > low;
    return crumb_float_of_bits((uint32_t)__builtin_reduce_max((high & high_wins) | (low & ~high_wins)));
}

// 32 values to int8 with scale absmax / 127, which is returned. Below 1e-30 everything is zero.
CRUMB_INLINE float LEVEL(quantize_group)(const float *x, i32x16 codes[2]) {
    float largest = LEVEL(absolute_maximum)(x);
    float inverse = largest > 1e-30f ? 127.0f / largest : 0;
    codes[0] = LEVEL(to_integers)(LEVEL(load)(x), inverse);
    codes[1] = LEVEL(to_integers)(LEVEL(load)(x + 16), inverse);
    return largest > 1e-30f ? largest / 127.0f : 0;
}
