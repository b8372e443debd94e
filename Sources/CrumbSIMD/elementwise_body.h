// Norm, activation, softmax and conversions, 16 values at a time. The last count % 16 values are copied into a full
// vector whose other lanes are neutral.

// Calls `step` for whole vectors at i and, when values are left, once with `part` lanes.
#define EACH(count, step, rest) \
    size_t i = 0; \
    for (; i + 16 <= (count); i += 16) { \
        step; \
    } \
    if (i < (count)) { \
        const size_t part = (count) - i; \
        rest; \
    }

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2: Taylor polynomial of degree 7, whose remainder r^8 / 8! is
// below 6e-9 of the value. ln 2 is split so that n x high is exact. 2^n is applied in two halves, as n reaches 128.
CRUMB_INLINE f32x16 LEVEL(exp)(f32x16 x) {
    f32x16 shifted = x * LEVEL(splat)(0x1.715476p0f) + LEVEL(splat)(0x1.8p23f);
    f32x16 n = shifted - LEVEL(splat)(0x1.8p23f);
    f32x16 r = x - n * LEVEL(splat)(0x1.62e4p-1f);
    r = r - n * LEVEL(splat)(0x1.7f7d1cp-20f);
    f32x16 p = r * LEVEL(splat)(1.0f / 5040) + LEVEL(splat)(1.0f / 720);
    p = p * r + LEVEL(splat)(1.0f / 120);
    p = p * r + LEVEL(splat)(1.0f / 24);
    p = p * r + LEVEL(splat)(1.0f / 6);
    p = p * r + LEVEL(splat)(0.5f);
    p = p * r + LEVEL(splat)(1);
    p = p * r + LEVEL(splat)(1);
    i32x16 exponent = (i32x16)shifted - 0x4B400000;
    i32x16 half = exponent >> 1;
    p = p * (f32x16)((half + 127) << 23) * (f32x16)((exponent - half + 127) << 23);
    p = LEVEL(select)(x < -87.3f, LEVEL(splat)(0), p);
    return LEVEL(select)(x > 88.72f, LEVEL(splat)(__builtin_inff()), p);
}

static void LEVEL(exp_row)(const float *x, size_t count, float *out){EACH(
    count, LEVEL(store)(out + i, LEVEL(exp)(LEVEL(load)(x + i))),
    LEVEL(store_part)(out + i, part, LEVEL(exp)(LEVEL(load_part)(x + i, part, 0))))}

CRUMB_INLINE f32x16 LEVEL(silu)(f32x16 x) {
    return x / (LEVEL(splat)(1) + LEVEL(exp)(-x));
}

static void LEVEL(silu_multiply)(const float *gate, const float *up, size_t count, float *out) {
    EACH(
        count, LEVEL(store)(out + i, LEVEL(silu)(LEVEL(load)(gate + i)) * LEVEL(load)(up + i)),
        LEVEL(store_part)(
            out + i, part, LEVEL(silu)(LEVEL(load_part)(gate + i, part, 0)) * LEVEL(load_part)(up + i, part, 0)))
}

static float LEVEL(dot)(const float *a, const float *b, size_t count) {
    f32x16 even = LEVEL(splat)(0), odd = even;
    size_t start = 0;
    for (; start + 32 <= count; start += 32) {
        even = LEVEL(load)(a + start) * LEVEL(load)(b + start) + even;
        odd = LEVEL(load)(a + start + 16) * LEVEL(load)(b + start + 16) + odd;
    }
    a += start;
    b += start;
    EACH(
        count - start, even = LEVEL(load)(a + i) * LEVEL(load)(b + i) + even,
        odd = LEVEL(load_part)(a + i, part, 0) * LEVEL(load_part)(b + i, part, 0) + odd)
    return LEVEL(sum)(even + odd);
}

