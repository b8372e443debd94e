// y = X P for a panel P that is already fp32, and X cut into slabs.
#include "gemm.h"

#define CRUMB_BODY "gemm_body.h"
#include "each_level.h"

size_t crumb_slab_floats(size_t m, size_t channels) {
    return crumb_round_up(m, CRUMB_SLAB_TOKENS) * channels;
}

void crumb_fill_slabs(
    const float *x, size_t ldx, size_t m, size_t channels, const uint16_t *order, size_t first_slab, size_t last_slab,
    float *slabs)
{
    for (size_t slab = first_slab; slab < last_slab; slab++) {
        size_t token = slab * CRUMB_SLAB_TOKENS;
        if (token >= m) return;
        CRUMB_PICK(fill_slab)(
            x + token * ldx, ldx, crumb_min(m - token, CRUMB_SLAB_TOKENS), channels, order, slabs + token * channels);
    }
}

void crumb_gemm_panel(
    const float *x, size_t ldx, size_t m, const float *panel, size_t depth, float *y, size_t ldy, size_t width,
    bool accumulate)
{
    CRUMB_PICK(gemm_panel)(x, ldx, m, panel, depth, y, ldy, width, accumulate);
}

void crumb_gemm_slabs(
    const float *slabs, size_t channels, size_t m, const float *panel, size_t first_channel, size_t depth, float *y,
    size_t ldy, size_t width, bool accumulate)
{
    CRUMB_PICK(gemm_slabs)(slabs, channels, m, panel, first_channel, depth, y, ldy, width, accumulate);
}
