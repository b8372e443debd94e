// Grouped 8- and 4-bit rows against an int8 input.
//
// The prepared input goes in chunks of 64 code bytes: 64 channels of 8-bit codes or 128 of 4-bit codes. K is rounded up
// to whole chunks with zeros.
//
//   bytes    8 bits: the int8 activations in order. 4 bits: per chunk the 64 even channels, then the 64 odd ones, which
//            meet the low and the high nibbles.
//   offsets  int32 for each 4 code bytes: minus the sum of the activations that meet them, times 128 (the codes are
//            used with 128 added, as unsigned bytes) or times 8 (the nibbles' offset)
//   scales   of the activations, one for each group of 32 channels, rounded up to 16 groups
#ifndef CRUMB_GROUPED_H
#define CRUMB_GROUPED_H

#include "levels.h"

typedef struct {
    int8_t *bytes;
    int32_t *offsets;
    float *scales;
} crumb_grouped_input;

CRUMB_INLINE size_t crumb_grouped_chunk(int bits) { return bits == 8 ? 64 : 128; }

CRUMB_INLINE crumb_grouped_input crumb_grouped_input_at(int bits, size_t k, const void *prepared) {
    uint8_t *at = (uint8_t *)(uintptr_t)prepared;
    size_t chunk = crumb_grouped_chunk(bits), chunks = crumb_round_up(k, chunk) / chunk;
    return (crumb_grouped_input){
        .bytes = (int8_t *)at,
        .offsets = (int32_t *)(void *)(at + chunk * chunks),
        .scales = (float *)(void *)(at + (chunk + 64) * chunks),
    };
}

// y[row] = or += row . input for `rows` rows, k * bits / 8 bytes of codes and k / 32 scales apart.

void crumb_grouped_rows_portable(
    int bits, const uint8_t *codes, const uint16_t *scales, size_t rows, size_t k, crumb_grouped_input input, float *y,
    bool accumulate);
#if CRUMB_X86
void crumb_grouped_rows_avx2(
    int bits, const uint8_t *codes, const uint16_t *scales, size_t rows, size_t k, crumb_grouped_input input, float *y,
    bool accumulate);
void crumb_grouped_rows_avx512(
    int bits, const uint8_t *codes, const uint16_t *scales, size_t rows, size_t k, crumb_grouped_input input, float *y,
    bool accumulate);
#endif

#endif
