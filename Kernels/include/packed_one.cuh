// The warps that multiply, with one token. Any warp may take any item, since the digits of all items lie in shared memory.
#pragma once

#include "packed_item.cuh"
#include "packed_jobs.cuh"
#include "packed_outliers.cuh"

struct packed_one {
    const crumb_packed_args &args;
    packed_digits digits;
    uint32_t loaded = ~0u; // the item whose digits are in registers
    uint32_t slot = 0;     // the row tile that `sum` belongs to
    float sum = 0;         // of row g + 8 t

    CRUMB_INLINE explicit packed_one(const crumb_packed_args &args) : args(args) {}

    CRUMB_INLINE uint16_t *input() const { return reinterpret_cast<uint16_t *>(packed_memory + args.input_offset); }
    CRUMB_INLINE uint8_t *digits_of(uint32_t item) const {
        return packed_memory + args.digits_offset + item * CRUMB_PACKED_DIGIT_BYTES;
    }
    // This warp's sum of the first row of a row tile: fp32 [32][CRUMB_PACKED_SUMS], a warp's own beside the others'.
    CRUMB_INLINE float *sums_of(uint32_t slot) const {
        return reinterpret_cast<float *>(packed_memory + args.sums_offset)
            + slot * CRUMB_TILE_ROWS * CRUMB_PACKED_SUMS + threadIdx.x / 32;
    }

    CRUMB_INLINE void clear(uint32_t slots) const {
        float4 *sums = reinterpret_cast<float4 *>(packed_memory + args.sums_offset);
#pragma unroll 1
        for (uint32_t i = threadIdx.x; i < slots * (CRUMB_TILE_ROWS * CRUMB_PACKED_SUMS / 4); i += 32 * args.warps) {
            sums[i] = make_float4(0, 0, 0, 0);
        }
    }

    // Asks for the input, all of it by all warps that multiply: a load takes 2000 cycles while the records come in.
    CRUMB_INLINE void fetch_input() const {
        const uint32_t to = shared_address(input());
        const uint16_t *from = args.product.input;
#pragma unroll 1
        for (uint32_t i = 8 * threadIdx.x; i < args.product.positions; i += 256 * args.warps) {
            copy_async(to + 2 * i, from + i, true);
        }
        copies_end_group();
    }

    // Makes the digits of all items, each by one warp.
    CRUMB_INLINE void make_digits() const {
        uint32_t item = threadIdx.x / 32;
#pragma unroll 1
        for (uint32_t index = 0; index < args.product.part_count; index++) {
            const packed_cut &cut = packed_shared_head()->cuts[index];
#pragma unroll 1
            for (; item < cut.items; item += args.warps) {
                const uint32_t segment = packed_quotient(item, cut.items_inverse);
                const packed_job job = packed_jobs(args)[cut.first_job + item - segment * cut.record_items];
                const uint16_t *from = input() + segment * cut.segment_channels + job.channel;
                uint8_t *to = digits_of(cut.first_item + item);
                if (job.kind() == packed_four_bits) {
                    packed_make_digits<4>(from, job.count(), to);
                } else {
                    packed_make_digits<2>(from, job.count(), to);
                }
            }
            item -= cut.items;
        }
    }

    // Waits for a record's scales, outliers and 4-bit codes, and for its 2-bit codes. `place`: in the ring, where
    // records keep their places.
    CRUMB_INLINE const uint8_t *await(uint32_t record, uint32_t place, bool two) const {
        packed_head *head = packed_shared_head();
        const uint32_t entry = record % CRUMB_PACKED_IN_FLIGHT, parity = record / CRUMB_PACKED_IN_FLIGHT & 1;
        packed_await_request(record);
        barrier_wait(&head->full4[entry], parity);
        if (two) barrier_wait(&head->full2[entry], parity);
        return packed_memory + args.ring_offset + (args.laps ? head->offset[entry] : place);
    }

    // Adds `sum` to the warp's sums of its row tile.
    CRUMB_INLINE void store_sum() {
        const uint32_t lane = threadIdx.x % 32;
        __syncwarp();
        sums_of(slot)[(lane / 4 + lane % 4 * 8) * CRUMB_PACKED_SUMS] += sum;
        sum = 0;
    }

    template <int bits>
    CRUMB_INLINE void add_item(const packed_job &job, uint32_t number, uint32_t record, uint32_t place) {
        constexpr uint32_t most = CRUMB_PACKED_ITEM_CHANNELS / (bits == 2 ? CRUMB_TILE2_CHANNELS : CRUMB_TILE4_CHANNELS);
#if __CUDA_ARCH__ >= 1000
        // There it would take a register too many to keep them from item to item.
        digits.load<bits>(digits_of(number));
#else
        if (number != loaded) digits.load<bits>(digits_of(number));
        loaded = number;
#endif
        const uint8_t *from = await(record, place, bits == 2);
        const uint8_t *codes = from + job.codes_offset(), *scales = from + job.scales;
        const uint32_t lane = threadIdx.x % 32;
        const uint16_t row_scale = reinterpret_cast<const uint16_t *>(from + job.rows_offset())[lane / 4 + lane % 4 * 8];
        const int y = job.count() == most ? packed_sums<bits, true>(codes, scales, most, digits)
                                          : packed_sums<bits, false>(codes, scales, job.count(), digits);
        sum += half_value(row_scale) * (static_cast<float>(y) * digits.factor);
    }

    // The warp's jobs.
    CRUMB_INLINE void work() {
        uint32_t next = threadIdx.x / 32, released = 0;
#pragma unroll 1
        for (uint32_t index = 0; index < args.product.part_count; index++) {
            const packed_cut &cut = packed_shared_head()->cuts[index];
#pragma unroll 1
            for (; next < cut.jobs; next += packed_workers<1>(args)) {
                uint32_t record = packed_quotient(next, cut.jobs_inverse);
                const uint32_t number = next - record * cut.record_jobs;
                const packed_job job = packed_jobs(args)[cut.first_job + number];
                const uint32_t segment = packed_quotient(record, cut.tiles_inverse);
                const uint32_t place = cut.ring + record * cut.ring_bytes, to = cut.slot + record - segment * cut.tiles;
                record += cut.first_record;
                packed_release(args, released, record);
                if (job.kind() == packed_outliers) {
                    const uint8_t *from = await(record, place, false) + job.codes_offset();
                    const uint16_t *x = input() + segment * cut.segment_channels + job.channel;
                    packed_add_outliers(from, job.scales, x, sums_of(to));
                    continue;
                }
                if (to != slot) {
                    store_sum();
                    slot = to;
                }
                const uint32_t item = cut.first_item + segment * cut.record_items + number;
                if (job.kind() == packed_four_bits) {
                    add_item<4>(job, item, record, place);
                } else {
                    add_item<2>(job, item, record, place);
                }
            }
            next -= cut.jobs;
        }
        const packed_cut &last = packed_shared_head()->cuts[args.product.part_count - 1];
        packed_release(args, released, last.first_record + packed_quotient(last.jobs, last.jobs_inverse));
        store_sum();
    }

    // Brings the input, the digits of its items and the tables into shared memory, by args.warps warps.
    CRUMB_INLINE void make_ready(const packed_block &block) const {
        fetch_input();
        // The last warps have the fewest jobs.
        const uint32_t last = args.warps - 1;
#pragma unroll 1
        for (uint32_t index = last - threadIdx.x / 32; index < args.product.part_count; index += args.warps) {
            packed_cut_part(args, block, index);
        }
        copies_done<0>();
        barrier_of_warps(3, args.warps);
        make_digits();
    }
};
