// One panel times all slabs: the step that every kind of weights shares.
#ifndef CRUMB_GEMM_H
#define CRUMB_GEMM_H

#include "levels.h"

// y (M, ldy), at the panel's first output feature, = or += the slabs' channels first_channel ..< first_channel + depth
// times the panel.
void crumb_gemm_slabs(
    const float *slabs, size_t channels, size_t m, const float *panel, size_t first_channel, size_t depth, float *y,
    size_t ldy, size_t width, bool accumulate);

// The panel at the head of the scratch memory, on a cache line.
CRUMB_INLINE float *crumb_panel_of(void *scratch) {
    return (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
}

#endif
