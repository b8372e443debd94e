// Rows of every stored type to fp32.
#include "blocks.h"
#include "dequantize.h"

#define CRUMB_BODY "dequantize_body.h"
#include "each_level.h"

size_t crumb_block_weights(crumb_type type) { return crumb_weights_of(type); }

size_t crumb_block_bytes(crumb_type type) { return crumb_bytes_of(type); }

crumb_dequantize_function crumb_dequantizer(void) { return CRUMB_PICK(dequantize_row); }

void crumb_dequantize_row(crumb_type type, const void *source, float *destination, size_t count) {
    CRUMB_PICK(dequantize_row)(type, source, destination, count);
}
