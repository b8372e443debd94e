// One query against half precision keys and values.

// `keys_at_once` keys share the loads of q; each has its own chain of multiply-adds.
CRUMB_INLINE void LEVEL(scores_of)(
    const size_t keys_at_once, const float *q, const uint16_t *keys, size_t stride, size_t d, float *out) {
    f32x16 sums[4];
#pragma clang loop unroll(full)
    for (size_t j = 0; j < keys_at_once; j++) sums[j] = LEVEL(splat)(0);
    size_t i = 0;
    for (; i + 16 <= d; i += 16) {
        f32x16 v = LEVEL(load)(q + i);
#pragma clang loop unroll(full)
        for (size_t j = 0; j < keys_at_once; j++) sums[j] = LEVEL(load_halves)(keys + j * stride + i) * v + sums[j];
    }
    for (size_t j = 0; j < keys_at_once; j++) {
        float sum = LEVEL(sum)(sums[j]);
        for (size_t c = i; c < d; c++) sum += LEVEL(half_to_float)(keys[j * stride + c]) * q[c];
        out[j] = sum;
    }
}

static void LEVEL(scores)(const float *q, const uint16_t *keys, size_t stride, size_t count, size_t d, float *out) {
    size_t j = 0;
    for (; j + 4 <= count; j += 4) LEVEL(scores_of)(4, q, keys + j * stride, stride, d, out + j);
    for (; j < count; j++) LEVEL(scores_of)(1, q, keys + j * stride, stride, d, out + j);
}

// `vectors` x 16 channels of the output; values at even and odd j have chains of their own.
CRUMB_INLINE void LEVEL(values_of)(
    const size_t vectors, const float *weights, const uint16_t *values, size_t stride, size_t count, float *out) {
    f32x16 sums[2][8];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) sums[0][v] = sums[1][v] = LEVEL(splat)(0);
    size_t j = 0;
    for (; j + 2 <= count; j += 2, values += 2 * stride) {
        f32x16 w0 = LEVEL(splat)(weights[j]), w1 = LEVEL(splat)(weights[j + 1]);
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) {
            sums[0][v] = LEVEL(load_halves)(values + 16 * v) * w0 + sums[0][v];
            sums[1][v] = LEVEL(load_halves)(values + stride + 16 * v) * w1 + sums[1][v];
        }
    }
    f32x16 last = LEVEL(splat)(j < count ? weights[j] : 0);
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
        if (j < count) sums[0][v] = LEVEL(load_halves)(values + 16 * v) * last + sums[0][v];
        LEVEL(store)(out + 16 * v, sums[0][v] + sums[1][v]);
    }
}

static void LEVEL(values)(
    const float *weights, const uint16_t *values, size_t stride, size_t count, size_t d, float *out) {
    size_t i = 0;
    for (; i + 128 <= d; i += 128) LEVEL(values_of)(8, weights, values + i, stride, count, out + i);
    for (; i + 64 <= d; i += 64) LEVEL(values_of)(4, weights, values + i, stride, count, out + i);
    for (; i + 16 <= d; i += 16) LEVEL(values_of)(1, weights, values + i, stride, count, out + i);
    for (; i < d; i++) {
        float sum = 0;
        for (size_t j = 0; j < count; j++) sum += LEVEL(half_to_float)(values[j * stride + i]) * weights[j];
        out[i] = sum;
    }
}
