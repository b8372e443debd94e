// The warp that copies a block's records into the ring.
#pragma once

#include "packed_shared.cuh"
#include "packed_work.cuh"

// Copies the block's records into the ring, one after the other.
struct packed_copies {
    const crumb_packed_args &args;
    uint32_t count = 0;            // records so far
    uint32_t released = 0;         // of them: whose bytes have been given back
    uint32_t used = 0;             // bytes of the others, with what they left out at the ring's end
    uint32_t offset = 0;           // where the next one goes
    uint32_t size = 0;             // lane i: bytes of record i, modulo the records in flight, at most 32

    // Of the copies under way, two for each record: the oldest, their bytes in all, and of record i in lane i.
    uint32_t oldest = 0, under_way = 0, first_bytes = 0, second_bytes = 0;

    CRUMB_INLINE explicit packed_copies(const crumb_packed_args &args) : args(args) {}

    // Waits until few enough bytes are under way: what the other warps load would queue behind them.
    CRUMB_INLINE void make_way(uint32_t bytes) {
        packed_head *head = packed_shared_head();
        while (under_way > 0 && under_way + bytes > args.window) {
            const uint32_t record = oldest / 2, entry = record % CRUMB_PACKED_IN_FLIGHT;
            uint64_t *barrier = oldest % 2 ? &head->full2[entry] : &head->full4[entry];
            barrier_wait(barrier, record / CRUMB_PACKED_IN_FLIGHT & 1);
            arrived();
        }
        under_way += bytes;
    }
    CRUMB_INLINE void arrived() {
        under_way -= __shfl_sync(~0u, oldest % 2 ? second_bytes : first_bytes, oldest / 2 % CRUMB_PACKED_IN_FLIGHT);
        oldest++;
    }

    // Waits for a place in the ring, where places are used more than once.
    CRUMB_INLINE void make_room(uint32_t bytes) {
        uint32_t left_out = offset + bytes > args.ring_bytes ? args.ring_bytes - offset : 0;
        while (used + left_out + bytes > args.ring_bytes || count - released == CRUMB_PACKED_IN_FLIGHT) {
            if (released < count) {
                const uint32_t entry = released % CRUMB_PACKED_IN_FLIGHT;
                barrier_wait(&packed_shared_head()->done[entry], released / CRUMB_PACKED_IN_FLIGHT & 1);
                used -= __shfl_sync(~0u, size, entry);
                while (oldest < 2 * released + 2) arrived();
                released++;
            }
            // The ring may be too short for this record behind a shorter one.
            if (used == 0) offset = 0, left_out = 0;
        }
        // Also where it stood at the very end, with nothing to leave out.
        if (offset + bytes > args.ring_bytes) offset = 0;
        if (threadIdx.x % 32 == count % CRUMB_PACKED_IN_FLIGHT) size = left_out + bytes;
        used += left_out + bytes;
    }

    // The block's records of one part.
    CRUMB_INLINE void copy(const crumb_packed_part &part, const packed_range &range) {
        packed_head *head = packed_shared_head();
        const uint32_t scales = part.shape.scales4_offset, record_bytes = part.shape.record_bytes;
        const uint32_t bytes = packed_ring_bytes(part.shape), rest = record_bytes - scales, lane = threadIdx.x % 32;
        // A copy takes 53 ns of an H200's copying unit however few its bytes are: a short record is one.
        const bool once = record_bytes <= CRUMB_PACKED_SHORT_RECORD;
        const uint32_t bytes4 = once ? scales : part.shape.codes2_offset, bytes2 = scales - bytes4;
        const uint64_t between = static_cast<uint64_t>(part.shape.row_tiles - range.tiles) * record_bytes;
        const uint8_t *from = packed_record(part, 0, range.first);
        uint32_t tile = 0;
#pragma unroll 1
        for (uint32_t left = part.shape.segments * range.tiles; left > 0; left--) {
            if (args.laps) make_room(bytes);
            const uint32_t entry = count % CRUMB_PACKED_IN_FLIGHT;
            uint8_t *to = packed_memory + args.ring_offset + offset;
            make_way(bytes4 + rest);
            if (lane == entry) first_bytes = bytes4 + rest, second_bytes = bytes2;
            if (copies_asks()) {
                if (lane == 0) head->offset[entry] = offset;
                copies_expect(&head->full4[entry], bytes4 + rest);
                if (once) {
                    copy_bytes(&head->full4[entry], to, from, bytes4 + rest);
                } else {
                    copy_bytes(&head->full4[entry], to + scales, from + scales, rest);
                    copy_bytes(&head->full4[entry], to, from, bytes4);
                }
                copies_arrive(&head->full4[entry]);
            }
            if (args.laps && lane == 0) store_progress(&head->requested, count + 1);
            make_way(bytes2);
            if (copies_asks()) {
                copies_expect(&head->full2[entry], bytes2);
                copy_bytes(&head->full2[entry], to + bytes4, from + bytes4, bytes2);
                copies_arrive(&head->full2[entry]);
            }
            offset += bytes, count++, from += record_bytes;
            if (++tile == range.tiles) tile = 0, from += between;
        }
    }
};

CRUMB_INLINE void packed_copy_warp(const crumb_packed_args &args) {
    packed_copies copies(args);
    const packed_block block(args.product);
#pragma unroll 1
    for (uint32_t index = 0; index < args.product.part_count; index++) {
        const packed_range range(args.product, block, index);
        if (range.tiles > 0) copies.copy(args.product.parts[index], range);
    }
}
