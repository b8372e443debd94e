// A product of packed matrices by blocks whose warps have roles (sm_90a): eight multiply, each a row tile, and make of the
// sums what is wanted; four copy; four add outliers.
//
// Eight row tiles are a group (for SiLU four of gate and four of up); its K is cut into units of 64 channels of one region.
// The units of all groups, one after the other, are dealt out evenly to the blocks. Blocks leave their sums of a group in
// memory, and each of those that share it finishes a part of it: the same bits from run to run.
#pragma once

#include "matmul_codes.cuh"
#include "packed_work.cuh"
#include "roles_sync.cuh"

// With more tokens than 32, each half of them has groups of its own.
constexpr uint32_t roles_halves = 2; // at most
constexpr uint32_t roles_tiles = CRUMB_ROLES_TILES, roles_copying = 4, roles_adding = 4;

// A block's shared memory: see crumb_roles_head_bytes().
template <int octets> struct roles_memory {
    static constexpr uint32_t tokens = 8 * octets, width = roles_halves * tokens, stages = crumb_roles_stages(tokens);
    static constexpr uint32_t stage_bytes = crumb_roles_stage_bytes(tokens);
    static constexpr uint32_t input_bytes = CRUMB_ROLES_CHANNELS * tokens * 2;
    static constexpr uint32_t stride = crumb_roles_stride(tokens); // of `outliers`, numbers

    static constexpr uint32_t gathered_bytes = CRUMB_ROLES_GATHERED * crumb_roles_gathered_bytes(tokens);
    static constexpr uint32_t full_at = (sizeof(crumb_matmul_args) + 15) / 16 * 16, empty_at = full_at + 8 * stages;
    static constexpr uint32_t ready_at = empty_at + 8 * stages, factors_at = (ready_at + 56 + 15) / 16 * 16;
    static constexpr uint32_t scratch_at = factors_at + 4 * width, entries_at = scratch_at + 128 * roles_adding;
    static constexpr uint32_t gathered_at = entries_at + 8 * CRUMB_ROLES_LISTED * roles_adding;
    static constexpr uint32_t outliers_at = gathered_at + roles_adding * gathered_bytes;

    // Addresses are worked out where they are used: they take no registers.
    static CRUMB_INLINE uint8_t *at(uint32_t bytes) {
        // As packed_shared.cuh has it: a block has one such array.
        extern __shared__ __align__(1024) uint8_t packed_memory[];
        return packed_memory + bytes;
    }
    // Barriers: of stages; the outliers of the block's group `number` are there, have been taken, those of even numbers and
    // of odd ones, so that outliers may be a group ahead; the norm's factors are there.
    static CRUMB_INLINE uint32_t full(uint32_t stage) { return shared_address(at(full_at)) + 8 * stage; }
    static CRUMB_INLINE uint32_t empty(uint32_t stage) { return shared_address(at(empty_at)) + 8 * stage; }
    static CRUMB_INLINE uint32_t ready(uint32_t number) { return shared_address(at(ready_at)) + 8 * (number & 1); }
    static CRUMB_INLINE uint32_t taken(uint32_t number) { return shared_address(at(ready_at)) + 16 + 8 * (number & 1); }
    // Of both: the parity of the phase of group `number`.
    static CRUMB_INLINE uint32_t parity(uint32_t number) { return number >> 1 & 1; }
    // The sums of the group that is finished first (0) and second (1) are there.
    static CRUMB_INLINE uint32_t complete(uint32_t number) { return shared_address(at(ready_at)) + 40 + 8 * number; }
    static CRUMB_INLINE uint32_t normed() { return shared_address(at(ready_at)) + 32; }
    static CRUMB_INLINE float *factors() { return reinterpret_cast<float *>(at(factors_at)); }           // [width]
    static CRUMB_INLINE float *scratch() { return reinterpret_cast<float *>(at(scratch_at)); }           // [128]
    // Of a warp for outliers: what it has listed of entries, and the rows of activations of some.
    static CRUMB_INLINE uint32_t listed(uint32_t warp) {
        return shared_address(at(entries_at)) + 8 * CRUMB_ROLES_LISTED * warp;
    }
    static CRUMB_INLINE uint32_t gathered(uint32_t warp) { return shared_address(at(gathered_at)) + gathered_bytes * warp; }
    // Sums of outliers of the block's group `number`.
    static CRUMB_INLINE float *outliers(uint32_t number, uint32_t row) {
        constexpr uint32_t rows = roles_tiles * CRUMB_TILE_ROWS;
        return reinterpret_cast<float *>(at(outliers_at)) + ((number & 1) * rows + row) * stride;
    }
    // Of a stage: activations, then codes of the row tiles, then their scales.
    static CRUMB_INLINE uint32_t slot(uint32_t stage) {
        return shared_address(at(crumb_roles_head_bytes(tokens))) + stage * stage_bytes;
    }
    static CRUMB_INLINE uint32_t codes(uint32_t slot, uint32_t tile) {
        return slot + input_bytes + tile * 2 * CRUMB_TILE_BYTES;
    }
    static CRUMB_INLINE uint32_t scales(uint32_t slot, uint32_t tile) {
        return slot + input_bytes + roles_tiles * 2 * CRUMB_TILE_BYTES + tile * CRUMB_TILE2_SCALE_BYTES;
    }
};

