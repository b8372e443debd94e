// Panels and products of dense and of grouped rows.
#include "dequantize.h"
#include "gemm.h"

#define CRUMB_BODY "panel_dense_body.h"
#include "each_level.h"

// Scratch memory: a panel, then 32 rows of fp32 that are waiting to be transposed. A row is 16 floats longer than a
// panel is deep, so that the rows do not fall into the same cache sets.
enum { SCRATCH_ROW = CRUMB_PANEL_DEPTH + 16 };

size_t crumb_gemm_scratch_bytes(void) {
    return 64 + sizeof(float) * CRUMB_PANEL_WIDTH * (CRUMB_PANEL_DEPTH + SCRATCH_ROW);
}

static float *rows_of(void *scratch) { return crumb_panel_of(scratch) + CRUMB_PANEL_WIDTH * CRUMB_PANEL_DEPTH; }

void crumb_fill_panel_dense(
    crumb_type type, const void *rows, size_t row_bytes, size_t width, size_t first_channel, size_t depth,
    void *scratch, float *panel)
{
    if (type <= CRUMB_BF16) {
        CRUMB_PICK(fill_plain)(type, rows, row_bytes, width, first_channel, depth, panel);
        return;
    }
    crumb_dequantize_function dequantize = crumb_dequantizer();
    float *values = rows_of(scratch);
    const uint8_t *blocks =
        (const uint8_t *)rows + first_channel / crumb_block_weights(type) * crumb_block_bytes(type);
    for (size_t k = 0, run; k < depth; k += run) {
        run = crumb_min(depth - k, CRUMB_PANEL_DEPTH);
        for (size_t j = 0; j < width; j++) dequantize(type, blocks + j * row_bytes, values + j * SCRATCH_ROW, run);
        CRUMB_PICK(fill_plain)(
            CRUMB_F32, values, SCRATCH_ROW * sizeof(float), width, 0, run, panel + k * CRUMB_PANEL_WIDTH);
        blocks += run / crumb_block_weights(type) * crumb_block_bytes(type);
    }
}

void crumb_fill_panel_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t k, size_t width, size_t first_channel, size_t depth,
    void *scratch, float *panel)
{
    float *values = rows_of(scratch);
    for (size_t done = 0, run; done < depth; done += run) {
        run = crumb_min(depth - done, CRUMB_PANEL_DEPTH);
        for (size_t j = 0; j < width; j++) {
            size_t at = j * k + first_channel + done;
            crumb_dequantize_grouped_row(
                bits, (const uint8_t *)codes + at * (size_t)bits / 8, scales + at / CRUMB_GROUP,
                values + j * SCRATCH_ROW, run);
        }
        CRUMB_PICK(fill_plain)(
            CRUMB_F32, values, SCRATCH_ROW * sizeof(float), width, 0, run, panel + done * CRUMB_PANEL_WIDTH);
    }
}

void crumb_fill_panel_halves(const uint16_t *source, size_t stride, size_t width, size_t depth, float *panel) {
    CRUMB_PICK(fill_halves)(source, stride, width, depth, panel);
}

void crumb_gemm_dense_tile(
    crumb_type type, const void *w, size_t row_bytes, size_t n, size_t k, size_t tile, const float *slabs, size_t m,
    void *scratch, float *y, size_t ldy, bool accumulate)
{
    float *panel = crumb_panel_of(scratch);
    size_t row = tile * CRUMB_PANEL_WIDTH, width = crumb_min(n - row, CRUMB_PANEL_WIDTH);
    const uint8_t *rows = (const uint8_t *)w + row * row_bytes;
    for (size_t done = 0, depth; done < k; done += depth) {
        depth = crumb_min(k - done, CRUMB_PANEL_DEPTH);
        crumb_fill_panel_dense(type, rows, row_bytes, width, done, depth, scratch, panel);
        crumb_gemm_slabs(slabs, k, m, panel, done, depth, y + row, ldy, width, accumulate || done > 0);
    }
}

void crumb_gemm_grouped_tile(
    int bits, const void *codes, const uint16_t *scales, size_t n, size_t k, size_t tile, const float *slabs, size_t m,
    void *scratch, float *y, size_t ldy, bool accumulate)
{
    float *panel = crumb_panel_of(scratch);
    size_t row = tile * CRUMB_PANEL_WIDTH, width = crumb_min(n - row, CRUMB_PANEL_WIDTH);
    const uint8_t *rows = (const uint8_t *)codes + row * k * (size_t)bits / 8;
    for (size_t done = 0, depth; done < k; done += depth) {
        depth = crumb_min(k - done, CRUMB_PANEL_DEPTH);
        crumb_fill_panel_grouped(
            bits, rows, scales + row * k / CRUMB_GROUP, k, width, done, depth, scratch, panel);
        crumb_gemm_slabs(slabs, k, m, panel, done, depth, y + row, ldy, width, accumulate || done > 0);
    }
}
