// The warps of a block that copy, each every fourth unit, and then wait for other blocks.
//
// Place of a unit: the activations of 64 channels, see matmul_memory::row_of(); then of each row tile codes [1024] and of
// each first-order scales [32]. A 2-bit tile of codes takes 512 bytes.
#pragma once

#include "roles.cuh"

template <int octets> struct roles_copies {
    using Memory = roles_memory<octets>;
    using Order = matmul_memory<octets>;
    const crumb_matmul_args &args;
    roles_walk walk;
    uint32_t left = 0; // units of this run from this one on
    uint32_t rest;     // of them: 4-bit code tiles
    // Four neighbouring row tiles.
    struct four_tiles {
        const uint8_t *codes; // of the first, this lane's
        uint32_t after;       // how many there are behind it
    } low, high;
    uint32_t record_bytes;
    const uint8_t *scales, *input; // this lane's

    CRUMB_INLINE roles_copies(const crumb_matmul_args &args, uint32_t skipped) : args(args), walk(args) {
        enter();
        skip(skipped);
    }

    CRUMB_INLINE bool done() const { return walk.done(); }
    CRUMB_INLINE void skip(uint32_t units) {
        while (!done() && units >= left) {
            units -= left;
            walk.next_run();
            if (walk.group_done()) walk.next_group();
            enter();
        }
        left -= units, rest -= 2 * units;
        const uint32_t bytes = units * (walk.four ? 2 * CRUMB_TILE_BYTES : CRUMB_TILE_BYTES);
        low.codes += bytes, high.codes += bytes, scales += 32 * units;
        input += units * CRUMB_ROLES_CHANNELS * channel_bytes();
    }

    CRUMB_INLINE void copy_codes(uint32_t slot) const {
        const uint32_t lane = threadIdx.x % 32, to = Memory::codes(slot, 0) + 16 * lane;
        copy_codes(low, to), copy_codes(high, to + roles_tiles * CRUMB_TILE_BYTES);
        // The last scales of a region may be followed by what is not used.
        if (lane < 2 * roles_tiles) copy_async(Memory::scales(slot, 0) + 16 * lane, scales, true);
    }
    CRUMB_INLINE void copy_input(uint32_t slot) const {
        if (walk.four) {
            copy_input<true>(slot);
        } else {
            copy_input<false>(slot);
        }
    }

  private:
    // From a channel's activations to the next one's.
    CRUMB_INLINE uint32_t channel_bytes() const { return args.halves * (Memory::tokens * 2); }
    CRUMB_INLINE void copy_codes(const four_tiles &own, uint32_t to) const {
        const bool two = walk.four && rest > 1;
#pragma unroll
        for (uint32_t k = 0; k < roles_tiles / 2; k++, to += 2 * CRUMB_TILE_BYTES) {
            // Past the last row tile, it is copied once more.
            const uint8_t *from = own.codes + min(k, own.after) * record_bytes;
            copy_async(to, from, true);
            if (two) copy_async(to + CRUMB_TILE_BYTES, from + CRUMB_TILE_BYTES, true);
        }
    }
    // Of the channel's number in binary, a step's bits are zero in a lane's first: places are exclusive ors.
    template <bool four> CRUMB_INLINE void copy_input(uint32_t slot) const {
        constexpr uint32_t step = 32 / octets;
        const uint32_t lane = threadIdx.x % 32;
        uint32_t place = Order::exchanged(Order::row_of(lane / octets, four), lane % octets);
        // Else all places are worked out once, and do not fit the registers.
        keep_in_register(place);
#pragma unroll
        for (uint32_t channel = 0; channel < CRUMB_ROLES_CHANNELS; channel += step) {
            // An odd 4-bit tile at a region's end: zeros beside it.
            const bool valid = !four || channel < CRUMB_TILE4_CHANNELS || rest > 1;
            copy_async(
                slot + (place ^ Order::exchanged(Order::row_of(channel, four), 0)),
                valid ? input + channel * channel_bytes() : input, valid);
        }
    }
    CRUMB_INLINE void enter(four_tiles &own, uint32_t first_tile) {
        const uint32_t lane = threadIdx.x % 32;
        uint32_t number, row_tile;
        walk.tile_of(first_tile, number, row_tile);
        const crumb_packed_part &part = args.product.parts[number];
        const crumb_packed_shape &shape = part.shape;
        const uint32_t tile = min(row_tile, shape.row_tiles - 1);
        record_bytes = shape.record_bytes;
        own.after = min(shape.row_tiles - 1 - tile, roles_tiles / 2 - 1);
        const uint8_t *record =
            part.records + (static_cast<size_t>(walk.segment) * shape.row_tiles + tile) * shape.record_bytes;
        own.codes = record + 16 * lane
            + (walk.four ? walk.first * 2 * CRUMB_TILE_BYTES : shape.codes2_offset + walk.first * CRUMB_TILE_BYTES);
        const uint8_t *own_scales = record + min(lane / 2 % 4, own.after) * shape.record_bytes + lane % 2 * 16
            + walk.first * CRUMB_TILE2_SCALE_BYTES + (walk.four ? shape.scales4_offset : shape.scales2_offset);
        if (lane / 2 >= first_tile) scales = own_scales;
    }
    // Where things stand at the start of a run.
    CRUMB_INLINE void enter() {
        if (done()) return;
        const uint32_t lane = threadIdx.x % 32;
        left = walk.count;
        rest = walk.four ? args.cuts[walk.cut].tiles4 - 2 * walk.first : 0;
        enter(low, 0), enter(high, roles_tiles / 2);
        const crumb_packed_shape &shape = args.product.parts[walk.cut].shape;
        const uint32_t position = walk.segment * shape.segment_channels + (walk.four ? 0 : shape.four_bit_channels)
            + walk.first * CRUMB_ROLES_CHANNELS;
        input = reinterpret_cast<const uint8_t *>(args.product.input) + static_cast<size_t>(position + lane / octets) * channel_bytes()
            + walk.first_token(Memory::tokens) * 2 + lane % octets * 16;
    }
};

