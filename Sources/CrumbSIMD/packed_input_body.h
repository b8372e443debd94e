// Activations to int8 and into the order of packed_input.h.
#include "quantize_body.h"

// Byte 16 s + 4 t + b of a 2-bit unit comes from channel 16 t + 2 s + 8 (b % 2) + b / 2.
#define FOUR2(s, t) 16 * t + 2 * s, 16 * t + 2 * s + 8, 16 * t + 2 * s + 1, 16 * t + 2 * s + 9
#define STEP2(s) FOUR2(s, 0), FOUR2(s, 1), FOUR2(s, 2), FOUR2(s, 3)
// Byte 32 h + 16 s + 4 t + b of a 4-bit unit comes from channel 32 h + 8 t + 2 s + 4 (b % 2) + b / 2.
#define AT4(h, s, t) 32 * h + 8 * t + 2 * s
#define FOUR4(h, s, t) AT4(h, s, t), AT4(h, s, t) + 4, AT4(h, s, t) + 1, AT4(h, s, t) + 5
#define STEP4(h, s) FOUR4(h, s, 0), FOUR4(h, s, 1), FOUR4(h, s, 2), FOUR4(h, s, 3)

// out[c] = x[order[c]] for a unit, 0 for padding, which is rare: units without any take the short loop.
CRUMB_INLINE void LEVEL(gather)(const uint16_t *order, const float *x, float *out) {
    uint16_t last = 0;
    for (size_t c = 0; c < 64; c++) last = order[c] > last ? order[c] : last;
    if (last != CRUMB_PADDING_CHANNEL) {
#pragma clang loop vectorize(disable) unroll(full)
        for (size_t c = 0; c < 64; c++) out[c] = x[order[c]];
    } else {
        for (size_t c = 0; c < 64; c++) out[c] = order[c] == CRUMB_PADDING_CHANNEL ? 0 : x[order[c]];
    }
}

// Sums of the four runs of 16 lanes, in lanes 0, 4, 8, 12 of the result; with `eights`, of the eight runs of 8 lanes in
// lanes 0, 2, 4 ... 14.
CRUMB_INLINE i32x16 LEVEL(run_sums)(const i32x16 v[4], bool eights) {
    i32x16 a = v[0], b = v[1], c = v[2], d = v[3];
    // Runs of 4 lanes per 8: (a, b) and (c, d) side by side.
    i32x16 ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
        + __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    i32x16 cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
        + __builtin_shufflevector(c, d, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    // Runs of 2 lanes per 8.
    i32x16 all = __builtin_shufflevector(ab, cd, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29)
        + __builtin_shufflevector(ab, cd, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
    all += __builtin_shufflevector(all, all, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    if (eights) return all;
    return all + __builtin_shufflevector(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

static void LEVEL(prepare_packed)(
    const crumb_packed_shape *shape, const uint16_t *order, const float *x, crumb_packed_input out)
{
    size_t units_of_segment = shape->segment_channels / CRUMB_UNIT;
    size_t four_bit_units = shape->four_bit_channels / CRUMB_UNIT;
    size_t units = crumb_packed_units(shape);
    // In a pass of its own: wide loads of what was just stored piece by piece would wait for the stores.
    for (size_t u = 0; u < units; u++) LEVEL(gather)(order + 64 * u, x, out.x + 64 * u);
    for (size_t u = 0; u < units; u++, out.bytes += 64, out.sums += 8, out.scales += 2, out.x += 64) {
        i32x16 codes[4];
        out.scales[0] = 0.5f * LEVEL(quantize_group)(out.x, codes);
        out.scales[1] = 0.5f * LEVEL(quantize_group)(out.x + 32, codes + 2);
        i8x64 bytes, ordered;
        for (int t = 0; t < 4; t++) {
            i8x16 narrow = __builtin_convertvector(codes[t], i8x16);
            memcpy((int8_t *)&bytes + 16 * t, &narrow, 16);
        }
        if (u % units_of_segment >= four_bit_units) {
            ordered = __builtin_shufflevector(bytes, bytes, STEP2(0), STEP2(1), STEP2(2), STEP2(3));
            i32x16 sums = LEVEL(run_sums)(codes, false) * -3;
            for (int t = 0; t < 8; t++) out.sums[t] = t < 4 ? sums[4 * t] : 0;
        } else {
            ordered = __builtin_shufflevector(bytes, bytes, STEP4(0, 0), STEP4(0, 1), STEP4(1, 0), STEP4(1, 1));
            i32x16 sums = LEVEL(run_sums)(codes, true) * -15;
            for (int t = 0; t < 8; t++) out.sums[t] = sums[2 * t];
        }
        memcpy(out.bytes, &ordered, 64);
    }
}

#undef FOUR2
#undef STEP2
#undef AT4
#undef FOUR4
#undef STEP4
