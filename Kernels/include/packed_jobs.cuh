// What the warps of a block do, with one token: jobs, each an item of a record or a run of its outliers, taken in turns
// in the order of the records.
//
// What all blocks' divisions and choices come to stands in shared memory, a table for each part, made by one warp while the
// activations are on their way: a job costs some twenty instructions from there.
#pragma once

#include "packed_shared.cuh"
#include "packed_work.cuh"

enum packed_job_kind : uint32_t { packed_four_bits, packed_two_bits, packed_outliers };

// A job of a record. Offsets are bytes within the record.
struct alignas(16) packed_job {
    uint32_t codes;   // of the codes, or of the first outlier; bits 20 ...: tiles of the item
    uint32_t scales;  // of the first-order scales, or how many outliers are left of the pool
    uint32_t rows;    // of the row scales; bits 20 ...: kind
    uint32_t channel; // the first one within the segment

    CRUMB_INLINE uint32_t kind() const { return rows >> 20; }
    CRUMB_INLINE uint32_t count() const { return codes >> 20; }
    CRUMB_INLINE uint32_t codes_offset() const { return codes & 0xFFFFF; }
    CRUMB_INLINE uint32_t rows_offset() const { return rows & 0xFFFFF; }
};

CRUMB_INLINE packed_job *packed_jobs(const crumb_packed_args &args) {
    return reinterpret_cast<packed_job *>(packed_memory + args.jobs_offset);
}

// Writes a part's tables, by one warp.
CRUMB_INLINE void packed_cut_part(const crumb_packed_args &args, const packed_block &block, uint32_t index) {
    const crumb_packed_product &product = args.product;
    const crumb_packed_part &part = product.parts[index];
    const crumb_packed_shape &shape = part.shape;
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll 1
    for (uint32_t i = lane; i < part.record_jobs; i += 32) {
        packed_job job;
        if (i < part.record_items) {
            const packed_place place(part, 0, i);
            job.codes = place.codes | place.tiles << 20, job.scales = place.scales;
            job.rows = place.row_scales | (place.four ? packed_four_bits : packed_two_bits) << 20;
            job.channel = place.position;
        } else {
            const uint32_t pool_entries = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS * shape.outliers_per_tile;
            const uint32_t pool_runs = (pool_entries + CRUMB_PACKED_RUN - 1) / CRUMB_PACKED_RUN;
            const uint32_t run = i - part.record_items, pool = run / pool_runs;
            const uint32_t first = pool * pool_entries + (run - pool * pool_runs) * CRUMB_PACKED_RUN;
            job.codes = shape.outliers_offset + 4 * first;
            job.scales = min((pool + 1) * pool_entries, part.record_entries) - first;
            job.rows = packed_outliers << 20;
            job.channel = shape.four_bit_channels + pool * CRUMB_OUTLIER_CHANNELS;
        }
        packed_jobs(args)[part.first_job + i] = job;
    }
    packed_cut cut;
    cut.first_record = cut.ring = 0;
#pragma unroll 1
    for (uint32_t before = 0; before < index; before++) {
        const crumb_packed_shape &other = product.parts[before].shape;
        const uint32_t records = other.segments * packed_range(product, block, before).tiles;
        cut.first_record += records, cut.ring += records * packed_ring_bytes(other);
    }
    const packed_range range(product, block, index);
    cut.record_jobs = part.record_jobs, cut.jobs_inverse = part.jobs_inverse;
    cut.jobs = shape.segments * range.tiles * part.record_jobs;
    cut.first_job = part.first_job;
    cut.tiles = range.tiles, cut.tiles_inverse = 0x7FFFFFFFu / max(range.tiles, 1u) + 1, cut.slot = range.slot;
    cut.ring_bytes = packed_ring_bytes(shape);
    cut.items = part.own_items, cut.items_inverse = part.items_inverse;
    cut.first_item = part.first_item, cut.record_items = part.record_items;
    cut.segment_channels = shape.segment_channels;
    if (lane == 0) packed_shared_head()->cuts[index] = cut;
}
