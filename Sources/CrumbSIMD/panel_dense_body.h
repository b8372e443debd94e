// Panels of dense rows: 16 x 16 transposes.

// Rows of a plain type from element `first` on. `type` is a constant in every use.
CRUMB_INLINE void LEVEL(transpose_rows)(
    const crumb_type type, const uint8_t *rows, size_t row_bytes, size_t width, size_t first, size_t depth,
    float *panel) {
    size_t k = 0;
    for (; k + 16 <= depth; k += 16) {
        for (size_t j = 0; j < CRUMB_PANEL_WIDTH; j += 16) {
            f32x16 v[16];
#pragma clang loop unroll(full)
            for (size_t r = 0; r < 16; r++) {
                v[r] = j + r < width ? LEVEL(load_as)(type, rows + (j + r) * row_bytes, first + k) : LEVEL(splat)(0);
            }
            LEVEL(transpose)(v);
#pragma clang loop unroll(full)
            for (size_t c = 0; c < 16; c++) LEVEL(store)(panel + (k + c) * CRUMB_PANEL_WIDTH + j, v[c]);
        }
    }
    for (; k < depth; k++) {
        for (size_t j = 0; j < CRUMB_PANEL_WIDTH; j++) {
            panel[k * CRUMB_PANEL_WIDTH + j] = j < width ? LEVEL(element_as)(type, rows + j * row_bytes, first + k) : 0;
        }
    }
}

static void LEVEL(fill_plain)(
    crumb_type type, const void *rows, size_t row_bytes, size_t width, size_t first, size_t depth, float *panel) {
    switch (type) {
    case CRUMB_F32: LEVEL(transpose_rows)(CRUMB_F32, rows, row_bytes, width, first, depth, panel); return;
    case CRUMB_F16: LEVEL(transpose_rows)(CRUMB_F16, rows, row_bytes, width, first, depth, panel); return;
    default: LEVEL(transpose_rows)(CRUMB_BF16, rows, row_bytes, width, first, depth, panel); return;
    }
}

static void LEVEL(fill_halves)(const uint16_t *source, size_t stride, size_t width, size_t depth, float *panel) {
    for (size_t k = 0; k < depth; k++, source += stride, panel += CRUMB_PANEL_WIDTH) {
        size_t j = 0;
        for (; j + 16 <= width; j += 16) LEVEL(store)(panel + j, LEVEL(load_halves)(source + j));
        for (; j < width; j++) panel[j] = LEVEL(half_to_float)(source[j]);
        for (; j < CRUMB_PANEL_WIDTH; j++) panel[j] = 0;
    }
}
