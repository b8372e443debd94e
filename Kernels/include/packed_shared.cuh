// A block's shared memory: see crumb_packed_plan().
#pragma once

#include "packed_ring.cuh"

// Row tiles of a block for which the end of a product finds what it needs in shared memory.
constexpr uint32_t packed_rows_ahead = 8 * CRUMB_TILE_ROWS;

// How a part is cut in this block.
struct alignas(16) packed_cut {
    uint32_t jobs;                                           // of all records
    uint32_t record_jobs, jobs_inverse;                      // of a record
    uint32_t first_job;                                      // of the part's among the jobs of a record of all parts
    uint32_t tiles, tiles_inverse, slot;                     // row tiles, the slot of the first
    uint32_t first_record, ring, ring_bytes;                 // the first record's number and place in the ring; bytes of one
    uint32_t items, items_inverse, first_item, record_items; // with digits of their own, in all; of a record
    uint32_t segment_channels;
};

// The start of a block's shared memory. Records in flight go round.
struct packed_head {
    // A record's 4-bit codes, scales and outliers are there; its 2-bit codes are; no warp needs it any more.
    uint64_t full4[CRUMB_PACKED_IN_FLIGHT], full2[CRUMB_PACKED_IN_FLIGHT], done[CRUMB_PACKED_IN_FLIGHT];
    uint32_t offset[CRUMB_PACKED_IN_FLIGHT]; // in the ring
    alignas(16) uint8_t zeros[160];          // digits of columns that an item's tile does not count for
    packed_cut cuts[3];
    uint32_t requested;                      // records whose copies have been asked for
    float factors[4];                        // of each token: the norm's
    float squares[24][4];                    // [warp][token] of the new residual stream
    // Of the block's first rows, see packed_fetch_ahead().
    uint16_t places[packed_rows_ahead];
    float norms[packed_rows_ahead];
    float stream[4][packed_rows_ahead]; // [token]
};

static_assert(sizeof(packed_head) <= CRUMB_PACKED_HEAD_BYTES, "crumb_packed_plan() counts on it");

// Warps that take jobs: with one token the norm's warp too.
template <int tokens> CRUMB_INLINE uint32_t packed_workers(const crumb_packed_args &args) {
    return tokens == 1 ? args.warps + 1 : args.warps;
}

extern __shared__ __align__(1024) uint8_t packed_memory[];

CRUMB_INLINE packed_head *packed_shared_head() { return reinterpret_cast<packed_head *>(packed_memory); }

// Waits until a record's barriers stand for it: their parity tells neighbours apart only.
CRUMB_INLINE void packed_await_request(uint32_t record) {
    while (record >= CRUMB_PACKED_IN_FLIGHT && load_progress(&packed_shared_head()->requested) <= record) {}
}

// The warp needs records from `record` on. Nobody asks where records keep their places.
CRUMB_INLINE void packed_release(const crumb_packed_args &args, uint32_t &released, uint32_t record) {
    if (!args.laps || released == record) return;
    __syncwarp();
    for (; released < record; released++) {
        packed_await_request(released);
        if (threadIdx.x % 32 == 0) barrier_arrive(&packed_shared_head()->done[released % CRUMB_PACKED_IN_FLIGHT]);
    }
}
