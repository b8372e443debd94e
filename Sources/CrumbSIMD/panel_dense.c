// Panels and products of dense and of grouped rows.
#include "dequantize.h"
#include "gemm.h"

#define CRUMB_BODY "panel_dense_body.h"
#include "each_level.h"

void crumb_fill_panel_dense(
    crumb_type type, const void *rows, size_t row_bytes, size_t width, size_t first_channel, size_t depth,
    void *scratch, float *panel) {
    if (type <= CRUMB_BF16) {
        CRUMB_PICK(fill_plain)(type, rows, row_bytes, width, first_channel, depth, panel);
        return;
    }
    crumb_dequantize_function dequantize = crumb_dequantizer();
    float *values = crumb_rows_of(scratch);
    const uint8_t *blocks = (const uint8_t *)rows + first_channel / crumb_block_weights(type) * crumb_block_bytes(type);
    for (size_t k = 0, run; k < depth; k += run) {
        run = crumb_min(depth - k, CRUMB_PANEL_DEPTH);
        for (size_t j = 0; j < width; j++) {
            dequantize(type, blocks + j * row_bytes, values + j * CRUMB_SCRATCH_ROW, run);
        }
        CRUMB_PICK(fill_plain)(
            CRUMB_F32, values, CRUMB_SCRATCH_ROW * sizeof(float), width, 0, run, panel + k * CRUMB_PANEL_WIDTH);
        blocks += run / crumb_block_weights(type) * crumb_block_bytes(type);
    }
}

void crumb_fill_panel_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t k, size_t width, size_t first_channel, size_t depth,
    void *scratch, float *panel) {
    float *values = crumb_rows_of(scratch);
    for (size_t done = 0, run; done < depth; done += run) {
        run = crumb_min(depth - done, CRUMB_PANEL_DEPTH);
        for (size_t j = 0; j < width; j++) {
            size_t at = j * k + first_channel + done;
            crumb_dequantize_grouped_row(
                bits, (const uint8_t *)codes + at * (size_t)bits / 8, scales + at / CRUMB_GROUP,
                values + j * CRUMB_SCRATCH_ROW, run);
        }
        CRUMB_PICK(fill_plain)(
            CRUMB_F32, values, CRUMB_SCRATCH_ROW * sizeof(float), width, 0, run, panel + done * CRUMB_PANEL_WIDTH);
    }
}

void crumb_fill_panel_halves(const uint16_t *source, size_t stride, size_t width, size_t depth, float *panel) {
    CRUMB_PICK(fill_halves)(source, stride, width, depth, panel);
}

typedef struct {
    crumb_panel_source source;
    crumb_type type;
    const uint8_t *rows;
    size_t row_bytes;
} dense_source;

static void dense_panel(
    const crumb_panel_source *self, size_t tile, size_t first_channel, size_t depth, void *scratch, float *panel) {
    const dense_source *it = (const dense_source *)self;
    size_t row = tile * CRUMB_PANEL_WIDTH, width = crumb_min(self->rows - row, CRUMB_PANEL_WIDTH);
    crumb_fill_panel_dense(
        it->type, it->rows + row * it->row_bytes, it->row_bytes, width, first_channel, depth, scratch, panel);
}

void crumb_gemm_dense(
    crumb_type type, const void *w, size_t row_bytes, size_t n, size_t k, size_t first_tile, size_t last_tile,
    const float *slabs, size_t m, void *scratch, float *y, size_t ldy, bool accumulate) {
    dense_source it = {{dense_panel, n, k, k}, type, w, row_bytes};
    crumb_gemm_tiles(&it.source, first_tile, last_tile, slabs, m, scratch, y, ldy, accumulate);
}

typedef struct {
    crumb_panel_source source;
    int bits;
    const uint8_t *codes;
    const uint16_t *scales;
} grouped_source;

static void grouped_panel(
    const crumb_panel_source *self, size_t tile, size_t first_channel, size_t depth, void *scratch, float *panel) {
    const grouped_source *it = (const grouped_source *)self;
    size_t row = tile * CRUMB_PANEL_WIDTH, width = crumb_min(self->rows - row, CRUMB_PANEL_WIDTH);
    size_t k = self->channels;
    crumb_fill_panel_grouped(
        it->bits, it->codes + row * k * (size_t)it->bits / 8, it->scales + row * k / CRUMB_GROUP, k, width,
        first_channel, depth, scratch, panel);
}

void crumb_gemm_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t n, size_t k, size_t first_tile, size_t last_tile,
    const float *slabs, size_t m, void *scratch, float *y, size_t ldy, bool accumulate) {
    grouped_source it = {{grouped_panel, n, k, k}, bits, codes, scales};
    crumb_gemm_tiles(&it.source, first_tile, last_tile, slabs, m, scratch, y, ldy, accumulate);
}
