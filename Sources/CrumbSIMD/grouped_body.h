// Grouped rows to fp32, and activations into the order of grouped.h.
#include "quantize_body.h"

static void LEVEL(dequantize_grouped)(int bits, const uint8_t *codes, const uint16_t *halves, float *out, size_t k) {
    for (size_t group = 0; group < k / CRUMB_GROUP; group++, out += CRUMB_GROUP) {
        f32x16 scales = LEVEL(splat)(LEVEL(half_to_float)(halves[group]));
        if (bits == 8) {
            LEVEL(store)(out, LEVEL(to_float)(LEVEL(load_signed)(codes)) * scales);
            LEVEL(store)(out + 16, LEVEL(to_float)(LEVEL(load_signed)(codes + 16)) * scales);
            codes += CRUMB_GROUP;
        } else {
            i32x16 bytes = LEVEL(load_unsigned)(codes);
            f32x16 even = LEVEL(to_float)((bytes & 15) - 8) * scales;
            f32x16 odd = LEVEL(to_float)((bytes >> 4) - 8) * scales;
            LEVEL(store)(
                out, __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
            LEVEL(store)(
                out + 16,
                __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
            codes += CRUMB_GROUP / 2;
        }
    }
}

static void LEVEL(prepare_grouped)(int bits, const float *x, size_t k, crumb_grouped_input out) {
    size_t chunk = crumb_grouped_chunk(bits), padded = crumb_round_up(k, chunk);
    size_t groups = crumb_round_up(padded / CRUMB_GROUP, 16);
    for (size_t group = 0; group < groups; group++) {
        if (group * CRUMB_GROUP >= k) {
            out.scales[group] = 0;
            if (group * CRUMB_GROUP >= padded) continue;
        }
        i8x16 narrow[2] = {0};
        if (group * CRUMB_GROUP < k) {
            i32x16 codes[2];
            out.scales[group] = LEVEL(quantize_group)(x + group * CRUMB_GROUP, codes);
            narrow[0] = __builtin_convertvector(codes[0], i8x16);
            narrow[1] = __builtin_convertvector(codes[1], i8x16);
        }
        if (bits == 8) {
            memcpy(out.bytes + group * CRUMB_GROUP, narrow, sizeof narrow);
        } else {
            i8x16 even = __builtin_shufflevector(
                narrow[0], narrow[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            i8x16 odd = __builtin_shufflevector(
                narrow[0], narrow[1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            int8_t *at = out.bytes + group / 4 * 128 + group % 4 * 16;
            memcpy(at, &even, 16);
            memcpy(at + 64, &odd, 16);
        }
    }
    for (size_t c = 0; c < padded / chunk; c++) {
        const int8_t *bytes = out.bytes + c * chunk;
        for (size_t lane = 0; lane < 16; lane++) {
            int32_t sum = 0;
            for (size_t b = 0; b < 4; b++) {
                sum += bytes[4 * lane + b];
                if (bits == 4) sum += bytes[64 + 4 * lane + b];
            }
            out.offsets[16 * c + lane] = (bits == 8 ? -128 : -8) * sum;
        }
    }
}
