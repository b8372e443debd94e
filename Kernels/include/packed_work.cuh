// Who does what in a product with packed matrices.
//
// A block has a run of units: row tiles of all parts one after the other, or, for SiLU, row tiles of gate and up
// together. Within a row tile the warps take items in turns: up to four code tiles of one region of one segment. An
// item is done for all of the block's row tiles before the next, so that its activations are prepared once.
#pragma once

#include "device.cuh"

enum {
    // A slot of a warp's ring: codes of an item, its scale codes, the region's row scales.
    PACKED_SCALES_AT = CRUMB_PACKED_ITEM_TILES * CRUMB_TILE_BYTES,
    PACKED_ROW_SCALES_AT = PACKED_SCALES_AT + CRUMB_PACKED_ITEM_TILES * CRUMB_TILE2_SCALE_BYTES,
};

// This block's units.
struct packed_block {
    uint32_t begin, end;

    CRUMB_INLINE explicit packed_block(const crumb_packed_matvec_args &args) {
        begin = blockIdx.x * args.block_units + min(blockIdx.x, args.long_blocks);
        end = begin + args.block_units + (blockIdx.x < args.long_blocks ? 1 : 0);
    }
};

// A part's row tiles of this block are first ... end - 1; their results are slots slot, slot + 1, ...
struct packed_range {
    uint32_t first, end, slot;

    CRUMB_INLINE bool empty() const { return first >= end; }
};

template <bool paired>
CRUMB_INLINE packed_range packed_tiles(const crumb_packed_matvec_args &args, const packed_block &block, uint32_t part) {
    packed_range range;
    if (paired) {
        range.first = block.begin, range.end = block.end, range.slot = part * (block.end - block.begin);
        return range;
    }
    uint32_t before = args.parts[part].first_unit;
    range.first = max(block.begin, before) - before;
    range.end = min(max(block.end, before) - before, args.parts[part].shape.row_tiles);
    range.slot = max(block.begin, before) - block.begin;
    return range;
}

// All slots of this block.
template <bool paired>
CRUMB_INLINE uint32_t packed_slots(const crumb_packed_matvec_args &args, const packed_block &block) {
    return (block.end - block.begin) * (paired ? args.part_count : 1);
}

// A warp's way through its items and their row tiles.
template <bool paired, uint32_t warps> struct packed_cursor {
    uint32_t part, item; // item: over all segments of a row tile
    packed_range range;
    uint32_t tile; // row tile
    // Of the item:
    bool four;
    uint32_t tiles;                     // code tiles, 1 ... 4
    uint32_t position;                  // of its first channel in the input
    uint32_t codes, scales, row_scales; // bytes within a record
    const uint8_t *record;
    uint32_t record_bytes;

    CRUMB_INLINE void start(const crumb_packed_matvec_args &args, const packed_block &block, uint32_t warp) {
        part = 0, item = warp;
        enter(args, block);
    }
    CRUMB_INLINE bool valid(const crumb_packed_matvec_args &args) const { return part < args.part_count; }
    // Whether this is the first row tile of an item.
    CRUMB_INLINE bool opens() const { return tile == range.first; }
    CRUMB_INLINE uint32_t slot() const { return range.slot + tile - range.first; }

    CRUMB_INLINE void advance(const crumb_packed_matvec_args &args, const packed_block &block) {
        tile++, record += record_bytes;
        if (tile < range.end) return;
        item += warps;
        enter(args, block);
    }

  private:
    // Goes to the part that has `item`, counting on over parts, so that the turns go on as well.
    CRUMB_INLINE void enter(const crumb_packed_matvec_args &args, const packed_block &block) {
#pragma unroll 1
        for (; part < args.part_count; part++) {
            const crumb_packed_part &from = args.parts[part];
            range = packed_tiles<paired>(args, block, part);
            if (range.empty()) continue;
            uint32_t items = from.record_items * from.shape.segments;
            if (item < items) return locate(from);
            item -= items;
        }
    }
    CRUMB_INLINE void locate(const crumb_packed_part &from) {
        const crumb_packed_shape &shape = from.shape;
        uint32_t segment = 0, local = item;
#pragma unroll 1
        while (local >= from.record_items) local -= from.record_items, segment++;
        four = local < from.items4;
        uint32_t first = (four ? local : local - from.items4) * CRUMB_PACKED_ITEM_TILES;
        // Bytes of codes say how many tiles there are.
        uint32_t codes_end = four ? shape.codes2_offset : shape.scales4_offset;
        codes = (four ? 0 : shape.codes2_offset) + first * CRUMB_TILE_BYTES;
        tiles = min((codes_end - codes) / CRUMB_TILE_BYTES, static_cast<uint32_t>(CRUMB_PACKED_ITEM_TILES));
        position = segment * shape.segment_channels
            + (four ? first * CRUMB_TILE4_CHANNELS : shape.four_bit_channels + first * CRUMB_TILE2_CHANNELS);
        scales = four ? shape.scales4_offset + first * CRUMB_TILE4_SCALE_BYTES
                      : shape.scales2_offset + first * CRUMB_TILE2_SCALE_BYTES;
        row_scales = shape.row_scales_offset + (four ? 0 : 2 * CRUMB_TILE_ROWS);
        tile = range.first;
        record_bytes = shape.record_bytes;
        record = from.records + static_cast<uint64_t>(segment * shape.row_tiles + tile) * shape.record_bytes;
    }
};
