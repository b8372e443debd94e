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
    // This warp's sums of a row tile, fp32 [32].
    CRUMB_INLINE float *sums_of(uint32_t slot) const {
        return reinterpret_cast<float *>(packed_memory + args.sums_offset)
            + (slot * args.warps + threadIdx.x / 32) * CRUMB_TILE_ROWS;
    }

    CRUMB_INLINE void clear(uint32_t slots) const {
        for (uint32_t i = 0; i < slots; i++) sums_of(i)[threadIdx.x % 32] = 0;
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
    CRUMB_INLINE void make_digits(const packed_input_item &mine) const {
        const uint32_t all = mine.position / CRUMB_CHANNEL_ALIGNMENT << 8 | mine.tiles << 1 | mine.four;
        uint32_t number = threadIdx.x / 32;
#pragma unroll 1
        for (int k = 0;; k++, number += args.warps) {
            const uint32_t item = __shfl_sync(~0u, all, k), tiles = item >> 1 & 127;
            if (tiles == 0) break;
            const uint16_t *from = input() + (item >> 8) * CRUMB_CHANNEL_ALIGNMENT;
            if (item & 1) {
                packed_make_digits<4>(from, tiles, digits_of(number));
            } else {
                packed_make_digits<2>(from, tiles, digits_of(number));
            }
        }
    }

    // Waits for a record's scales, outliers and 4-bit codes, and for its 2-bit codes. Where its offsets begin.
    CRUMB_INLINE const uint8_t *await(uint32_t record, bool two) const {
        packed_head *head = packed_shared_head();
        const uint32_t entry = record % CRUMB_PACKED_IN_FLIGHT, parity = record / CRUMB_PACKED_IN_FLIGHT & 1;
        const uint8_t *ring = packed_memory + args.ring_offset;
        packed_await_request(record);
        barrier_wait(&head->full4[entry], parity);
        if (two) barrier_wait(&head->full2[entry], parity);
        return args.laps ? ring + head->offset[entry] : ring;
    }

    // Adds `sum` to the warp's sums of its row tile.
    CRUMB_INLINE void store_sum() {
        const uint32_t lane = threadIdx.x % 32;
        __syncwarp();
        sums_of(slot)[lane / 4 + lane % 4 * 8] += sum;
        sum = 0;
    }

    template <int bits> CRUMB_INLINE void add_item(const packed_job &job) {
        constexpr uint32_t most = CRUMB_PACKED_ITEM_CHANNELS / (bits == 2 ? CRUMB_TILE2_CHANNELS : CRUMB_TILE4_CHANNELS);
        if (job.number() != loaded) digits.load<bits>(digits_of(job.number()));
        loaded = job.number();
        const uint8_t *from = await(job.record(), bits == 2);
        const uint8_t *codes = from + job.offset(), *scales = from + job.scales;
        const uint32_t lane = threadIdx.x % 32;
        const uint16_t row_scale = reinterpret_cast<const uint16_t *>(from + job.rows)[lane / 4 + lane % 4 * 8];
        const int y = job.tiles() == most ? packed_sums<bits, true>(codes, scales, most, digits)
                                          : packed_sums<bits, false>(codes, scales, job.tiles(), digits);
        sum += half_value(row_scale) * (static_cast<float>(y) * digits.factor);
    }

    CRUMB_INLINE void work(uint32_t count, uint32_t records) {
        const packed_job *jobs = packed_jobs(args);
        uint32_t released = 0;
#pragma unroll 1
        for (uint32_t k = 0; k < count; k++) {
            const packed_job job = jobs[k];
            packed_release(args, released, job.record());
            if (job.kind() == packed_outliers) {
                const uint8_t *from = await(job.record(), false) + job.offset();
                packed_add_outliers(from, job.scales, job.number(), input() + job.rows, sums_of(job.slot()));
                continue;
            }
            if (job.slot() != slot) {
                store_sum();
                slot = job.slot();
            }
            if (job.kind() == packed_four_bits) {
                add_item<4>(job);
            } else {
                add_item<2>(job);
            }
        }
        packed_release(args, released, records);
        store_sum();
    }

    CRUMB_INLINE void multiply(const packed_block &block) {
        fetch_input();
        const packed_input_item mine(args);
        const uint32_t count = packed_plan_jobs(args, block);
        copies_done<0>();
        barrier_of_warps(1, args.warps);
        make_digits(mine);
        barrier_of_warps(1, args.warps);
        work(count, packed_records(args.product, block));
    }
};
