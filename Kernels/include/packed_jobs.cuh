// What the warps of a block do, with one token: jobs, each an item of a record or its outliers, in the order of the
// records. The warps take them in turns; each writes down its own in shared memory, a lane for each, while the
// activations are on their way, since there is more to work out for a job than to add.
#pragma once

#include "packed_shared.cuh"
#include "packed_work.cuh"

enum packed_job_kind : uint32_t { packed_four_bits, packed_two_bits, packed_outliers };

// Offsets are bytes within the record, or within the ring where records keep their places in it.
struct alignas(16) packed_job {
    uint32_t codes;   // bits 0 ... 19: of the codes, or of the outliers; 20 ... 23: tiles; 24 ...: kind
    uint32_t scales;  // of the first-order scales, or the outliers' number
    uint32_t rows;    // of the row scales, or the input's position of the first channel with outliers
    uint32_t target;  // bits 0 ... 11: record; 12 ... 23: the item's number among those with digits, or outliers of a tile; 24 ...: slot

    CRUMB_INLINE uint32_t offset() const { return codes & 0xFFFFF; }
    CRUMB_INLINE uint32_t tiles() const { return codes >> 20 & 15; }
    CRUMB_INLINE uint32_t kind() const { return codes >> 24; }
    CRUMB_INLINE uint32_t record() const { return target & 0xFFF; }
    CRUMB_INLINE uint32_t number() const { return target >> 12 & 0xFFF; }
    CRUMB_INLINE uint32_t slot() const { return target >> 24; }
};

// Job `index` of a record: its items, then its outliers.
CRUMB_INLINE packed_job packed_job_of(
    const crumb_packed_part &part, uint32_t segment, uint32_t index, uint32_t record, uint32_t slot, uint32_t ring) {
    const crumb_packed_shape &shape = part.shape;
    packed_job job;
    if (index < part.record_items) {
        const packed_place place(part, segment, index);
        job.codes = (ring + place.codes) | place.tiles << 20 | (place.four ? packed_four_bits : packed_two_bits) << 24;
        job.scales = ring + place.scales, job.rows = ring + place.row_scales;
        index += part.first_item + segment * part.record_items;
    } else {
        job.codes = (ring + shape.outliers_offset) | packed_outliers << 24;
        job.scales = part.record_entries;
        job.rows = segment * shape.segment_channels + shape.four_bit_channels;
        index = shape.outliers_per_tile;
    }
    job.target = record | index << 12 | slot << 24;
    return job;
}

// A warp's jobs.
CRUMB_INLINE packed_job *packed_jobs(const crumb_packed_args &args) {
    return reinterpret_cast<packed_job *>(packed_memory + args.jobs_offset) + threadIdx.x / 32 * args.warp_jobs;
}

// Writes down the warp's jobs and returns their number.
CRUMB_INLINE uint32_t packed_plan_jobs(const crumb_packed_args &args, const packed_block &block) {
    const crumb_packed_product &product = args.product;
    packed_job *jobs = packed_jobs(args);
    uint32_t count = 0;
#pragma unroll 1
    for (bool more = true; more;) {
        const uint32_t k = count + threadIdx.x % 32;
        uint32_t job = threadIdx.x / 32 + k * args.warps, found = product.part_count, tiles = 1, slot = 0;
        uint32_t records = 0, ring = 0; // of parts before
#pragma unroll
        for (uint32_t index = 0; index < 3; index++) {
            if (index >= product.part_count || found < product.part_count) continue;
            const crumb_packed_part &part = product.parts[index];
            const packed_range range(product, block, index);
            const uint32_t own = part.shape.segments * range.tiles, jobs = own * part.record_jobs;
            if (job < jobs) {
                found = index, tiles = range.tiles, slot = range.slot;
            } else {
                job -= jobs, records += own, ring += own * packed_ring_bytes(part.shape);
            }
        }
        const bool is_job = found < product.part_count;
        if (is_job) {
            const crumb_packed_part &part = product.parts[found];
            const uint32_t record = job / part.record_jobs, segment = tiles == 1 ? record : record / tiles;
            jobs[k] = packed_job_of(
                part, segment, job - record * part.record_jobs, records + record, slot + record - segment * tiles,
                args.laps ? 0 : ring + record * packed_ring_bytes(part.shape));
        }
        const uint32_t lanes = __ballot_sync(~0u, is_job);
        count += __popc(lanes), more = lanes == ~0u;
    }
    __syncwarp();
    return count;
}

// Lane k: item threadIdx.x / 32 + k * args.warps of those whose digits a block makes.
struct packed_input_item {
    uint32_t position, tiles; // tiles: 0 where there is none
    bool four;

    CRUMB_INLINE explicit packed_input_item(const crumb_packed_args &args) : position(0), tiles(0), four(false) {
        const crumb_packed_product &product = args.product;
        const uint32_t number = threadIdx.x / 32 + threadIdx.x % 32 * args.warps;
#pragma unroll 1
        for (uint32_t index = 0; index < product.part_count; index++) {
            const crumb_packed_part &part = product.parts[index];
            const uint32_t own = number - part.first_item;
            if (own >= part.shape.segments * part.record_items) continue;
            const uint32_t segment = own / part.record_items;
            const packed_place place(part, segment, own - segment * part.record_items);
            position = place.position, tiles = place.tiles, four = place.four;
        }
    }
};
