// The warps that multiply, with one token.
//
// Items of all records of a block are taken in turns, and so are runs of outliers; each warp takes its own in the order of
// the records. Any warp may take any item, since the digits of all items lie in shared memory.
#pragma once

#include "packed_item.cuh"
#include "packed_outliers.cuh"

struct packed_one {
    const crumb_packed_args &args;
    packed_digits digits;
    uint32_t item, run;     // this warp's next ones, counted from the first of a record
    uint32_t count = 0;     // records of the parts before
    uint32_t place = 0;     // in the ring: of the first record of a part, where records keep their places
    uint32_t loaded = ~0u;  // the item whose digits are in registers
    uint32_t slot = 0;      // the row tile that `sum` belongs to
    float sum = 0;          // of row g + 8 t

    CRUMB_INLINE explicit packed_one(const crumb_packed_args &args) : args(args) {
        const uint32_t warp = threadIdx.x / 32;
        item = warp;
        // The last warps have the fewest items.
        run = args.warps - 1 - warp;
    }

    CRUMB_INLINE uint16_t *input() const { return reinterpret_cast<uint16_t *>(packed_memory + args.input_offset); }
    CRUMB_INLINE uint8_t *digits_of(uint32_t item) const {
        return packed_memory + args.digits_offset + item * CRUMB_PACKED_DIGIT_BYTES;
    }
    // This warp's sums of a row tile, fp32 [32].
    CRUMB_INLINE float *sums_of(uint32_t slot) const {
        return reinterpret_cast<float *>(packed_memory + args.sums_offset)
            + (slot * args.warps + threadIdx.x / 32) * CRUMB_TILE_ROWS;
    }

    CRUMB_INLINE void clear(uint32_t slots) const {
        for (uint32_t i = 0; i < slots; i++) sums_of(i)[threadIdx.x % 32] = 0;
    }

    // Calls `use(place, number)` for this warp's share of the items of the input.
    template <class Use> CRUMB_INLINE void each_item(Use use) const {
        const crumb_packed_product &product = args.product;
        uint32_t item = threadIdx.x / 32, first = 0;
#pragma unroll 1
        for (uint32_t index = 0; index < product.part_count; index++) {
            const crumb_packed_part &part = product.parts[index];
            // Parts that are cut alike have the same items.
            if (part.first_item != first) continue;
            const uint32_t segments = part.shape.segments, items = part.record_items;
            uint32_t segment = 0;
#pragma unroll 1
            for (;; item += args.warps) {
                while (item >= items && segment < segments) item -= items, segment++;
                if (segment >= segments) break;
                use(packed_place(part, segment, item), first + segment * items + item);
            }
            first += segments * items;
        }
    }

    // Makes the digits of all items, by all warps that multiply. One load of all of a warp's input: a load takes 2000
    // cycles while the records come in.
    CRUMB_INLINE void make_digits() const {
        const uint32_t lane = threadIdx.x % 32;
        const uint16_t *from = args.product.input;
        each_item([&](const packed_place &place, uint32_t) {
            const uint32_t at = place.position + 8 * lane;
            if (lane < place.tiles * (place.four ? 4 : 8)) copy_async(shared_address(input() + at), from + at, true);
        });
        copies_end_group();
        copies_done<0>();
        __syncwarp();
        each_item([&](const packed_place &place, uint32_t number) {
            if (place.four) {
                packed_make_digits<4>(input() + place.position, place.tiles, digits_of(number));
            } else {
                packed_make_digits<2>(input() + place.position, place.tiles, digits_of(number));
            }
        });
    }

