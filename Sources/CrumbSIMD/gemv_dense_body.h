// Dense rows times one vector. A row's sum is four times 16 chains of multiply-adds in the order of channels, whatever
// the rows beside it. Rows are read one after the other, so that memory is one stream.
#include "blocks_body.h"

CRUMB_INLINE float LEVEL(plain_row)(const crumb_type type, const uint8_t *w, size_t k, const float *x) {
    const size_t size = crumb_bytes_of(type);
    f32x16 sums[4];
#pragma clang loop unroll(full)
    for (size_t j = 0; j < 4; j++) sums[j] = LEVEL(splat)(0);
    size_t i = 0;
    for (; i + 64 <= k; i += 64) {
#pragma clang loop unroll(full)
        for (size_t j = 0; j < 4; j++) {
            if (16 * j * size % 64 == 0) __builtin_prefetch(w + (i + 16 * j) * size + PREFETCH_BYTES);
            sums[j] = LEVEL(load_as)(type, w, i + 16 * j) * LEVEL(load)(x + i + 16 * j) + sums[j];
        }
    }
    for (; i + 16 <= k; i += 16) sums[0] = LEVEL(load_as)(type, w, i) * LEVEL(load)(x + i) + sums[0];
    float sum = LEVEL(sum)((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < k; i++) sum += LEVEL(element_as)(type, w, i) * x[i];
    return sum;
}

CRUMB_INLINE void LEVEL(plain_gemv)(
    const crumb_type type, const uint8_t *w, size_t row_bytes, size_t rows, size_t k, const float *x, float *y,
    bool accumulate) {
    for (size_t row = 0; row < rows; row++, w += row_bytes) {
        y[row] = (accumulate ? y[row] : 0) + LEVEL(plain_row)(type, w, k, x);
    }
}

CRUMB_INLINE void LEVEL(block_gemv)(
    const crumb_type type, const uint8_t *w, size_t row_bytes, size_t rows, size_t k, const float *x, float *y,
    bool accumulate) {
    size_t weights = crumb_weights_of(type), bytes = crumb_bytes_of(type);
    for (size_t row = 0; row < rows; row++, w += row_bytes) {
        LEVEL(sink) sink = {.out = NULL, .x = x, .sums = {{0}}};
        const uint8_t *block = w;
        for (size_t done = 0; done < k; done += weights, block += bytes, sink.x += weights) {
            __builtin_prefetch(block + PREFETCH_BYTES);
            if (bytes > 64) __builtin_prefetch(block + PREFETCH_BYTES + 64);
            if (bytes > 128) __builtin_prefetch(block + PREFETCH_BYTES + 128);
            LEVEL(block)(type, block, &sink);
        }
        f32x16 sum = (sink.sums[0] + sink.sums[1]) + (sink.sums[2] + sink.sums[3]);
        y[row] = (accumulate ? y[row] : 0) + LEVEL(sum)(sum);
    }
}

static void LEVEL(gemv_dense)(
    crumb_type type, const uint8_t *w, size_t row_bytes, size_t rows, size_t k, const float *x, float *y,
    bool accumulate) {
    switch (type) {
    case CRUMB_F32: LEVEL(plain_gemv)(CRUMB_F32, w, row_bytes, rows, k, x, y, accumulate); return;
    case CRUMB_F16: LEVEL(plain_gemv)(CRUMB_F16, w, row_bytes, rows, k, x, y, accumulate); return;
    case CRUMB_BF16: LEVEL(plain_gemv)(CRUMB_BF16, w, row_bytes, rows, k, x, y, accumulate); return;
    default: break;
    }
#define EACH_TYPE(constant) LEVEL(block_gemv)(constant, w, row_bytes, rows, k, x, y, accumulate)
    FOR_BLOCK_TYPE(type, EACH_TYPE)
#undef EACH_TYPE
}

#undef FOR_BLOCK_TYPE
