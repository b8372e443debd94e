// The prepared input of a packed matrix: int8 activations in the order in which code words are taken apart.
//
// Channels go in groups of 32, through the segments in order: a 4-bit tile is one group, a 2-bit tile two. For the
// tile whose first group is u:
//
//   bytes[32 u ...]   int8 activations. A code word is u32 number i of lane (g, t); shifted right by s codes and
//                     masked, it holds four codes, one per byte. The four activations that meet them lie at 16 s + 4 t:
//                     2-bit tile: channels 16 t + {2s, 2s + 8, 2s + 1, 2s + 9}   s = 0 ... 3
//                     4-bit tile: channels  8 t + {2s, 2s + 4, 2s + 1, 2s + 5}   s = 0, 1
//   sums[4 u ...]     int32: -3 x the sum of the 16 activations of t (2-bit, zeros for its second group), or -15 x the
//                     sum of the 8 activations of t (4-bit). Added to 2 x code x activation they give the product with
//                     2 x code - 3 and 2 x code - 15, the doubled symmetric levels.
//   scales[u ...]     half the activations' scale for each group (half, because the levels are doubled)
//   x[32 u ...]       the activations themselves, for the outliers
#ifndef CRUMB_PACKED_INPUT_H
#define CRUMB_PACKED_INPUT_H

#include "levels.h"

typedef struct {
    int8_t *bytes;
    int32_t *sums;
    float *scales;
    float *x;
} crumb_packed_input;

CRUMB_INLINE size_t crumb_packed_groups(const crumb_packed_shape *shape) {
    return (size_t)shape->segments * shape->segment_channels / CRUMB_GROUP;
}

CRUMB_INLINE crumb_packed_input crumb_packed_input_at(const crumb_packed_shape *shape, const void *prepared) {
    size_t groups = crumb_packed_groups(shape);
    uint8_t *at = (uint8_t *)(uintptr_t)prepared;
    return (crumb_packed_input){
        .bytes = (int8_t *)at,
        .sums = (int32_t *)(void *)(at + 32 * groups),
        .x = (float *)(void *)(at + 48 * groups),
        .scales = (float *)(void *)(at + 176 * groups),
    };
}

// The input from `groups` further on.
CRUMB_INLINE crumb_packed_input crumb_skip_groups(crumb_packed_input input, size_t groups) {
    return (crumb_packed_input){
        .bytes = input.bytes + 32 * groups,
        .sums = input.sums + 4 * groups,
        .scales = input.scales + groups,
        .x = input.x + 32 * groups,
    };
}

#endif
