// Who does what in a product with packed matrices.
//
// A block has a run of units: row tiles of all parts one after the other, or, for SiLU, row tiles of gate and up
// together. It goes through their records in the order part, segment, row tile. A record's codes are cut into items, up
// to 256 channels of one region, which the warps take in turns.
#pragma once

#include "device.cuh"

// floor(number / divisor) by crumb_inverse(divisor).
CRUMB_INLINE uint32_t packed_quotient(uint32_t number, uint32_t inverse) { return __umulhi(2 * number, inverse); }

// This block's units of a product.
struct packed_block {
    uint32_t begin, end;

    CRUMB_INLINE explicit packed_block(const crumb_packed_product &product) {
        begin = blockIdx.x * product.block_units + min(blockIdx.x, product.long_blocks);
        end = begin + product.block_units + (blockIdx.x < product.long_blocks ? 1 : 0);
    }
};

// A part's row tiles of this block are first ... first + tiles - 1; their results are slots slot, slot + 1, ...
struct packed_range {
    uint32_t first, tiles, slot;

    CRUMB_INLINE packed_range(const crumb_packed_product &product, const packed_block &block, uint32_t part) {
        if (product.kind == CRUMB_PACKED_SILU) {
            first = block.begin, tiles = block.end - block.begin, slot = part * tiles;
            return;
        }
        const uint32_t before = product.parts[part].first_unit;
        const uint32_t end = min(max(block.end, before) - before, product.parts[part].shape.row_tiles);
        first = max(block.begin, before) - before;
        tiles = end > first ? end - first : 0;
        slot = max(block.begin, before) - block.begin;
    }
};

// All slots of this block.
CRUMB_INLINE uint32_t packed_slots(const crumb_packed_product &product, const packed_block &block) {
    return (block.end - block.begin) * (product.kind == CRUMB_PACKED_SILU ? product.part_count : 1);
}

CRUMB_INLINE const uint8_t *packed_record(const crumb_packed_part &part, uint32_t segment, uint32_t tile) {
    return part.records + static_cast<uint64_t>(segment * part.shape.row_tiles + tile) * part.shape.record_bytes;
}

// What a record takes in the ring.
CRUMB_INLINE uint32_t packed_ring_bytes(const crumb_packed_shape &shape) { return (shape.record_bytes + 127) / 128 * 128; }

// Where an item stands within its record, and its channels in the input.
struct packed_place {
    uint32_t tiles;                     // code tiles: up to 8 of 4 bits, 4 of 2 bits
    uint32_t position;                  // of its first channel in the input
    uint32_t codes, scales, row_scales; // bytes within the record
    bool four;                          // whether its codes have 4 bits

    CRUMB_INLINE packed_place(const crumb_packed_part &part, uint32_t segment, uint32_t item) {
        const crumb_packed_shape &shape = part.shape;
        four = item < part.items4;
        const uint32_t channel = (four ? item : item - part.items4) * CRUMB_PACKED_ITEM_CHANNELS;
        const uint32_t channels = four ? shape.four_bit_channels : shape.segment_channels - shape.four_bit_channels;
        const uint32_t left = min(channels - channel, static_cast<uint32_t>(CRUMB_PACKED_ITEM_CHANNELS));
        const uint32_t first = channel / (four ? CRUMB_TILE4_CHANNELS : CRUMB_TILE2_CHANNELS);
        tiles = left / (four ? CRUMB_TILE4_CHANNELS : CRUMB_TILE2_CHANNELS);
        position = segment * shape.segment_channels + (four ? channel : shape.four_bit_channels + channel);
        codes = (four ? 0 : shape.codes2_offset) + first * CRUMB_TILE_BYTES;
        scales = four ? shape.scales4_offset + first * CRUMB_TILE4_SCALE_BYTES
                      : shape.scales2_offset + first * CRUMB_TILE2_SCALE_BYTES;
        row_scales = shape.row_scales_offset + (four ? 0 : 2 * CRUMB_TILE_ROWS);
    }
};
