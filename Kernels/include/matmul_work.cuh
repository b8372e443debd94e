// Who does what in a product of packed matrices with several tokens.
//
// A few neighbouring row tiles (32 rows each) are a group; its K is cut into chunks of up to 128 channels of one region,
// and of up to 64 outliers. Each slice of a block has a run of a group's chunks of codes, then one of its chunks of
// outliers, and takes one chunk a step. The steps of all groups, one after the other, are dealt out evenly to the blocks;
// the first and last group of a block may be shared with others.
#pragma once

#include "device.cuh"

enum matmul_kind : uint32_t { matmul_four, matmul_two, matmul_outliers, matmul_nothing };

// What is known of a chunk when it is asked for, until it is multiplied.
struct matmul_chunk {
    uint32_t bits;

    CRUMB_INLINE matmul_kind kind() const { return static_cast<matmul_kind>(bits & 3); }
    // Code tiles.
    CRUMB_INLINE uint32_t count() const { return bits >> 2 & 7; }
    // Whether it is the block's first of a region; of a group's, the block's last; of all, the block's last.
    CRUMB_INLINE bool fresh() const { return bits & 32; }
    CRUMB_INLINE bool ends() const { return bits & 64; }
    CRUMB_INLINE bool last() const { return bits & 128; }
};

// Where a slice is in its block's steps. Neighbouring chunks of a region are walked through in a few instructions; what
// follows is looked up at a region's end.
struct matmul_cursor {
    const crumb_matmul_args &args;
    uint32_t slice;
    uint32_t step, end;      // of all steps
    uint32_t cut = 0, group; // group: of the cut
    uint32_t left;           // steps of this group from this one on
    uint32_t after;          // of them: those behind the slice's run
    uint32_t rest;           // code tiles of this region from this chunk on
    matmul_kind kind;
    bool fresh; // whether this is the block's first chunk of a region

    // At the block's step `number`.
    CRUMB_INLINE matmul_cursor(const crumb_matmul_args &args, uint32_t slice, uint32_t number) : args(args), slice(slice) {
        const crumb_packed_product &product = args.product;
        step = blockIdx.x * product.block_units + min(blockIdx.x, product.long_blocks);
        end = step + product.block_units + (blockIdx.x < product.long_blocks ? 1 : 0);
        if (args.whole) step = first_step(args, step), end = first_step(args, end);
        step += number;
        while (cut + 1 < args.cut_count && step >= args.cuts[cut + 1].first_step) cut++;
        const uint32_t own = step - args.cuts[cut].first_step, steps = args.cuts[cut].steps;
        group = own / steps;
        left = (group + 1) * steps - own;
        enter();
    }

    // Of the group of this number among those of all parts.
    static CRUMB_INLINE uint32_t first_step(const crumb_matmul_args &args, uint32_t number) {
        uint32_t cut = 0;
        while (cut + 1 < args.cut_count && number >= args.cuts[cut + 1].first_group) cut++;
        return args.cuts[cut].first_step + (number - args.cuts[cut].first_group) * args.cuts[cut].steps;
    }

    CRUMB_INLINE bool done() const { return step >= end; }
    CRUMB_INLINE matmul_chunk chunk() const {
        const bool last = step + 1 == end;
        return {kind | count() << 2 | (fresh ? 32u : 0) | (last || left == 1 ? 64u : 0) | (last ? 128u : 0)};
    }
    // Code tiles of this chunk.
    CRUMB_INLINE uint32_t count() const { return min(rest, most()); }

    // To the next step; whether that is another region or group.
    CRUMB_INLINE bool advance() {
        step++, left--;
        fresh = false;
        if (left > after && rest > most()) {
            rest -= most();
            return false;
        }
        if (done()) return false;
        if (left == 0) {
            if (++group == args.cuts[cut].groups) cut++, group = 0;
            left = args.cuts[cut].steps;
        }
        enter();
        return true;
    }

    // The slice's segment, and number of the chunk of codes in it.
    CRUMB_INLINE void place(uint32_t &segment, uint32_t &chunk) const {
        const crumb_matmul_cut &own = args.cuts[cut];
        const uint32_t number = slice * own.code_steps + own.steps - left;
        segment = number / own.chunks, chunk = number - segment * own.chunks;
    }

    // The outliers of this chunk in fours, those of a row tile's segments one after the other.
    CRUMB_INLINE void fours(uint32_t &first, uint32_t &end) const {
        const crumb_matmul_cut &own = args.cuts[cut];
        const uint32_t outlier_steps = own.steps - own.code_steps;
        first = (slice * outlier_steps + outlier_steps - left) * own.chunk_fours;
        end = min(first + own.chunk_fours, own.segments * own.fours);
    }

    // The part and row tile of a group's tile `number`.
    CRUMB_INLINE void tile_of(uint32_t number, uint32_t &part, uint32_t &tile) const {
        if (args.product.kind == CRUMB_PACKED_SILU) {
            const uint32_t half = args.tiles / 2;
            part = number >= half, tile = group * half + number - part * half;
        } else {
            part = cut, tile = group * args.tiles + number;
        }
    }

    // Code tiles of a whole chunk.
    CRUMB_INLINE uint32_t most() const { return kind == matmul_four ? 4 : 2; }

  private:
    CRUMB_INLINE void enter() {
        const crumb_matmul_cut &own = args.cuts[cut];
        const uint32_t outlier_steps = own.steps - own.code_steps;
        fresh = true;
        after = left > outlier_steps ? outlier_steps : 0;
        rest = ~0u;
        if (after == 0 && outlier_steps > 0) {
            kind = matmul_outliers;
            return;
        }
        uint32_t segment, chunk;
        place(segment, chunk);
        if (segment >= own.segments) {
            kind = matmul_nothing;
        } else if (chunk < own.chunks4) {
            kind = matmul_four, rest = own.tiles4 - 4 * chunk;
        } else {
            kind = matmul_two, rest = own.tiles2 - 2 * (chunk - own.chunks4);
        }
    }
};
