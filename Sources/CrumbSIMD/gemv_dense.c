// One token through a dense matrix of any stored type.
#include "blocks.h"

// How far ahead rows are asked for; beyond a page, where the hardware stops. Measured best on Zen 5.
enum { PREFETCH_BYTES = 8192 };

#define CRUMB_BODY "gemv_dense_body.h"
#include "each_level.h"

void crumb_gemv_dense(
    crumb_type type, const void *w, size_t row_bytes, size_t first_row, size_t last_row, size_t k, const float *x,
    float *y, bool accumulate) {
    if (first_row >= last_row) return;
    CRUMB_PICK(gemv_dense)(
        type, (const uint8_t *)w + first_row * row_bytes, row_bytes, last_row - first_row, k, x, y + first_row,
        accumulate);
}
