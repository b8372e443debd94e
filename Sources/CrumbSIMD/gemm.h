// The product that every kind of weights shares: panels of some row tiles, one run of channels after the other.
#ifndef CRUMB_GEMM_H
#define CRUMB_GEMM_H

#include "levels.h"

// Where a product's panels come from.
typedef struct crumb_panel_source crumb_panel_source;
struct crumb_panel_source {
    // Panel of row tile `tile`, as in crumb_fill_panel_...; `self` begins with this struct.
    void (*fill)(
        const crumb_panel_source *self, size_t tile, size_t first_channel, size_t depth, void *scratch, float *panel);
    size_t rows;             // N
    size_t channels;         // of X's slabs
    size_t segment_channels; // no panel crosses their multiples
};

// y[0 ..< M][rows of the tiles first_tile ..< last_tile] = or += X W^T.
void crumb_gemm_tiles(
    const crumb_panel_source *source, size_t first_tile, size_t last_tile, const float *slabs, size_t m, void *scratch,
    float *y, size_t ldy, bool accumulate);

// Scratch memory: 32 rows of fp32 that are waiting to be transposed, then panels; each on a cache line. A row is 16
// floats longer than a panel is deep, so that the rows do not fall into the same cache sets.
enum {
    CRUMB_SCRATCH_ROW = CRUMB_PANEL_DEPTH + 16,
    CRUMB_PANEL_FLOATS = CRUMB_PANEL_WIDTH * CRUMB_PANEL_DEPTH,
};

CRUMB_INLINE float *crumb_rows_of(void *scratch) { return (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63); }

CRUMB_INLINE float *crumb_panels_of(void *scratch) {
    return crumb_rows_of(scratch) + CRUMB_PANEL_WIDTH * CRUMB_SCRATCH_ROW;
}

#endif
