// Embedding and output head in 8 or 4 bits with one scale for each 32 channels.
#include "grouped.h"

#include "lanes.h"

#define CRUMB_BODY "grouped_body.h"
#include "each_level.h"

void crumb_dequantize_grouped_row(int bits, const void *codes, const uint16_t *scales, float *destination, size_t k) {
    CRUMB_PICK(dequantize_grouped)(bits, codes, scales, destination, k);
}

size_t crumb_grouped_input_bytes(int bits, size_t k) {
    size_t chunk = crumb_grouped_chunk(bits), padded = crumb_round_up(k, chunk);
    return padded + padded / chunk * 64 + crumb_round_up(padded / CRUMB_GROUP, 16) * sizeof(float);
}

void crumb_prepare_grouped_input(int bits, const float *x, size_t k, void *out) {
    CRUMB_PICK(prepare_grouped)(bits, x, k, crumb_grouped_input_at(bits, k, out));
}

void crumb_gemv_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t first_row, size_t last_row, size_t k,
    const void *prepared, float *y, bool accumulate) {
    if (first_row >= last_row) return;
    CRUMB_PICK(crumb_grouped_rows)(
        bits, (const uint8_t *)codes + first_row * k * (size_t)bits / 8, scales + first_row * k / CRUMB_GROUP,
        last_row - first_row, k, crumb_grouped_input_at(bits, k, prepared), y + first_row, accumulate);
}

void crumb_grouped_rows_portable(
    int bits, const uint8_t *codes, const uint16_t *scales, size_t rows, size_t k, crumb_grouped_input input, float *y,
    bool accumulate) {
    size_t groups = k / CRUMB_GROUP, group_bytes = CRUMB_GROUP * (size_t)bits / 8;
    for (size_t row = 0; row < rows; row++) {
        float sum = 0;
        for (size_t group = 0; group < groups; group++, codes += group_bytes) {
            int32_t dot = 0;
            if (bits == 8) {
                const int8_t *x = input.bytes + group * CRUMB_GROUP;
                for (size_t i = 0; i < CRUMB_GROUP; i++) dot += (int8_t)codes[i] * x[i];
            } else {
                const int8_t *x = input.bytes + group / 4 * 128 + group % 4 * 16;
                for (size_t i = 0; i < CRUMB_GROUP / 2; i++) {
                    dot += ((codes[i] & 15) - 8) * x[i] + ((codes[i] >> 4) - 8) * x[64 + i];
                }
            }
            sum += (float)dot * (crumb_half_to_float(*scales++) * input.scales[group]);
        }
        y[row] = (accumulate ? y[row] : 0) + sum;
    }
}
