// Panels and products of packed 2/4/16-bit matrices.
#include "gemm.h"
#include "packed.h"

#define CRUMB_BODY "panel_packed_body.h"
#include "each_level.h"

void crumb_fill_panel_packed(
    const crumb_packed_shape *shape, const void *records, size_t tile, size_t first_channel, size_t depth,
    float *panel) {
    size_t segment = first_channel / shape->segment_channels;
    const uint8_t *record = crumb_record(shape, records, segment, tile);
    CRUMB_PICK(fill_packed)(shape, record, first_channel - segment * shape->segment_channels, depth, panel);
}

typedef struct {
    crumb_panel_source source;
    const crumb_packed_shape *shape;
    const void *records;
} packed_source;

static void packed_panel(
    const crumb_panel_source *self, size_t tile, size_t first_channel, size_t depth, void *scratch, float *panel) {
    (void)scratch;
    const packed_source *it = (const packed_source *)self;
    crumb_fill_panel_packed(it->shape, it->records, tile, first_channel, depth, panel);
}

void crumb_gemm_packed(
    const crumb_packed_shape *shape, const void *records, size_t first_tile, size_t last_tile, const float *slabs,
    size_t m, void *scratch, float *y, size_t ldy, bool accumulate) {
    size_t channels = (size_t)shape->segments * shape->segment_channels;
    packed_source it = {{packed_panel, shape->rows, channels, shape->segment_channels}, shape, records};
    crumb_gemm_tiles(&it.source, first_tile, last_tile, slabs, m, scratch, y, ldy, accumulate);
}
