// Activations to int8 and into the order of packed_input.h.
#include "quantize_body.h"

// Byte 16 s + 4 t + b of a 2-bit tile comes from channel 16 t + 2 s + 8 (b % 2) + b / 2.
#define FOUR2(s, t) 16 * t + 2 * s, 16 * t + 2 * s + 8, 16 * t + 2 * s + 1, 16 * t + 2 * s + 9
#define STEP2(s) FOUR2(s, 0), FOUR2(s, 1), FOUR2(s, 2), FOUR2(s, 3)
// Byte 16 s + 4 t + b of a 4-bit tile comes from channel 8 t + 2 s + 4 (b % 2) + b / 2.
#define FOUR4(s, t) 8 * t + 2 * s, 8 * t + 2 * s + 4, 8 * t + 2 * s + 1, 8 * t + 2 * s + 5
#define STEP4(s) FOUR4(s, 0), FOUR4(s, 1), FOUR4(s, 2), FOUR4(s, 3)

// out[c] = x[order[c]] for c < count, 0 for padding, which is rare: runs without any take the short loop. `count` is
// a constant in every use.
CRUMB_INLINE void LEVEL(gather)(const size_t count, const uint16_t *order, const float *x, float *out) {
    uint16_t last = 0;
    for (size_t c = 0; c < count; c++) last = order[c] > last ? order[c] : last;
    if (last != CRUMB_PADDING_CHANNEL) {
#pragma clang loop vectorize(disable) unroll(full)
        for (size_t c = 0; c < count; c++) out[c] = x[order[c]];
    } else {
        for (size_t c = 0; c < count; c++) out[c] = order[c] == CRUMB_PADDING_CHANNEL ? 0 : x[order[c]];
    }
}

// Each run of 8 lanes of a and b to its 4 sums of lanes 4 apart.
CRUMB_INLINE i32x16 LEVEL(fold)(i32x16 a, i32x16 b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
        + __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}

// out[t] = factor x the sum of lanes 4 t ..< 4 t + 4.
CRUMB_INLINE void LEVEL(store_sums)(i32x16 v, int32_t factor, int32_t *out) {
    v += __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    i32x4 four = __builtin_shufflevector(v, v, 0, 4, 8, 12) * factor;
    memcpy(out, &four, sizeof four);
}

CRUMB_INLINE void LEVEL(prepare_tile4)(crumb_packed_input out) {
    i32x16 codes[2];
    out.scales[0] = 0.5f * LEVEL(quantize_group)(out.x, codes);
    LEVEL(store_sums)(LEVEL(fold)(codes[0], codes[1]), -15, out.sums);
    i8x16 low = __builtin_convertvector(codes[0], i8x16), high = __builtin_convertvector(codes[1], i8x16);
    i8x16 first = __builtin_shufflevector(low, high, STEP4(0)), second = __builtin_shufflevector(low, high, STEP4(1));
    memcpy(out.bytes, &first, sizeof first);
    memcpy(out.bytes + 16, &second, sizeof second);
}

CRUMB_INLINE void LEVEL(prepare_tile2)(crumb_packed_input out) {
    i32x16 codes[4];
    out.scales[0] = 0.5f * LEVEL(quantize_group)(out.x, codes);
    out.scales[1] = 0.5f * LEVEL(quantize_group)(out.x + CRUMB_GROUP, codes + 2);
    LEVEL(store_sums)(LEVEL(fold)(LEVEL(fold)(codes[0], codes[1]), LEVEL(fold)(codes[2], codes[3])), -3, out.sums);
    memset(out.sums + 4, 0, 4 * sizeof(int32_t));
    i8x64 bytes, ordered;
    for (int t = 0; t < 4; t++) {
        i8x16 narrow = __builtin_convertvector(codes[t], i8x16);
        memcpy((int8_t *)&bytes + 16 * t, &narrow, 16);
    }
    ordered = __builtin_shufflevector(bytes, bytes, STEP2(0), STEP2(1), STEP2(2), STEP2(3));
    memcpy(out.bytes, &ordered, sizeof ordered);
}

static void LEVEL(prepare_packed)(
    const crumb_packed_shape *shape, const uint16_t *order, const float *x, crumb_packed_input out) {
    // In a pass of its own: wide loads of what was just stored piece by piece would wait for the stores.
    size_t channels = CRUMB_GROUP * crumb_packed_groups(shape), c = 0;
    for (; c + 64 <= channels; c += 64) LEVEL(gather)(64, order + c, x, out.x + c);
    if (c < channels) LEVEL(gather)(CRUMB_GROUP, order + c, x, out.x + c);

    size_t tiles4 = shape->four_bit_channels / CRUMB_TILE4_CHANNELS;
    size_t tiles2 = (shape->segment_channels - shape->four_bit_channels) / CRUMB_TILE2_CHANNELS;
    for (size_t segment = 0; segment < shape->segments; segment++) {
        for (size_t tile = 0; tile < tiles4; tile++, out = crumb_skip_groups(out, 1)) LEVEL(prepare_tile4)(out);
        for (size_t tile = 0; tile < tiles2; tile++, out = crumb_skip_groups(out, 2)) LEVEL(prepare_tile2)(out);
    }
}

#undef FOUR2
#undef STEP2
#undef FOUR4
#undef STEP4
