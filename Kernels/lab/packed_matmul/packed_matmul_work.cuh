// Who does what in a product of packed matrices with 9 to 64 tokens.
//
// A cluster of four blocks has a run of units: two row tiles of a part, or one of gate and one of up. It takes them in
// passes of 1, 2, 4 or 8 at a time. A segment's channels are cut into steps of 64, the first one of 32 where that is
// what remains, so that the regions' ends are ends of steps, wherever they lie. Blocks share the steps of all segments:
// whole segments where there are four or more, else one step in four. Within a block every unit of a pass has the same
// number of warps, and these take the block's steps in turns.
#pragma once

#include "device.cuh"

enum {
    // A slot of a warp's ring: codes of two row tiles, scale codes, row scales.
    MATMUL_CODES = 1024,
    MATMUL_SCALES_AT = 2 * MATMUL_CODES,
    MATMUL_SCALES = 32,
    MATMUL_ROW_SCALES_AT = MATMUL_SCALES_AT + 2 * MATMUL_SCALES,
    MATMUL_ROW_SCALES = 64,
};

CRUMB_INLINE uint32_t matmul_rank() { return blockIdx.x % CRUMB_MATMUL_CLUSTER; }

// Some of the cluster's units, all of one part (of gate and up).
template <bool paired> struct matmul_pass {
    uint32_t part, shift; // units of this pass: 2^shift
    uint32_t unit;        // the first one, of the part

    CRUMB_INLINE uint32_t units() const { return 1u << shift; }

    // Row tile `second` of unit `u` of this pass: its part and its number there, which may be one too many.
    CRUMB_INLINE uint32_t part_of(uint32_t second) const { return paired ? second : part; }
    CRUMB_INLINE uint32_t tile(uint32_t u, uint32_t second) const {
        return paired ? unit + u : 2 * (unit + u) + second;
    }
};

// A step's place among the channels.
struct matmul_place {
    uint32_t segment, start; // first channel within the segment
    bool short_step, odd;    // of 32 channels; whether the first one is an odd multiple of 32 in the input

    CRUMB_INLINE uint32_t channels() const { return short_step ? 32 : CRUMB_MATMUL_STEP_CHANNELS; }
};

// Passes and steps of this block in shared memory. The steps are the same for all parts and passes.
struct matmul_table {
    uint32_t pass_count, step_count;
    uint2 passes[CRUMB_MATMUL_MOST_PASSES];
    uint32_t steps[CRUMB_MATMUL_MOST_STEPS];

    // By all threads; to be used after a barrier.
    template <bool paired> CRUMB_INLINE void fill(const crumb_packed_matmul_args &args) {
        const crumb_packed_shape &shape = args.product.parts[0].shape;
        // Channels are a multiple of 32.
        uint32_t padding = shape.segment_channels % CRUMB_MATMUL_STEP_CHANNELS;
        uint32_t segment_steps = (shape.segment_channels + padding) / CRUMB_MATMUL_STEP_CHANNELS;
        uint32_t all = segment_steps * shape.segments, rank = matmul_rank();
        bool whole = shape.segments % CRUMB_MATMUL_CLUSTER == 0;
        uint32_t count = (all + (whole ? 0 : CRUMB_MATMUL_CLUSTER - 1 - rank)) / CRUMB_MATMUL_CLUSTER;
        for (uint32_t step = threadIdx.x; step < count; step += blockDim.x) {
            uint32_t number = whole ? rank * count + step : rank + CRUMB_MATMUL_CLUSTER * step;
            uint32_t segment = number / segment_steps;
            number -= segment * segment_steps;
            uint32_t start = number == 0 ? 0 : number * CRUMB_MATMUL_STEP_CHANNELS - padding;
            uint32_t short_step = number == 0 && padding != 0;
            uint32_t odd = (segment * shape.segment_channels + start) / 32 % 2;
            steps[step] = start / 32 | segment << 16 | short_step << 30 | odd << 31;
        }
        if (threadIdx.x == 0) step_count = count, cut<paired>(args);
    }

    template <bool paired> CRUMB_INLINE matmul_pass<paired> pass(uint32_t index) const {
        return {passes[index].x & 0xFF, passes[index].x >> 8, passes[index].y};
    }
    CRUMB_INLINE matmul_place step(uint32_t index) const {
        uint32_t word = steps[index];
        return {word >> 16 & 0xFF, word % 0x10000 * 32, (word >> 30 & 1) != 0, word >> 31 != 0};
    }

