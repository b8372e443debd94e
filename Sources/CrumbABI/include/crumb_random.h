// Argument structs of the kernels that make random weights on the card, so that speed can be measured on shapes of
// models without their checkpoints. Letters as in crumb_kernels.h.
#ifndef CRUMB_RANDOM_H
#define CRUMB_RANDOM_H

#include "crumb_kernels.h"

enum { CRUMB_RANDOM_THREADS = 256 };

// Records of a packed matrix: random codes and scale codes, row scales as given, every outlier entry in use.
typedef struct {
    CRUMB_DEVICE(uint8_t) records; // [segments][row tiles][record_bytes]
    uint64_t seed;
    crumb_packed_shape shape;
    uint16_t row_scale4; // fp16
    uint16_t row_scale2;
    uint16_t delta; // fp16: outliers are this, or this with its sign turned
    uint16_t reserved;
    uint32_t reserved2;
} crumb_random_records_args;

// Uniform fp16 numbers from center - spread to center + spread.
typedef struct {
    CRUMB_DEVICE(uint16_t) output;
    uint64_t count; // a multiple of 2
    uint64_t seed;
    float center;
    float spread;
} crumb_random_halves_args;

// Random bits.
typedef struct {
    CRUMB_DEVICE(uint32_t) output;
    uint64_t count;
    uint64_t seed;
} crumb_random_words_args;

CRUMB_STATIC_ASSERT(sizeof(crumb_random_records_args) == 80, "crumb_random_records_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_random_halves_args) == 32, "crumb_random_halves_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_random_words_args) == 24, "crumb_random_words_args");

#endif
