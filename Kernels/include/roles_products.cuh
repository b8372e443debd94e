// The warps of a block that multiply, each a row tile.
#pragma once

#include "roles_finish.cuh"

template <int octets> struct roles_products {
    using Memory = roles_memory<octets>;
    const crumb_matmul_args &args;
    uint32_t tile; // of a group: this warp's
    matmul_sums<octets, has_warpgroups> sums;
    roles_place<Memory::stages> place;
    // Of this lane, from the start of a stage: its codes, its rows' scales of 2-bit and of 4-bit tiles.
    uint32_t codes_at, scales_at, scales_at4;
    bool is_first_lane;

    CRUMB_INLINE roles_products(const crumb_matmul_args &args, uint32_t tile) : args(args), tile(tile) {
        const uint32_t lane = threadIdx.x % 32;
        codes_at = Memory::codes(0, tile) + 16 * lane;
        scales_at = Memory::scales(0, tile) + lane / 4 * 4 + lane % 4 / 2 * 2;
        scales_at4 = Memory::scales(0, tile) + lane / 4 * 2;
        is_first_lane = lane == 0;
        // Else they are worked out again for each unit.
        keep_in_register(codes_at), keep_in_register(scales_at), keep_in_register(scales_at4);
    }

    // A lane's codes of a unit, and its rows' scales, 4 bits each, of every 32 or 64 channels.
    template <int bits> struct unit_codes {
        uint4 words[bits == 2 ? 1 : 2];
        uint32_t scales[bits == 2 ? 1 : 2];
    };
    // Once the unit at hand has come.
    template <int bits> CRUMB_INLINE void load(unit_codes<bits> &unit) const {
        barrier_wait(Memory::full(place.stage), place.parity);
        const uint32_t slot = Memory::slot(place.stage);
#pragma unroll
        for (int k = 0; k < (bits == 2 ? 1 : 2); k++) {
            unit.words[k] = load_shared(slot + codes_at + k * CRUMB_TILE_BYTES);
            unit.scales[k] = load_shared_half(slot + (bits == 2 ? scales_at : scales_at4 + CRUMB_TILE4_SCALE_BYTES * k));
        }
    }

    // A run of one region. Products of a unit go on while the next one's codes become fragments.
    template <int bits> CRUMB_INLINE void multiply(uint32_t count) {
        unit_codes<bits> unit;
        load(unit);
        uint32_t before = 0;
#pragma unroll 1
        for (;;) {
            const uint32_t slot = Memory::slot(place.stage);
            const uint32_t empty = Memory::empty(place.stage);
            const unit_codes<bits> now = unit;
            count--;
            place.next();
            auto load_next = [&] {
                if (count > 0) load(unit);
            };
            if constexpr (bits == 2) {
                const uint32_t words[4] = {now.words[0].x, now.words[0].y, now.words[0].z, now.words[0].w};
                const matmul_rows<2> rows(now.scales[0]);
                matmul_half<2>(sums, rows, words, 0, slot, 0, [] {});
                matmul_half<2>(sums, rows, words, 1, slot, 32 * 16 * octets, load_next);
            } else {
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    const uint32_t words[4] = {now.words[k].x, now.words[k].y, now.words[k].z, now.words[k].w};
                    const matmul_rows<4> rows(now.scales[k]);
                    if (k == 0) matmul_half<4>(sums, rows, words, 0, slot, 0, [] {});
                    if (k == 1) matmul_half<4>(sums, rows, words, 0, slot, 32 * 16 * octets, load_next);
                }
            }
            // Of the last unit's products, those of a half are under way at most; of the one's before none.
            if (before && is_first_lane) barrier_arrive(before);
            before = empty;
            if (count == 0) break;
        }
        sums.settle();
        if (is_first_lane) barrier_arrive(before);
    }

    CRUMB_INLINE void run(const roles_walk &walk) {
        const uint32_t lane = threadIdx.x % 32, g = lane / 4;
        uint32_t index, row_tile;
        walk.tile_of(tile, index, row_tile);
        const crumb_packed_part &part = args.product.parts[index];
        const uint8_t *record = part.records
            + (static_cast<size_t>(walk.segment) * part.shape.row_tiles + min(row_tile, part.shape.row_tiles - 1))
                * part.shape.record_bytes;
        const uint16_t *scales =
            reinterpret_cast<const uint16_t *>(record + part.shape.row_scales_offset) + (walk.four ? 0 : CRUMB_TILE_ROWS);
        uint32_t own[2]; // in pairs
#pragma unroll
        for (int i = 0; i < 2; i++) {
            own[i] = __ldg(scales + g + 16 * i) | static_cast<uint32_t>(__ldg(scales + g + 16 * i + 8)) << 16;
        }
        if (walk.four) {
            multiply<4>(walk.count);
        } else {
            multiply<2>(walk.count);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            sums.row_scales[i] = half_value(static_cast<uint16_t>(own[i / 2] >> i % 2 * 16)) * matmul_code_factor;
        }
        sums.flush();
    }

    // Leaves the sums of the block's group `number`, outliers added, for those that finish it.
    CRUMB_INLINE void hand_in(const roles_sharers &sharers, uint32_t number) {
        const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
        float4 *to = sharers.partial<octets>(args, sharers.own) + tile * 2 * octets * 32 + lane;
        const float *outliers = Memory::outliers(number, tile * CRUMB_TILE_ROWS + g) + 2 * t;
#pragma unroll
        for (int m = 0; m < 2; m++) {
#pragma unroll
            for (int octet = 0; octet < octets; octet++) {
                const float(&v)[4] = sums.total[m][octet];
                const float *from = outliers + 16 * m * Memory::stride + 8 * octet;
                const float2 low = *reinterpret_cast<const float2 *>(from);
                const float2 high = *reinterpret_cast<const float2 *>(from + 8 * Memory::stride);
                __stcg(
                    to + (m * octets + octet) * 32, make_float4(v[0] + low.x, v[1] + low.y, v[2] + high.x, v[3] + high.y));
            }
        }
        barrier_arrive(Memory::taken(number));
    }
};

template <int octets>
CRUMB_INLINE void roles_multiply(const crumb_matmul_args &args, uint32_t warp) {
    using Memory = roles_memory<octets>;
    roles_walk walk(args);
    if (walk.done()) return;
    roles_products<octets> products(args, warp);
#pragma unroll 1
    for (uint32_t number = 0;; number++) {
        products.sums.clear();
#pragma unroll 1
        for (; !walk.group_done(); walk.next_run()) products.run(walk);
        barrier_wait(Memory::ready(number), Memory::parity(number));
        products.hand_in(roles_sharers(walk), number);
        if (walk.is_last()) break;
        walk.next_group();
    }
    wait_for_previous();
    barrier_wait(Memory::normed(), 0);
    const roles_finish<octets> finish(args, warp);
    // In one place: code that comes for the first time takes longest.
#pragma unroll 1
    for (uint32_t number = 0, items = 0;; number++) {
        items = finish.finish(walk, number, items);
        // The first group, where others have begun it.
        walk.restart();
        if (number > 0 || !walk.is_shared_first()) return;
    }
}
