// The microkernel: R tokens x 2 registers of output features, one multiply-add chain per output over the panel's k.
//
//          2 LANES columns of P        12 x 32 (AVX-512), 6 x 16 (AVX2), 4 x 8 (portable): R x 2 sums, 2 columns of
//   X  R [ sum  sum ]                  P and one broadcast value stay in registers. Per k: 2 + R loads, 2 R
//        [ ...      ]                  multiply-adds; on Zen 5 both units are busy from R = 6 on.

typedef float LEVEL(register) __attribute__((vector_size(4 * LANES)));

#define STRIP (2 * LANES)
#define BLOCK_TOKENS (LANES == 16 ? 12 : LANES == 8 ? 6 : 4)

// x[token * token_stride + k * k_stride]. y: R rows of `width` <= STRIP.
CRUMB_INLINE void LEVEL(block)(
    const int tokens, const float *x, size_t token_stride, size_t k_stride, const float *panel, size_t depth, float *y,
    size_t ldy, size_t width, bool accumulate) {
    LEVEL(register) sums[12][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < tokens; r++) sums[r][0] = sums[r][1] = (LEVEL(register)){0};
    for (size_t k = 0; k < depth; k++) {
        LEVEL(register) p0, p1;
        memcpy(&p0, panel + CRUMB_PANEL_WIDTH * k, sizeof p0);
        memcpy(&p1, panel + CRUMB_PANEL_WIDTH * k + LANES, sizeof p1);
#pragma clang loop unroll(full)
        for (int r = 0; r < tokens; r++) {
            float value = x[(size_t)r * token_stride];
            sums[r][0] = value * p0 + sums[r][0];
            sums[r][1] = value * p1 + sums[r][1];
        }
        x += k_stride;
    }
    if (width == STRIP) {
#pragma clang loop unroll(full)
        for (int r = 0; r < tokens; r++, y += ldy) {
            LEVEL(register) y0 = {0}, y1 = {0};
            if (accumulate) {
                memcpy(&y0, y, sizeof y0);
                memcpy(&y1, y + LANES, sizeof y1);
            }
            y0 += sums[r][0];
            y1 += sums[r][1];
            memcpy(y, &y0, sizeof y0);
            memcpy(y + LANES, &y1, sizeof y1);
        }
        return;
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < tokens; r++, y += ldy) {
        float row[STRIP];
        memcpy(row, sums[r], sizeof row);
        for (size_t j = 0; j < width; j++) y[j] = (accumulate ? y[j] : 0.0f) + row[j];
    }
}

// `tokens` <= BLOCK_TOKENS at run time; every count has its own straight code.
CRUMB_INLINE void LEVEL(any_block)(
    size_t tokens, const float *x, size_t token_stride, size_t k_stride, const float *panel, size_t depth, float *y,
    size_t ldy, size_t width, bool accumulate) {
#define CASE(r) \
    case r: LEVEL(block)(r, x, token_stride, k_stride, panel, depth, y, ldy, width, accumulate); break;
    switch (tokens) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
#if LANES >= 8
        CASE(5)
        CASE(6)
#endif
#if LANES >= 16
        CASE(7)
        CASE(8)
        CASE(9)
        CASE(10)
        CASE(11)
        CASE(12)
#endif
    }
#undef CASE
}

// Slabs' channels first_channel ..< first_channel + depth times the panels of `width` output features, which all meet
// a slab while it is in the first-level cache.
static void LEVEL(gemm_slabs)(
    const float *slabs, size_t channels, size_t m, const float *panels, size_t first_channel, size_t depth, float *y,
    size_t ldy, size_t width, bool accumulate) {
    for (size_t slab = 0; slab * CRUMB_SLAB_TOKENS < m; slab++) {
        const float *x = slabs + (slab * channels + first_channel) * CRUMB_SLAB_TOKENS;
        size_t tokens = crumb_min(m - slab * CRUMB_SLAB_TOKENS, CRUMB_SLAB_TOKENS);
        float *rows = y + slab * CRUMB_SLAB_TOKENS * ldy;
        for (size_t j = 0; j < width; j += STRIP) {
            const float *panel = panels + j / CRUMB_PANEL_WIDTH * CRUMB_PANEL_FLOATS + j % CRUMB_PANEL_WIDTH;
            for (size_t t = 0; t < tokens; t += BLOCK_TOKENS) {
                LEVEL(any_block)(
                    crumb_min(tokens - t, BLOCK_TOKENS), x + t, 1, CRUMB_SLAB_TOKENS, panel, depth, rows + t * ldy + j,
                    ldy, crumb_min(width - j, STRIP), accumulate);
            }
        }
    }
}

static void LEVEL(gemm_panel)(
    const float *x, size_t ldx, size_t m, const float *panel, size_t depth, float *y, size_t ldy, size_t width,
    bool accumulate) {
    for (size_t t = 0; t < m; t += BLOCK_TOKENS) {
        for (size_t j = 0; j < width; j += STRIP) {
            LEVEL(any_block)(
                crumb_min(m - t, BLOCK_TOKENS), x + t * ldx, ldx, 1, panel + j, depth, y + t * ldy + j, ldy,
                crumb_min(width - j, STRIP), accumulate);
        }
    }
}

// Tokens side by side: 12 rows of 16 channels are transposed at a time.
static void LEVEL(fill_slab)(
    const float *x, size_t ldx, size_t tokens, size_t channels, const uint16_t *order, float *slab) {
    size_t k = 0;
    if (order == NULL) {
        for (; k + 16 <= channels; k += 16) {
            f32x16 v[16];
#pragma clang loop unroll(full)
            for (size_t r = 0; r < 16; r++) v[r] = r < tokens ? LEVEL(load)(x + r * ldx + k) : LEVEL(splat)(0);
            LEVEL(transpose)(v);
            for (size_t c = 0; c < 16; c++) memcpy(slab + (k + c) * CRUMB_SLAB_TOKENS, &v[c], 4 * CRUMB_SLAB_TOKENS);
        }
    }
    for (; k < channels; k++) {
        size_t source = order == NULL ? k : order[k];
        float *out = slab + k * CRUMB_SLAB_TOKENS;
        bool padding = order != NULL && source == CRUMB_PADDING_CHANNEL;
        for (size_t r = 0; r < CRUMB_SLAB_TOKENS; r++) out[r] = r < tokens && !padding ? x[r * ldx + source] : 0;
    }
}

#undef STRIP
#undef BLOCK_TOKENS
