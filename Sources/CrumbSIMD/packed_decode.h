// One token through a packed matrix: the kernels behind crumb_packed_gemv.
#ifndef CRUMB_PACKED_DECODE_H
#define CRUMB_PACKED_DECODE_H

#include "packed.h"
#include "packed_input.h"

// out[0 ..< 32] = rows of row tile `tile`, outliers included.
typedef void (*crumb_packed_tile_function)(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out);

void crumb_packed_tile_portable(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out);
#if CRUMB_X86
void crumb_packed_tile_avx2(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out);
void crumb_packed_tile_avx512(
    const crumb_packed_shape *shape, const void *records, size_t tile, crumb_packed_input input, float *out);
#endif

// Sums of outliers go round four copies of the 32 rows: entries are sorted by row, and one chain of additions through
// memory would cost more than the codes.
enum { CRUMB_OUTLIER_COPIES = 4 };

// One pool: copies[e % 4][row] += delta x activation. `to_float` converts a half.
#define CRUMB_ADD_OUTLIERS(copies, entries, count, x, to_float) \
    do { \
        const uint8_t *entry_ = (entries); \
        const float *x_ = (x); \
        size_t count_ = (count), e_ = 0; \
        for (; e_ + 4 <= count_; e_ += 4, entry_ += 16) { \
            for (size_t j_ = 0; j_ < 4; j_++) { \
                uint32_t both_ = crumb_read32(entry_ + 4 * j_); \
                (copies)[j_][both_ & 31u] += to_float((uint16_t)(both_ >> 16)) * x_[(both_ & 0xFFFFu) >> 5]; \
            } \
        } \
        for (; e_ < count_; e_++, entry_ += 4) { \
            uint32_t both_ = crumb_read32(entry_); \
            (copies)[0][both_ & 31u] += to_float((uint16_t)(both_ >> 16)) * x_[(both_ & 0xFFFFu) >> 5]; \
        } \
    } while (0)

// All pools of a record; `x` are the activations of its 2-bit channels.
#define CRUMB_ADD_RECORD_OUTLIERS(shape, record, copies, x, to_float) \
    do { \
        size_t tiles_ = ((shape)->segment_channels - (shape)->four_bit_channels) / CRUMB_TILE2_CHANNELS; \
        for (size_t tile_ = 0; tile_ < tiles_; tile_ += CRUMB_POOL_TILES) { \
            CRUMB_ADD_OUTLIERS( \
                copies, \
                (record) + (shape)->outliers_offset + tile_ * (shape)->outliers_per_tile * sizeof(crumb_outlier), \
                crumb_min(CRUMB_POOL_TILES, tiles_ - tile_) * (shape)->outliers_per_tile, \
                (x) + tile_ * CRUMB_TILE2_CHANNELS, to_float); \
        } \
    } while (0)

#endif