static double LEVEL(sum_of_squares)(const float *a, size_t count) {
    double sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (size_t j = 0; j < 8; j++) sums[j] += (double)a[i + j] * (double)a[i + j];
    }
    for (size_t j = 0; i < count; i++, j++) sums[j] += (double)a[i] * (double)a[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

static void LEVEL(rmsnorm)(const float *x, const float *weight, size_t count, float epsilon, float *out) {
    float mean = LEVEL(dot)(x, x, count) / (float)count;
    float factor = 1.0f / __builtin_elementwise_sqrt(mean + epsilon);
    f32x16 factors = LEVEL(splat)(factor);
    EACH(
        count, LEVEL(store)(out + i, LEVEL(load)(x + i) * factors * LEVEL(load)(weight + i)),
        LEVEL(store_part)(
            out + i, part, LEVEL(load_part)(x + i, part, 0) * factors * LEVEL(load_part)(weight + i, part, 0)))
}

static void LEVEL(softmax)(float *x, size_t count, float scale) {
    f32x16 best = LEVEL(splat)(-__builtin_inff());
    {EACH(
        count, best = LEVEL(maximum)(LEVEL(load)(x + i), best),
        best = LEVEL(maximum)(
            LEVEL(load_part)(x + i, part, -__builtin_inff()), best))} f32x16 scales = LEVEL(splat)(scale),
                                                                             shift = LEVEL(splat)(LEVEL(largest)(best)),
                                                                             total = LEVEL(splat)(0);
#define WEIGHT(values) LEVEL(exp)(((values) - shift) * scales)
    {EACH(
        count,
        {
            f32x16 w = WEIGHT(LEVEL(load)(x + i));
            LEVEL(store)(x + i, w);
            total += w;
        },
        {
            f32x16 w = WEIGHT(LEVEL(load_part)(x + i, part, -__builtin_inff()));
            LEVEL(store_part)(x + i, part, w);
            total += w;
        })}
#undef WEIGHT
    f32x16 inverse = LEVEL(splat)(1.0f / LEVEL(sum)(total));
    EACH(
        count, LEVEL(store)(x + i, LEVEL(load)(x + i) * inverse),
        LEVEL(store_part)(x + i, part, LEVEL(load_part)(x + i, part, 0) * inverse))
}

static void LEVEL(add_scaled)(float *y, float a, const float *x, size_t count) {
    f32x16 factor = LEVEL(splat)(a);
    EACH(
        count, LEVEL(store)(y + i, LEVEL(load)(x + i) * factor + LEVEL(load)(y + i)),
        LEVEL(store_part)(y + i, part, LEVEL(load_part)(x + i, part, 0) * factor + LEVEL(load_part)(y + i, part, 0)))
}

static void LEVEL(from_half)(const uint16_t *x, size_t count, float *out) {
    EACH(
        count, LEVEL(store)(out + i, LEVEL(load_halves)(x + i)),
        for (size_t j = 0; j < part; j++) out[i + j] = LEVEL(half_to_float)(x[i + j]))
}

static void LEVEL(to_half)(const float *x, size_t count, uint16_t *out) {
#if HAS_F16C
    EACH(
        count,
        {
            _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
            _mm_storeu_si128((__m128i *)(out + i + 8), _mm256_cvtps_ph(_mm256_loadu_ps(x + i + 8), 0));
        },
        for (size_t j = 0; j < part; j++) out[i + j] = crumb_float_to_half(x[i + j]))
#else
    for (size_t i = 0; i < count; i++) out[i] = crumb_float_to_half(x[i]);
#endif
}

// Four independent sums of whole cache lines.
static uint64_t LEVEL(read)(const uint8_t *bytes, size_t count) {
    u32x16 sums[4] = {0};
    size_t i = 0;
    for (; i + 256 <= count; i += 256) {
#pragma clang loop unroll(full)
        for (size_t j = 0; j < 4; j++) {
            __builtin_prefetch(bytes + i + 64 * j + 8192);
            u32x16 line;
            memcpy(&line, bytes + i + 64 * j, 64);
            sums[j] += line;
        }
    }
    uint64_t total = __builtin_reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < count; i++) total += bytes[i];
    return total;
}

#undef EACH
