// The warps that multiply, with two tokens or more.
#pragma once

#include "packed_codes.cuh"
#include "packed_outliers.cuh"
#include "packed_shared.cuh"

template <int bits, int tokens>
CRUMB_INLINE void packed_multiply(
    const uint8_t *record, const packed_place &place, const packed_input<bits, tokens> &input, float *sums) {
    int y[4];
    packed_item(y, record + place.codes, record + place.scales, place.tiles, input);
    packed_gather<tokens>(y, input.in.factor, record + place.row_scales, sums);
}

// A warp that multiplies, with two tokens or more.
template <int tokens> struct packed_worker {
    const crumb_packed_args &args;
    packed_fragments<tokens> fragments;
    uint32_t count = 0; // records of the parts before
    uint32_t released = 0;
    uint32_t run;       // the warp's next run of outliers, counted from the group's first
    uint32_t loaded;    // the item whose activations the fragments are
    float *sums;        // of slot 0: [slot][warp][tokens][32]

    CRUMB_INLINE explicit packed_worker(const crumb_packed_args &args) : args(args) {
        const uint32_t warp = threadIdx.x / 32;
        sums = reinterpret_cast<float *>(packed_memory + args.sums_offset) + warp * tokens * CRUMB_TILE_ROWS;
    }

    CRUMB_INLINE uint32_t slot_floats() const { return args.warps * tokens * CRUMB_TILE_ROWS; }

    // Waits for a record's scales, outliers and 4-bit codes.
    CRUMB_INLINE const uint8_t *await(uint32_t record) const {
        const packed_head *head = packed_shared_head();
        const uint32_t entry = record % CRUMB_PACKED_IN_FLIGHT;
        packed_await_request(record);
        barrier_wait(const_cast<uint64_t *>(&head->full4[entry]), record / CRUMB_PACKED_IN_FLIGHT & 1);
        return packed_memory + args.ring_offset + head->offset[entry];
    }
    CRUMB_INLINE void await_two_bits(uint32_t record) const {
        packed_head *head = packed_shared_head();
        barrier_wait(&head->full2[record % CRUMB_PACKED_IN_FLIGHT], record / CRUMB_PACKED_IN_FLIGHT & 1);
    }
    // The warp needs records from `record` on.
    CRUMB_INLINE void release(uint32_t record) { packed_release(args, released, record); }

    // Adds run `run` of a group of records, the first of which is `first`, and goes to the warp's next.
    CRUMB_INLINE void add_run(const crumb_packed_part &part, uint32_t first, uint32_t segment, uint32_t slot) {
        const crumb_packed_product &product = args.product;
        const uint32_t runs = (part.record_entries + 31) / 32, tile = run / runs;
        const packed_outlier outlier(part, await(first + tile), segment, run - tile * runs);
        float *to = sums + (slot + tile) * slot_floats();
        uint16_t x[tokens];
#pragma unroll
        for (int token = 0; token < tokens; token++) {
            x[token] = 0;
            if (outlier.bits != 0 && static_cast<uint32_t>(token) < args.tokens) {
                x[token] = __ldcg(product.input + static_cast<size_t>(token) * product.positions + outlier.channel);
            }
        }
        __syncwarp();
#pragma unroll
        for (int token = 0; token < tokens; token++) outlier.add(x[token], to + token * CRUMB_TILE_ROWS);
        __syncwarp();
        run += args.warps;
    }

    // Loads an item's activations, unless they are there.
    CRUMB_INLINE void open(const packed_place &place) {
        const crumb_packed_product &product = args.product;
        const uint32_t key = place.position | place.tiles << 27 | (place.four ? 1u << 31 : 0);
        if (loaded == key) return;
        loaded = key;
        packed_input<2, tokens> two{fragments};
        packed_input<4, tokens> four{fragments};
        const uint16_t *from = product.input + place.position;
        if (place.four) {
            four.load(from, product.positions, place.tiles, args.tokens);
        } else {
            two.load(from, product.positions, place.tiles, args.tokens);
        }
    }

    // The block's records of one part; `item` is the warp's first.
    //
    // Records are in groups: those of a segment, where they are in shared memory together (an item is done for all row
    // tiles before the next), else single ones. Items of all groups are taken in turns, and so are runs of outliers.
    CRUMB_INLINE void multiply(const crumb_packed_part &part, const packed_range &range, uint32_t item) {
        const crumb_packed_product &product = args.product;
        const uint32_t items = part.record_items, tiles = product.resident ? range.tiles : 1;
        const uint32_t groups = product.resident ? part.shape.segments : part.shape.segments * range.tiles;
        const uint32_t runs = (part.record_entries + 31) / 32, group_runs = runs * tiles;
        auto hop = [](uint32_t &number, uint32_t each, uint32_t &group, uint32_t groups) {
            while (number >= each && group < groups) number -= each, group++;
        };
        auto segment_of = [&](uint32_t group) { return product.resident ? group : group / range.tiles; };
        auto slot_of = [&](uint32_t group) { return range.slot + (product.resident ? 0 : group % range.tiles); };
        uint32_t group = 0, run_group = 0;
        hop(item, items, group, groups);
        hop(run, group_runs, run_group, groups);
#pragma unroll 1
        while (group < groups || run_group < groups) {
            // The copies may wait for that.
            release(count + min(group, run_group) * tiles);
            // Older records first: the ring may be too small for both.
            const bool codes = group < groups && group <= run_group;
            if (!codes) {
                add_run(part, count + run_group * tiles, segment_of(run_group), slot_of(run_group));
                hop(run, group_runs, run_group, groups);
                continue;
            }
            const uint32_t now = group, segment = segment_of(group);
            const packed_place place(part, segment, item);
            open(place);
            item += args.warps;
            hop(item, items, group, groups);
            const uint32_t first = count + now * tiles, slot = slot_of(now);
#pragma unroll 1
            for (uint32_t tile = 0; tile < tiles; tile++) {
                float *to = sums + (slot + tile) * slot_floats();
                const uint8_t *record = await(first + tile);
                if (place.four) {
                    packed_multiply(record, place, packed_input<4, tokens>{fragments}, to);
                } else {
                    await_two_bits(first + tile);
                    packed_multiply(record, place, packed_input<2, tokens>{fragments}, to);
                }
                // Here the record is there, and the warps' turns differ.
                if (run_group == now && run / runs == tile) {
                    add_run(part, first, segment, slot);
                    hop(run, group_runs, run_group, groups);
                }
            }
        }
        count += groups * tiles;
        release(count);
    }

    CRUMB_INLINE void multiply(const packed_block &block) {
        const crumb_packed_product &product = args.product;
        const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        for (uint32_t slot = packed_slots(product, block); slot-- > 0;) {
#pragma unroll
            for (int token = 0; token < tokens; token++) {
                sums[slot * slot_floats() + token * CRUMB_TILE_ROWS + lane] = 0;
            }
        }
        __syncwarp();
        loaded = ~0u;
        // The last warps have the fewest items.
        run = args.warps - 1 - warp;
#pragma unroll 1
        for (uint32_t index = 0; index < product.part_count; index++) {
            const crumb_packed_part &part = product.parts[index];
            const packed_range range(product, block, index);
            if (range.tiles == 0) continue;
            multiply(
                part, range, warp >= part.first_warp ? warp - part.first_warp : warp + args.warps - part.first_warp);
        }
    }
};
