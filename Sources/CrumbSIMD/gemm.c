// y = X P for a panel P that is already fp32, and X cut into slabs.
#include "gemm.h"

#define CRUMB_BODY "gemm_body.h"
#include "each_level.h"

size_t crumb_slab_floats(size_t m, size_t channels) { return crumb_round_up(m, CRUMB_SLAB_TOKENS) * channels; }

void crumb_fill_slabs(
    const float *x, size_t ldx, size_t m, size_t channels, const uint16_t *order, size_t first_slab, size_t last_slab,
    float *slabs) {
    for (size_t slab = first_slab; slab < last_slab; slab++) {
        size_t token = slab * CRUMB_SLAB_TOKENS;
        if (token >= m) return;
        CRUMB_PICK(fill_slab)(
            x + token * ldx, ldx, crumb_min(m - token, CRUMB_SLAB_TOKENS), channels, order, slabs + token * channels);
    }
}

void crumb_gemm_panel(
    const float *x, size_t ldx, size_t m, const float *panel, size_t depth, float *y, size_t ldy, size_t width,
    bool accumulate) {
    CRUMB_PICK(gemm_panel)(x, ldx, m, panel, depth, y, ldy, width, accumulate);
}

size_t crumb_gemm_scratch_bytes(void) {
    return 64 + sizeof(float) * (CRUMB_PANEL_WIDTH * CRUMB_SCRATCH_ROW + CRUMB_GEMM_TILES * CRUMB_PANEL_FLOATS);
}

void crumb_gemm_tiles(
    const crumb_panel_source *source, size_t first_tile, size_t last_tile, const float *slabs, size_t m, void *scratch,
    float *y, size_t ldy, bool accumulate) {
    float *panels = crumb_panels_of(scratch);
    for (size_t first = first_tile, last; first < last_tile; first = last) {
        last = crumb_min(first + CRUMB_GEMM_TILES, last_tile);
        size_t row = first * CRUMB_PANEL_WIDTH, width = crumb_min(last * CRUMB_PANEL_WIDTH, source->rows) - row;
        for (size_t k = 0, depth; k < source->channels; k += depth) {
            depth = crumb_min(source->segment_channels - k % source->segment_channels, CRUMB_PANEL_DEPTH);
            for (size_t tile = first; tile < last; tile++) {
                source->fill(source, tile, k, depth, scratch, panels + (tile - first) * CRUMB_PANEL_FLOATS);
            }
            CRUMB_PICK(gemm_slabs)(
                slabs, source->channels, m, panels, k, depth, y + row, ldy, width, accumulate || k > 0);
        }
    }
}