// A ring's next place, and the parity of the phase that fills it.
template <int stages> struct roles_place {
    uint32_t stage = 0, parity = 0;
    CRUMB_INLINE void next() {
        if (++stage == stages) stage = 0, parity ^= 1;
    }
};

// A block's share, group by group and run by run: neighbouring units of one region.
struct roles_walk {
    const crumb_matmul_args &args;
    uint32_t step, last;        // of all groups' units: the group's first of this block, and where the block's end
    uint32_t cut, group;        // group: of its part
    uint32_t begin, unit, end;  // of the group's units: the block's, and this run's first
    uint32_t segment, first, count; // of the run; first: in the region
    bool four;

    CRUMB_INLINE explicit roles_walk(const crumb_matmul_args &args) : args(args) { restart(); }
    CRUMB_INLINE void restart() {
        const crumb_packed_product &product = args.product;
        step = blockIdx.x * product.block_units + min(blockIdx.x, product.long_blocks);
        last = min(step + product.block_units + (blockIdx.x < product.long_blocks ? 1 : 0), args.all_steps);
        cut = 0;
        enter();
    }
    CRUMB_INLINE bool done() const { return step >= last; }
    CRUMB_INLINE bool is_last() const { return step + (end - begin) == last; }
    // Of the first group: whether it is not the block's last, and others have begun it.
    CRUMB_INLINE bool is_shared_first() const { return !is_last() && begin > 0; }
    CRUMB_INLINE bool group_done() const { return unit == end; }
    CRUMB_INLINE void next_run() {
        unit += count;
        if (unit < end) look_up();
    }
    CRUMB_INLINE void next_group() {
        step += end - begin;
        enter();
    }
    // The group's first token.
    CRUMB_INLINE uint32_t first_token(uint32_t tokens) const { return (group & (args.halves - 1)) * tokens; }
    // The part and row tile of tile `tile` of the group.
    CRUMB_INLINE void tile_of(uint32_t tile, uint32_t &part, uint32_t &row_tile) const {
        constexpr uint32_t half = roles_tiles / 2;
        const bool paired = args.product.kind == CRUMB_PACKED_SILU;
        const uint32_t rows = group >> (args.halves - 1);
        part = paired ? tile / half : cut;
        row_tile = paired ? rows * half + tile % half : rows * roles_tiles + tile;
    }

  private:
    CRUMB_INLINE void enter() {
        if (done()) return;
        while (cut + 1 < args.cut_count && step >= args.cuts[cut + 1].first_step) cut++;
        const crumb_matmul_cut &own = args.cuts[cut];
        group = packed_quotient(step - own.first_step, own.span_inverse);
        unit = begin = step - own.first_step - group * own.span;
        end = min(own.steps, begin + (last - step));
        // Behind a group's last step there may be some without work.
        if (own.span > own.steps) last = begin < end ? step + (end - begin) : step;
        look_up();
    }
    CRUMB_INLINE void look_up() {
        const crumb_matmul_cut &own = args.cuts[cut];
        segment = packed_quotient(unit, own.chunks_inverse), first = unit - segment * own.chunks;
        four = first < own.chunks4;
        count = min(end - unit, (four ? own.chunks4 : own.chunks) - first);
        if (!four) first -= own.chunks4;
    }
};

// The blocks that share a group.
struct roles_sharers {
    uint32_t first, count, own; // own: this block's number among them
    bool begun_before;          // whether the first block's share begins with another group

    CRUMB_INLINE explicit roles_sharers(const roles_walk &walk) {
        const crumb_packed_product &product = walk.args.product;
        const crumb_matmul_cut &cut = walk.args.cuts[walk.cut];
        const uint32_t begin = cut.first_step + walk.group * cut.span;
        first = block_of(walk.args, begin), count = block_of(walk.args, begin + cut.steps - 1) - first + 1;
        own = blockIdx.x - first;
        begun_before = first * product.block_units + min(first, product.long_blocks) < begin;
    }
    // Where the sums of sharer `number` stand: [row tile][16 rows][octet][lane] of 16 bytes.
    template <int octets> CRUMB_INLINE float4 *partial(const crumb_matmul_args &args, uint32_t number) const {
        const uint32_t place = 2 * (first + number) + (number == 0 && begun_before ? 1 : 0);
        return reinterpret_cast<float4 *>(args.partials) + static_cast<size_t>(place) * roles_tiles * 2 * octets * 32;
    }
    static CRUMB_INLINE uint32_t *arrivals(const roles_walk &walk) {
        return walk.args.arrivals + walk.args.cuts[walk.cut].first_group + walk.group;
    }

  private:
    static CRUMB_INLINE uint32_t block_of(const crumb_matmul_args &args, uint32_t step) {
        const uint32_t blocks = args.product.long_blocks, longer = blocks * (args.product.block_units + 1);
        return step < longer ? packed_quotient(step, args.long_inverse)
                             : blocks + packed_quotient(step - longer, args.units_inverse);
    }
};
