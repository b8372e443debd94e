// Panels and products of packed 2/4/16-bit matrices.
#include "gemm.h"
#include "packed.h"

#define CRUMB_BODY "panel_packed_body.h"
#include "each_level.h"

void crumb_fill_panel_packed(
    const crumb_packed_shape *shape, const void *records, size_t tile, size_t first_channel, size_t depth,
    float *panel)
{
    size_t segment = first_channel / shape->segment_channels;
    const uint8_t *record = crumb_record(shape, records, segment, tile);
    CRUMB_PICK(fill_packed)(shape, record, first_channel - segment * shape->segment_channels, depth, panel);
}

void crumb_gemm_packed_tile(
    const crumb_packed_shape *shape, const void *records, size_t tile, const float *slabs, size_t m, void *scratch,
    float *y, size_t ldy, bool accumulate)
{
    float *panel = crumb_panel_of(scratch);
    size_t channels = (size_t)shape->segments * shape->segment_channels;
    size_t row = tile * CRUMB_TILE_ROWS, width = crumb_min(shape->rows - row, CRUMB_TILE_ROWS);
    for (size_t segment = 0; segment < shape->segments; segment++) {
        size_t start = segment * shape->segment_channels, depth;
        for (size_t k = 0; k < shape->segment_channels; k += depth) {
            depth = crumb_min(shape->segment_channels - k, CRUMB_PANEL_DEPTH);
            CRUMB_PICK(fill_packed)(shape, crumb_record(shape, records, segment, tile), k, depth, panel);
            crumb_gemm_slabs(
                slabs, channels, m, panel, start + k, depth, y + row, ldy, width, accumulate || start + k > 0);
        }
    }
}