  private:
    template <bool paired> CRUMB_INLINE void cut(const crumb_packed_matmul_args &args) {
        const crumb_packed_matvec_args &product = args.product;
        uint32_t cluster = blockIdx.x / CRUMB_MATMUL_CLUSTER, index = 0;
        uint32_t first = cluster * product.block_units + min(cluster, product.long_blocks);
        uint32_t last = first + product.block_units + (cluster < product.long_blocks ? 1 : 0);
#pragma unroll 1
        for (uint32_t part = 0; part < (paired ? 1 : product.part_count); part++) {
            const crumb_packed_part &from = product.parts[part];
            uint32_t count = paired ? from.shape.row_tiles : (from.shape.row_tiles + 1) / 2;
            uint32_t unit = max(first, from.first_unit) - from.first_unit;
            uint32_t end = min(max(last, from.first_unit) - from.first_unit, count);
#pragma unroll 1
            while (unit < end) {
                uint32_t shift = 31 - __clz(min(args.units, end - unit));
                passes[index++] = make_uint2(part | shift << 8, unit);
                unit += 1u << shift;
            }
        }
        pass_count = index;
    }
};

// Regions that a warp is in, one for each of its row tiles.
struct matmul_regions {
    uint32_t both;

    CRUMB_INLINE void reset() { both = 0xFFFF; }
    // Goes to the regions of a step. opens: whether a row tile's is another one.
    template <bool paired>
    CRUMB_INLINE void enter(
        const crumb_packed_matmul_args &args, const matmul_pass<paired> &pass, const matmul_place &place,
        bool (&four)[2], bool (&opens)[2]) {
        uint32_t now = 0;
#pragma unroll
        for (uint32_t second = 0; second < 2; second++) {
            four[second] = place.start < args.product.parts[pass.part_of(second)].shape.four_bit_channels;
            now |= (2 * place.segment + four[second]) << 8 * second;
        }
        opens[0] = ((now ^ both) & 0xFF) != 0, opens[1] = (now ^ both) >> 8 != 0;
        both = now;
    }
};

// A warp's share of a pass: warp w has unit w % units and every (warps / units)-th step from w / units on.
CRUMB_INLINE uint32_t matmul_unit(uint32_t shift) { return threadIdx.x / 32 & ((1u << shift) - 1); }
CRUMB_INLINE uint32_t matmul_first_step(uint32_t shift) { return threadIdx.x / 32 >> shift; }

// Starts to copy a step's codes and scales of two row tiles into a slot of the ring; zeros for a row tile too many.
// `opens`: whether the warp comes from another region or segment, and wants row scales.
template <bool paired>
CRUMB_INLINE void matmul_fetch(
    const crumb_packed_matmul_args &args, const matmul_pass<paired> &pass, uint32_t unit, const matmul_place &place,
    const bool (&opens)[2], uint32_t slot) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t second = 0; second < 2; second++) {
        const crumb_packed_part &part = args.product.parts[pass.part_of(second)];
        const crumb_packed_shape &shape = part.shape;
        uint32_t tile = pass.tile(unit, second);
        bool real = paired || tile < shape.row_tiles;
        const uint8_t *record = part.records
            + static_cast<uint64_t>(place.segment * shape.row_tiles + (real ? tile : 0)) * shape.record_bytes;
        bool four = place.start < shape.four_bit_channels;
        uint32_t codes, scales;
        if (four) {
            codes = place.start * (CRUMB_TILE_BYTES / CRUMB_TILE4_CHANNELS);
            scales = shape.scales4_offset + place.start / 2;
        } else {
            uint32_t start = place.start - shape.four_bit_channels;
            codes = shape.codes2_offset + start * (CRUMB_TILE_BYTES / CRUMB_TILE2_CHANNELS);
            scales = shape.scales2_offset + start / 2;
        }
        uint32_t to = slot + second * MATMUL_CODES + lane * 16;
        copy_async(to, record + codes + lane * 16, real);
        if (four && !place.short_step) {
            copy_async(to + CRUMB_TILE_BYTES, record + codes + CRUMB_TILE_BYTES + lane * 16, real);
        }
        // Two lanes for the scale codes, the second one with something else's bytes in a short step; four for row
        // scales.
        if (lane < 2) {
            copy_async(slot + MATMUL_SCALES_AT + second * MATMUL_SCALES + lane * 16, record + scales + lane * 16, real);
        } else if (lane < 6 && opens[second]) {
            uint32_t at = (lane - 2) * 16;
            copy_async(
                slot + MATMUL_ROW_SCALES_AT + second * MATMUL_ROW_SCALES + at,
                record + shape.row_scales_offset + (four ? 0 : 2 * CRUMB_TILE_ROWS) + at, real);
        }
    }
}
