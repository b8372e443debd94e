// Where things lie in a packed matrix; crumb_packed.h describes the layout.
#ifndef CRUMB_PACKED_PLACES_H
#define CRUMB_PACKED_PLACES_H

#include "levels.h"

CRUMB_INLINE const uint8_t *crumb_record(
    const crumb_packed_shape *shape, const void *records, size_t segment, size_t tile) {
    return (const uint8_t *)records + (segment * shape->row_tiles + tile) * shape->record_bytes;
}

// First-order scale codes of one tile's group of rows g, 4 bits per row g + 8 i: nibble i, and for the second group
// of a 2-bit tile nibble 4 + i.
CRUMB_INLINE uint32_t crumb_scales4(const uint8_t *scales, size_t g) { return crumb_read16(scales + 2 * g); }
CRUMB_INLINE uint32_t crumb_scales2(const uint8_t *scales, size_t g) { return crumb_read32(scales + 4 * g); }

// Code tiles of one outlier pool, but for the last one.
enum { CRUMB_POOL_TILES = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS };

#endif
