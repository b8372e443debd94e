// A slice's chunks on their way to shared memory.
//
// Place of a chunk: the activations of 128 channels, see matmul_memory::row_of(); then for each row tile codes [2048],
// first-order scales [64], row scales of the region [64]. Asynchronous copies of 16 bytes a lane: bulk copies take 30 to
// 50 ns each on an H200 however short they are, and these would be of 64 to 2048 bytes.
#pragma once

#include "matmul_memory.cuh"

template <int octets> struct matmul_copies : matmul_cursor {
    using Memory = matmul_memory<octets>;
    uint32_t tile; // of a group: this warp's
    // Of this lane, for the next chunk.
    const uint8_t *codes, *scales, *input;

    CRUMB_INLINE matmul_copies(const matmul_cursor &cursor, uint32_t tile) : matmul_cursor(cursor), tile(tile) {
        look_up();
    }
    CRUMB_INLINE void next() {
        codes += kind == matmul_four ? 4 * CRUMB_TILE_BYTES : 2 * CRUMB_TILE_BYTES;
        scales += threadIdx.x % 32 < 4 ? 64 : 0, input += Memory::input_bytes;
        if (advance()) look_up();
    }

    // A row tile's share of a chunk, by one warp.
    CRUMB_INLINE void copy_codes(uint32_t slot) const {
        const uint32_t lane = threadIdx.x % 32, to = Memory::tile(slot, tile) + 16 * lane;
        if (kind >= matmul_outliers) {
            if (kind == matmul_outliers) copy_outliers(to);
            return;
        }
        copy_async(to, codes, true);
#pragma unroll
        for (uint32_t k = 1; k < 4; k++) {
            if (k < rest && (k == 1 || kind == matmul_four)) {
                copy_async(to + k * CRUMB_TILE_BYTES, codes + k * CRUMB_TILE_BYTES, true);
            }
        }
        // The last scales of a region may be followed by what is not used.
        if (lane < 8) copy_async(to + CRUMB_MATMUL_CODE_BYTES, scales, true);
    }

    // A chunk's activations, zeros for what a short one has not, by all warps of a slice.
    CRUMB_INLINE void copy_input(uint32_t slot) const {
        if (kind >= matmul_outliers) return;
        if (rest < most()) return copy_input_part(slot);
        if (args.tiles == 4) return copy_input_whole<4>(slot);
        if (octets <= 2 && args.tiles == 1) return copy_input_whole<1>(slot);
        if (octets <= 2 && args.tiles == 2) return copy_input_whole<2>(slot);
        copy_input_part(slot);
    }

  private:
    // Of the slice.
    CRUMB_INLINE uint32_t thread() const { return 32 * tile + threadIdx.x % 32; }

    // A short one, or with any number of row tiles.
    CRUMB_INLINE void copy_input_part(uint32_t slot) const {
        const uint32_t units = count() * (kind == matmul_four ? 32 : 64) * octets, step = 32 * args.tiles;
        const uint8_t *from = input;
#pragma unroll 1
        for (uint32_t at = thread(); at < CRUMB_MATMUL_CHANNELS * octets; at += step, from += 16 * step) {
            const bool valid = at < units;
            const uint32_t row = Memory::row_of(at / octets, kind == matmul_four);
            copy_async(slot + Memory::exchanged(row, at % octets), valid ? from : input, valid);
        }
    }
    template <uint32_t tiles> CRUMB_INLINE void copy_input_whole(uint32_t slot) const {
        if (kind == matmul_four) {
            copy_input_whole<tiles, true>(slot);
        } else {
            copy_input_whole<tiles, false>(slot);
        }
    }
    // Of the channel's number in binary, a step's bits are zero in a thread's first: places are exclusive ors.
    template <uint32_t tiles, bool four> CRUMB_INLINE void copy_input_whole(uint32_t slot) const {
        constexpr uint32_t step = 32 * tiles / octets;
        const uint32_t at = thread(), first = Memory::exchanged(Memory::row_of(at / octets, four), at % octets);
#pragma unroll
        for (uint32_t channel = 0; channel < CRUMB_MATMUL_CHANNELS; channel += step) {
            const uint32_t place = Memory::exchanged(Memory::row_of(channel, four), 0);
            copy_async(slot + (first ^ place), input + channel * octets * 16, true);
        }
    }

    // Four for each lane.
    CRUMB_INLINE void copy_outliers(uint32_t to) const {
        uint32_t first, end, index, row_tile;
        fours(first, end);
        tile_of(tile, index, row_tile);
        const crumb_packed_part &part = args.product.parts[index];
        const uint32_t own = first + threadIdx.x % 32, segment = own / args.cuts[cut].fours;
        if (own >= end || row_tile >= part.shape.row_tiles) return;
        // A record ends at a multiple of 16 bytes.
        const uint8_t *record = part.records
            + (static_cast<size_t>(segment) * part.shape.row_tiles + row_tile) * part.shape.record_bytes;
        copy_async(to, record + part.shape.outliers_offset + (own - segment * args.cuts[cut].fours) * 16, true);
    }

    // Where things stand in the cursor's region.
    CRUMB_INLINE void look_up() {
        if (kind >= matmul_outliers) return;
        const uint32_t lane = threadIdx.x % 32;
        uint32_t index, row_tile, segment, chunk;
        tile_of(tile, index, row_tile);
        place(segment, chunk);
        const crumb_packed_part &part = args.product.parts[index];
        const crumb_packed_shape &shape = part.shape;
        // Past the last row tile, it is copied once more.
        row_tile = min(row_tile, shape.row_tiles - 1);
        const uint8_t *record = part.records
            + (static_cast<size_t>(segment) * shape.row_tiles + row_tile) * shape.record_bytes + 16 * lane;
        const bool four = kind == matmul_four;
        if (!four) chunk -= args.cuts[cut].chunks4;
        const uint32_t position = segment * shape.segment_channels + (four ? 0 : shape.four_bit_channels)
            + chunk * CRUMB_MATMUL_CHANNELS;
        input = reinterpret_cast<const uint8_t *>(args.product.input) + static_cast<size_t>(position) * Memory::tokens * 2
            + 16 * thread();
        codes = record + (four ? chunk * 2048 : shape.codes2_offset + chunk * 1024);
        scales = record
            + (lane < 4 ? (four ? shape.scales4_offset : shape.scales2_offset) + chunk * 64
                        : shape.row_scales_offset - 64 + (four ? 0 : 2 * CRUMB_TILE_ROWS));
    }
};
