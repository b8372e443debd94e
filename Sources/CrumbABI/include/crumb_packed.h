// The packed layout of one 2/4/16-bit weight matrix, shared by Swift, C and CUDA. Docs/Format.md describes it
// byte by byte; the only writer is CrumbPacked/BlockPacker, pinned by golden bytes.
//
// A matrix W is (N, K): y = W x, N output features (rows), K input features (channels). Its channels are
// reordered, most sensitive first, and cut into `segments` runs of equal length so that columns can be split over
// GPUs without repacking. Within a segment the first `four_bit_channels` channels have 4-bit codes, the others
// 2-bit codes. 32 rows of one segment form one *record* of fixed size:
//
//   4-bit code tiles | 2-bit code tiles | 4-bit tiles' scales | 2-bit tiles' scales | row scales | outliers
//
// and a matrix is the array [segments][row tiles] of records, each starting at a multiple of 16 bytes.
#ifndef CRUMB_PACKED_H
#define CRUMB_PACKED_H

#include <stdint.h>

#ifdef __cplusplus
#define CRUMB_STATIC_ASSERT static_assert
#else
#define CRUMB_STATIC_ASSERT _Static_assert
#endif

enum {
    CRUMB_FORMAT_VERSION = 1,
    // Rows of one record and of every tile.
    CRUMB_TILE_ROWS = 32,
    // Channels that share one first-order scale.
    CRUMB_GROUP = 32,
    // Channels of a 2-bit and of a 4-bit code tile: both are 512 bytes, 16 for each of the 32 lanes of a warp.
    CRUMB_TILE2_CHANNELS = 64,
    CRUMB_TILE4_CHANNELS = 32,
    CRUMB_TILE_BYTES = 512,
    // First-order scales, 4 bits each, of a 2-bit tile (32 rows x 2 groups) and of a 4-bit tile (32 rows x 1 group).
    CRUMB_TILE2_SCALE_BYTES = 32,
    CRUMB_TILE4_SCALE_BYTES = 16,
    // scale = row scale x (4-bit code + CRUMB_SCALE_BIAS): no code means a scale of zero.
    CRUMB_SCALE_BIAS = 1,
    // Outliers are pooled over runs of this many 2-bit channels: 5 bits of row and 11 bits of channel.
    CRUMB_OUTLIER_CHANNELS = 2048,
    // Padded channels of a segment and four_bit_channels are multiples of this, their difference of a 2-bit tile's 64:
    // an eighth of Llama-2-7B's 11008 inputs of down is 43 x 32 channels and needs no padding.
    CRUMB_CHANNEL_ALIGNMENT = 32,
    // An entry of a channel order that stands for a padding channel, whose activation is zero.
    CRUMB_PADDING_CHANNEL = 0xFFFF,
};

// One weight of a 2-bit region kept in 16 bits: `delta` is added to the dequantized 2-bit value.
typedef struct {
    uint16_t position; // row (0 ... 31) in bits 0-4, channel within the pool (0 ... 2047) in bits 5-15
    uint16_t delta;    // IEEE half precision; an unused entry has position 0 and delta 0
} crumb_outlier;

// Everything that fixes the size and the inner offsets of a record. Channel counts are per segment.
typedef struct {
    uint32_t rows;              // N
    uint32_t columns;           // K
    uint32_t segments;          // 1, 2, 4 or 8
    uint32_t segment_channels;  // padded channels of a segment, a multiple of 32
    uint32_t four_bit_channels; // of a segment, a multiple of 32; the rest is a multiple of 64
    uint32_t outliers_per_tile; // entries for each 2-bit tile of 32 x 64 weights
    uint32_t row_tiles;         // ceil(rows / 32)
    // Byte offsets within a record.
    uint32_t codes2_offset; // 4-bit codes start at 0
    uint32_t scales4_offset;
    uint32_t scales2_offset;
    uint32_t row_scales_offset; // 32 halves for the 4-bit region, then 32 for the 2-bit region
    uint32_t outliers_offset;
    uint32_t record_bytes; // a multiple of 16
} crumb_packed_shape;

CRUMB_STATIC_ASSERT(sizeof(crumb_outlier) == 4, "an outlier is 4 bytes");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_shape) == 52, "the shape has no padding");

#endif
