// One token through a packed matrix: the input is rounded to int8 once, then every row tile is one pass over its
// records. crumb_packed_tile_* do the work.
#include "packed_decode.h"

#include "lanes.h"

#define CRUMB_BODY "packed_input_body.h"
#include "each_level.h"

size_t crumb_packed_input_bytes(const crumb_packed_shape *shape) { return 180 * crumb_packed_groups(shape); }

void crumb_prepare_packed_input(const crumb_packed_shape *shape, const uint16_t *order, const float *x, void *out) {
    CRUMB_PICK(prepare_packed)(shape, order, x, crumb_packed_input_at(shape, out));
}

void crumb_packed_gemv(
    const crumb_packed_shape *shape, const void *records, size_t first_tile, size_t last_tile, const void *prepared,
    float *y, bool accumulate) {
    crumb_packed_tile_function compute = CRUMB_PICK(crumb_packed_tile);
    crumb_packed_input input = crumb_packed_input_at(shape, prepared);
    for (size_t tile = first_tile; tile < last_tile; tile++) {
        float sums[CRUMB_TILE_ROWS];
        compute(shape, records, tile, input, sums);
        size_t row = tile * CRUMB_TILE_ROWS;
        if (row >= shape->rows) return;
        size_t count = crumb_min(shape->rows - row, CRUMB_TILE_ROWS);
        for (size_t i = 0; i < count; i++) y[row + i] = (accumulate ? y[row + i] : 0) + sums[i];
    }
}

typedef int16_t i16x32 __attribute__((vector_size(64)));
typedef uint16_t u16x32 __attribute__((vector_size(64)));

// What the words of a tile have in common: element 4 t + i.
typedef struct {
    int16_t x[8][32];
    int32_t offsets[16];
    float x_scales[16];
} tile_input;

CRUMB_INLINE void gather_tile(tile_input *out, const int bits, size_t tile, crumb_packed_input input) {
    const size_t steps = 8 / (size_t)bits;
    const int8_t *bytes = input.bytes + tile * 16 * steps;
    for (size_t lane = 0; lane < 16; lane++) {
        size_t t = lane / 4;
        // Channel 2 j + h of t lies at byte j / steps + 2 h of step j % steps.
        for (size_t j = 0; j < 2 * steps; j++) {
            out->x[j][2 * lane] = bytes[16 * (j % steps) + 4 * t + j / steps];
            out->x[j][2 * lane + 1] = bytes[16 * (j % steps) + 4 * t + j / steps + 2];
        }
        out->offsets[lane] = input.sums[(bits == 2 ? 8 : 4) * tile + t];
        out->x_scales[lane] = bits == 2 ? input.scales[2 * tile + t / 2] : input.scales[tile];
    }
}

// Plain vectors: the 16 words of one g as 32 halves. Half h of word (t, i) holds channels 2 j + h of t, one every
// `bits` bits. A half's products, at most 4 x 15 x 127 or 8 x 3 x 127, fit 16 bits.
CRUMB_INLINE void add_tiles(
    const uint8_t *codes, const uint8_t *scales, const int bits, size_t tiles, crumb_packed_input input,
    f32x16 sums[8]) {
    const uint32_t half_mask = (1u << bits) - 1, mask = half_mask << 16 | half_mask;
    const u32x16 nibble2 = {0, 4, 8, 12, 0, 4, 8, 12, 16, 20, 24, 28, 16, 20, 24, 28};
    const u32x16 nibble4 = {0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12};
    for (size_t tile = 0; tile < tiles; tile++, codes += CRUMB_TILE_BYTES) {
        tile_input common;
        gather_tile(&common, bits, tile, input);
        for (size_t g = 0; g < 8; g++) {
            u32x16 words;
            memcpy(&words, codes + 64 * g, sizeof words);
            i16x32 dots = {0};
#pragma clang loop unroll(full)
            for (int j = 0; j < 16 / bits; j++) {
                i16x32 x;
                memcpy(&x, common.x[j], sizeof x);
                dots += (i16x32)(words >> (bits * j) & mask) * x;
            }
            i32x16 offsets;
            f32x16 x_scales;
            memcpy(&offsets, common.offsets, sizeof offsets);
            memcpy(&x_scales, common.x_scales, sizeof x_scales);
            i32x16 dot = (((i32x16)dots << 16 >> 16) + ((i32x16)dots >> 16)) * 2 + offsets;
            u32x16 code = bits == 2 ? crumb_scales2(scales, g) >> nibble2 : crumb_scales4(scales, g) >> nibble4;
            i32x16 scale = (i32x16)((code & 15u) + CRUMB_SCALE_BIAS);
            sums[g] += __builtin_convertvector(dot, f32x16) * __builtin_convertvector(scale, f32x16) * x_scales;
        }
        scales += bits == 2 ? CRUMB_TILE2_SCALE_BYTES : CRUMB_TILE4_SCALE_BYTES;
    }
}

// out[g + 8 i] += row scale x the four t of sums[g].
static void apply_row_scales(const uint8_t *halves, const f32x16 sums[8], float *out) {
    for (size_t g = 0; g < 8; g++) {
        for (size_t i = 0; i < 4; i++) {
            float sum = (sums[g][i] + sums[g][8 + i]) + (sums[g][4 + i] + sums[g][12 + i]);
            out[g + 8 * i] += sum * crumb_half_to_float(crumb_read16(halves + 2 * (g + 8 * i)));
        }
    }
}

void crumb_packed_tile_portable(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out) {
    size_t tiles4 = shape->four_bit_channels / CRUMB_TILE4_CHANNELS;
    size_t tiles2 = (shape->segment_channels - shape->four_bit_channels) / CRUMB_TILE2_CHANNELS;
    float copies[CRUMB_OUTLIER_COPIES][CRUMB_TILE_ROWS] = {{0}};
    memset(out, 0, sizeof(float) * CRUMB_TILE_ROWS);
    for (size_t segment = 0; segment < shape->segments; segment++) {
        const uint8_t *record = crumb_record(shape, records, segment, tile);
        crumb_packed_input rest = crumb_skip_groups(input, tiles4);
        f32x16 four[8] = {0}, two[8] = {0};
        add_tiles(record, record + shape->scales4_offset, 4, tiles4, input, four);
        apply_row_scales(record + shape->row_scales_offset, four, out);
        add_tiles(record + shape->codes2_offset, record + shape->scales2_offset, 2, tiles2, rest, two);
        apply_row_scales(record + shape->row_scales_offset + 64, two, out);
        CRUMB_ADD_RECORD_OUTLIERS(shape, record, copies, rest.x, crumb_half_to_float);
        input = crumb_skip_groups(rest, 2 * tiles2);
    }
    for (size_t row = 0; row < CRUMB_TILE_ROWS; row++) {
        out[row] += (copies[0][row] + copies[1][row]) + (copies[2][row] + copies[3][row]);
    }
}
