// The prepared input of a packed matrix: int8 activations in the order in which code words are taken apart.
//
// Channels go in units of 64 (one 2-bit tile, or two 4-bit tiles), through the segments in order. For unit u:
//
//   bytes[64 u ...]   int8 activations. A code word is u32 number i of lane (g, t); shifted right by s codes and
//                     masked, it holds four codes, one per byte. The four activations that meet them lie at
//                     2-bit unit: 16 s + 4 t           channels 16 t +      {2s, 2s + 8, 2s + 1, 2s + 9}   s = 0 ... 3
//                     4-bit unit: 32 h + 16 s + 4 t    channels 32 h + 8 t + {2s, 2s + 4, 2s + 1, 2s + 5}  s = 0, 1
//                     (h: first or second tile)
//   sums[8 u ...]     int32: -3 x the sum of the 16 activations of t (2-bit, the last 4 are unused); -15 x the sum of
//                     the 8 activations of 4 h + t (4-bit). Added to 2 x code x activation they give the product with
//                     2 x code - 3 and 2 x code - 15, the doubled symmetric levels.
//   scales[2 u ...]   half the activations' scale for each group of 32 (half, because the levels are doubled)
//   x[64 u ...]       the activations themselves, for the outliers
#ifndef CRUMB_PACKED_INPUT_H
#define CRUMB_PACKED_INPUT_H

#include "levels.h"

enum { CRUMB_UNIT = 64 };

typedef struct {
    int8_t *bytes;
    int32_t *sums;
    float *scales;
    float *x;
} crumb_packed_input;

CRUMB_INLINE size_t crumb_packed_units(const crumb_packed_shape *shape) {
    return (size_t)shape->segments * shape->segment_channels / CRUMB_UNIT;
}

CRUMB_INLINE crumb_packed_input crumb_packed_input_at(const crumb_packed_shape *shape, const void *prepared) {
    size_t units = crumb_packed_units(shape);
    uint8_t *at = (uint8_t *)(uintptr_t)prepared;
    return (crumb_packed_input){
        .bytes = (int8_t *)at,
        .sums = (int32_t *)(void *)(at + 64 * units),
        .x = (float *)(void *)(at + 96 * units),
        .scales = (float *)(void *)(at + 352 * units),
    };
}

// The input from `units` further on.
CRUMB_INLINE crumb_packed_input crumb_skip_units(crumb_packed_input input, size_t units) {
    return (crumb_packed_input){
        .bytes = input.bytes + 64 * units,
        .sums = input.sums + 8 * units,
        .scales = input.scales + 2 * units,
        .x = input.x + 64 * units,
    };
}

#endif
