// The row dequantizer of the level in use, for kernels that call it once per block.
#ifndef CRUMB_DEQUANTIZE_H
#define CRUMB_DEQUANTIZE_H

#include "levels.h"

typedef void (*crumb_dequantize_function)(crumb_type type, const void *source, float *destination, size_t count);

crumb_dequantize_function crumb_dequantizer(void);

#endif