    // Waits for a record's scales, outliers and 4-bit codes, and for its 2-bit codes.
    CRUMB_INLINE const uint8_t *await(const crumb_packed_part &part, uint32_t record, bool two) const {
        packed_head *head = packed_shared_head();
        const uint32_t number = count + record, entry = number % CRUMB_PACKED_IN_FLIGHT;
        const uint32_t parity = number / CRUMB_PACKED_IN_FLIGHT & 1;
        // Not before the barrier stands for this record: its parity tells neighbours apart only.
        while (args.laps && number >= CRUMB_PACKED_IN_FLIGHT && load_progress(&head->requested) <= number) {}
        barrier_wait(&head->full4[entry], parity);
        if (two) barrier_wait(&head->full2[entry], parity);
        const uint32_t at = args.laps ? head->offset[entry] : place + record * packed_ring_bytes(part.shape);
        return packed_memory + args.ring_offset + at;
    }
    // The warp needs records from `number` on.
    CRUMB_INLINE void release(uint32_t number) const {
        if (!args.laps) return;
        __syncwarp();
        if (threadIdx.x % 32 == 0) store_progress(packed_shared_head()->progress + threadIdx.x / 32, number);
    }

    // Adds `sum` to the warp's sums of its row tile.
    CRUMB_INLINE void store_sum() {
        const uint32_t lane = threadIdx.x % 32;
        __syncwarp();
        sums_of(slot)[lane / 4 + lane % 4 * 8] += sum;
        sum = 0;
    }

    CRUMB_INLINE void add_item(const crumb_packed_part &part, uint32_t segment, uint32_t record, uint32_t to) {
        if (to != slot) {
            store_sum();
            slot = to;
        }
        const packed_place at(part, segment, item);
        const uint32_t number = part.first_item + segment * part.record_items + item, lane = threadIdx.x % 32;
        const bool is_loaded = number == loaded;
        loaded = number;
        const uint8_t *from;
        int y;
        if (at.four) {
            if (!is_loaded) digits.load<4>(digits_of(number));
            from = await(part, record, false);
            y = at.tiles == 8 ? packed_sums<4, true>(from + at.codes, from + at.scales, at.tiles, digits)
                              : packed_sums<4, false>(from + at.codes, from + at.scales, at.tiles, digits);
        } else {
            if (!is_loaded) digits.load<2>(digits_of(number));
            from = await(part, record, true);
            y = at.tiles == 4 ? packed_sums<2, true>(from + at.codes, from + at.scales, at.tiles, digits)
                              : packed_sums<2, false>(from + at.codes, from + at.scales, at.tiles, digits);
        }
        const uint16_t scale = reinterpret_cast<const uint16_t *>(from + at.row_scales)[lane / 4 + lane % 4 * 8];
        sum += half_value(scale) * (static_cast<float>(y) * digits.factor);
    }

    // The block's records of one part.
    CRUMB_INLINE void multiply(const crumb_packed_part &part, const packed_range &range) {
        const uint32_t tiles = range.tiles, records = part.shape.segments * tiles;
        uint32_t item_record = 0, run_record = 0; // of the next ones
        auto hop = [&](uint32_t &number, uint32_t each, uint32_t &record) {
            while (number >= each && record < records) number -= each, record++;
        };
        auto segment_of = [&](uint32_t record) {
            return part.shape.segments == 1 ? 0 : tiles == 1 ? record : record / tiles;
        };
        hop(item, part.record_items, item_record);
        hop(run, part.record_runs, run_record);
#pragma unroll 1
        while (item_record < records || run_record < records) {
            release(count + min(item_record, run_record));
            const bool is_item = item_record <= run_record;
            const uint32_t record = is_item ? item_record : run_record, segment = segment_of(record);
            const uint32_t to = range.slot + record - segment * tiles;
            if (is_item) {
                add_item(part, segment, record, to);
                item += args.warps;
                hop(item, part.record_items, item_record);
            } else {
                packed_add_outliers(part, await(part, record, false), segment, run, input(), sums_of(to));
                run += args.warps;
                hop(run, part.record_runs, run_record);
            }
        }
        count += records, place += records * packed_ring_bytes(part.shape);
        release(count);
    }

    CRUMB_INLINE void multiply(const packed_block &block) {
#pragma unroll 1
        for (uint32_t index = 0; index < args.product.part_count; index++) {
            const packed_range range(args.product, block, index);
            if (range.tiles > 0) multiply(args.product.parts[index], range);
        }
        store_sum();
    }
};