// Waits for a group's sums, by one thread.
CRUMB_INLINE void roles_await(const roles_walk &walk, uint32_t barrier) {
    const uint32_t count = roles_sharers(walk).count;
    uint32_t *arrivals = roles_sharers::arrivals(walk);
    // Low half: blocks whose sums are there; high half: blocks that have seen that all are.
    while ((load_acquired(arrivals) & 0xFFFF) < count) {}
    barrier_arrive(barrier);
    if (atomicAdd(arrivals, 1u << 16) >> 16 == count - 1) *arrivals = 0;
}

// Tells the block when the groups that it finishes in the end are complete, by two threads: its last group, and its first
// if others have begun it.
template <int octets> CRUMB_INLINE void roles_await_groups(const crumb_matmul_args &args, uint32_t warp) {
    roles_walk walk(args);
    if (warp > 1 || threadIdx.x % 32 != 0 || walk.done()) return;
    if (warp == 1 && !walk.is_shared_first()) return;
    while (warp == 0 && !walk.is_last()) walk.next_group();
    roles_await(walk, roles_memory<octets>::complete(warp));
}

template <int octets>
CRUMB_INLINE void roles_copy(const crumb_matmul_args &args, uint32_t warp) {
    using Memory = roles_memory<octets>;
    static_assert(roles_copying <= Memory::stages);
    roles_copies<octets> ahead(args, warp);
    uint32_t stage = warp, parity = 0;
    bool copied = false;
    if (!ahead.done()) ahead.copy_codes(Memory::slot(stage)), copied = true;
    wait_for_previous();
    release_next();
#pragma unroll 1
    for (uint32_t unit = warp; !ahead.done(); unit += roles_copying, ahead.skip(roles_copying)) {
        const uint32_t slot = Memory::slot(stage);
        if (unit >= Memory::stages) barrier_wait(Memory::empty(stage), parity ^ 1);
        if (!copied) ahead.copy_codes(slot);
        copied = false;
        ahead.copy_input(slot);
        copies_arrive_later(Memory::full(stage));
        stage += roles_copying;
        if (stage >= Memory::stages) stage -= Memory::stages, parity ^= 1;
    }
    roles_await_groups<octets>(args, warp);
}
