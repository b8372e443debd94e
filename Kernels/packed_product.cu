// y = W x for packed matrices and up to 8 tokens: the products of the decode step.
//
// Grid: at most one block a multiprocessor. Block: args.warps warps that multiply, one that works out the norm, one that
// copies records into a ring in shared memory. Each multiplying warp takes items of the records in turns and loads what it
// needs of the activations by itself: none waits for another until the end, when the warps' sums of each row are added in
// order (the same bits from run to run). Dynamic shared memory: as crumb_packed_plan() says.
// Bytes: the records, once. The first records are requested before the previous kernel is waited for.
#include "include/packed_codes.cuh"
#include "include/packed_outliers.cuh"
#include "include/packed_output.cuh"
#include "include/packed_ring.cuh"

// The start of a block's shared memory. Records in flight go round.
struct packed_head {
    // A record's 4-bit codes, scales and outliers are there; its 2-bit codes are.
    uint64_t full4[CRUMB_PACKED_IN_FLIGHT], full2[CRUMB_PACKED_IN_FLIGHT];
    uint32_t offset[CRUMB_PACKED_IN_FLIGHT]; // in the ring
    uint32_t progress[32];                   // of each warp: the first record that it still needs
    uint32_t requested;                      // records whose copies have been asked for
    float factors[8];                        // of each token: the norm's
    float squares[24][8];                    // [warp][token] of the new residual stream
};

static_assert(sizeof(packed_head) <= CRUMB_PACKED_HEAD_BYTES, "crumb_packed_plan() counts on it");

extern __shared__ __align__(128) uint8_t packed_memory[];

CRUMB_INLINE packed_head *packed_shared_head() { return reinterpret_cast<packed_head *>(packed_memory); }

// Waits for all warps of the block but the one that copies.
CRUMB_INLINE void packed_sync(const crumb_packed_args &args) { barrier_of_warps(2, args.warps + 1); }

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

    CRUMB_INLINE void copy(const crumb_packed_part &part, uint32_t segment, uint32_t tile) {
        packed_head *head = packed_shared_head();
        const crumb_packed_shape &shape = part.shape;
        const uint32_t bytes = (shape.record_bytes + 127) / 128 * 128;
        const uint32_t left_out = offset + bytes > args.ring_bytes ? args.ring_bytes - offset : 0;
        while (used + left_out + bytes > args.ring_bytes || count - released == CRUMB_PACKED_IN_FLIGHT) {
            // No warp needs records before this one.
            const uint32_t lane = threadIdx.x % 32;
            const uint32_t first =
                warp_reduce(lane < args.warps ? load_progress(head->progress + lane) : ~0u, Minimum());
            for (; released < first && released < count; released++) {
                used -= __shfl_sync(~0u, size, released % CRUMB_PACKED_IN_FLIGHT);
                while (oldest < 2 * released + 2) arrived();
            }
        }
        if (left_out > 0) offset = 0;
        const uint32_t entry = count % CRUMB_PACKED_IN_FLIGHT;
        if (threadIdx.x % 32 == entry) size = left_out + bytes;
        uint8_t *to = packed_memory + args.ring_offset + offset;
        const uint8_t *from = packed_record(part, segment, tile);
        const uint32_t bytes4 = shape.codes2_offset, bytes2 = shape.scales4_offset - bytes4;
        const uint32_t scales = shape.scales4_offset, rest = shape.record_bytes - scales;
        make_way(bytes4 + rest);
        if (threadIdx.x % 32 == entry) first_bytes = bytes4 + rest, second_bytes = bytes2;
        if (copies_asks()) {
            if (threadIdx.x % 32 == 0) head->offset[entry] = offset;
            copies_expect(&head->full4[entry], bytes4 + rest);
            copy_bytes(&head->full4[entry], to + scales, from + scales, rest);
            copy_bytes(&head->full4[entry], to, from, bytes4);
            copies_arrive(&head->full4[entry]);
        }
        if (threadIdx.x % 32 == 0) store_progress(&head->requested, count + 1);
        make_way(bytes2);
        if (copies_asks()) {
            copies_expect(&head->full2[entry], bytes2);
            copy_bytes(&head->full2[entry], to + bytes4, from + bytes4, bytes2);
            copies_arrive(&head->full2[entry]);
        }
        used += left_out + bytes, offset += bytes, count++;
    }
};

CRUMB_INLINE void packed_copy_warp(const crumb_packed_args &args) {
    packed_copies copies(args);
    const packed_block block(args.product);
#pragma unroll 1
    for (uint32_t index = 0; index < args.product.part_count; index++) {
        const crumb_packed_part &part = args.product.parts[index];
        const packed_range range(args.product, block, index);
#pragma unroll 1
        for (uint32_t segment = 0; segment < part.shape.segments; segment++) {
#pragma unroll 1
            for (uint32_t tile = 0; tile < range.tiles; tile++) copies.copy(part, segment, range.first + tile);
        }
    }
}

// The norm's factors.
template <int tokens>
CRUMB_INLINE void packed_norm(const crumb_packed_args &args, float *factors) {
    const crumb_packed_product &product = args.product;
    float sums[tokens] = {};
#pragma unroll 2
    for (uint32_t i = threadIdx.x % 32; product.squares && i < product.square_count; i += 32) {
#pragma unroll
        for (int token = 0; token < tokens; token++) {
            if (static_cast<uint32_t>(token) < args.tokens) {
                sums[token] += __ldcg(product.squares + i * args.tokens + token);
            }
        }
    }
#pragma unroll
    for (int token = 0; token < tokens; token++) {
        float mean = warp_reduce(sums[token], Sum()) / static_cast<float>(product.columns);
        float factor = product.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
        if (threadIdx.x % 32 == 0) factors[token] = factor;
    }
}

template <int bits, int tokens>
CRUMB_INLINE void packed_multiply(
    const uint8_t *record, const packed_place &place, const packed_input<bits, tokens> &input, float *sums) {
    int y[packed_input<bits, tokens>::octets][4][2];
    packed_item(y, record + place.codes, record + place.scales, place.tiles, input);
    packed_gather<tokens>(y, input.in.factor, record + place.row_scales, sums);
}

// Brings one token's input into shared memory, by all warps but the one that copies. One load of all of it: a load takes
// 2000 cycles while the records come in.
CRUMB_INLINE void packed_stage(const crumb_packed_args &args) {
    const uint4 *from = reinterpret_cast<const uint4 *>(args.product.input);
    uint4 *to = reinterpret_cast<uint4 *>(packed_memory + args.input_offset);
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < args.product.positions / 8; i += 32 * (args.warps + 1)) to[i] = __ldcg(from + i);
    packed_sync(args);
}

// A warp that multiplies.
template <int tokens> struct packed_worker {
    const crumb_packed_args &args;
    packed_fragments<tokens> fragments;
    uint32_t count = 0; // records of the parts before
    uint32_t run;       // the warp's next run of outliers, counted from the group's first
    float *sums;        // of slot 0: [slot][warp][tokens][32]
    uint8_t *scratch;

    CRUMB_INLINE explicit packed_worker(const crumb_packed_args &args) : args(args) {
        const uint32_t warp = threadIdx.x / 32;
        sums = reinterpret_cast<float *>(packed_memory + args.sums_offset) + warp * tokens * CRUMB_TILE_ROWS;
        scratch = packed_memory + CRUMB_PACKED_HEAD_BYTES + warp * CRUMB_PACKED_DIGIT_BYTES;
    }

    // With one token.
    CRUMB_INLINE const uint16_t *input() const {
        return reinterpret_cast<const uint16_t *>(packed_memory + args.input_offset);
    }
    CRUMB_INLINE uint32_t slot_floats() const { return args.warps * tokens * CRUMB_TILE_ROWS; }

    // Waits for a record's scales, outliers and 4-bit codes.
    CRUMB_INLINE const uint8_t *await(uint32_t record) const {
        const packed_head *head = packed_shared_head();
        const uint32_t entry = record % CRUMB_PACKED_IN_FLIGHT;
        // Not before the barrier stands for this record: its parity tells neighbours apart only.
        while (record >= CRUMB_PACKED_IN_FLIGHT && load_progress(&head->requested) <= record) {}
        barrier_wait(const_cast<uint64_t *>(&head->full4[entry]), record / CRUMB_PACKED_IN_FLIGHT & 1);
        return packed_memory + args.ring_offset + head->offset[entry];
    }
    CRUMB_INLINE void await_two_bits(uint32_t record) const {
        packed_head *head = packed_shared_head();
        barrier_wait(&head->full2[record % CRUMB_PACKED_IN_FLIGHT], record / CRUMB_PACKED_IN_FLIGHT & 1);
    }
    // The warp needs records from `record` on.
    CRUMB_INLINE void release(uint32_t record) const {
        __syncwarp();
        if (threadIdx.x % 32 == 0) store_progress(packed_shared_head()->progress + threadIdx.x / 32, record);
    }

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
            if (tokens == 1) {
                x[token] = input()[outlier.channel];
            } else if (outlier.bits != 0 && static_cast<uint32_t>(token) < args.tokens) {
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
        if constexpr (tokens == 1) {
            if (place.four) {
                four.load(input() + place.position, place.tiles, scratch);
            } else {
                two.load(input() + place.position, place.tiles, scratch);
            }
        } else {
            const uint16_t *from = product.input + place.position;
            if (place.four) {
                four.load(from, product.positions, place.tiles, args.tokens);
            } else {
                two.load(from, product.positions, place.tiles, args.tokens);
            }
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

    uint32_t loaded; // the item whose activations the fragments are

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

// Row `row` of a slot's row tile.
template <int tokens>
CRUMB_INLINE float packed_sum(const crumb_packed_args &args, uint32_t slot, uint32_t token, uint32_t row) {
    const float *from = reinterpret_cast<const float *>(packed_memory + args.sums_offset)
        + (slot * args.warps * tokens + token) * CRUMB_TILE_ROWS + row;
    float sum = 0;
#pragma unroll 6
    for (uint32_t warp = 0; warp < args.warps; warp++) sum += from[warp * tokens * CRUMB_TILE_ROWS];
    return sum * packed_shared_head()->factors[token];
}

// Brings near what packed_finish will want for the block's first row tile.
CRUMB_INLINE void packed_touch(const crumb_packed_product &product, const packed_block &block) {
    const uint32_t row = block.begin * CRUMB_TILE_ROWS + threadIdx.x % 32;
    if (product.kind != CRUMB_PACKED_RESIDUAL || row >= product.parts[0].shape.rows) return;
    if (product.next_places) touch(product.next_places + row);
    if (product.next_input) touch(product.next_norm + row);
    if (product.parts[0].bias) touch(product.parts[0].bias + row);
}

// What becomes of the rows of all slots, a warp for each tile: lane = row.
template <int tokens>
CRUMB_INLINE void packed_finish(const crumb_packed_args &args, const packed_block &block) {
    const crumb_packed_product &product = args.product;
    packed_head *head = packed_shared_head();
    // The warp of the norm is the first.
    const uint32_t warp = threadIdx.x / 32 == args.warps ? 0 : threadIdx.x / 32 + 1, lane = threadIdx.x % 32;
    float squares[tokens] = {};
#pragma unroll 1
    for (uint32_t index = 0; index < (product.kind == CRUMB_PACKED_SILU ? 1 : product.part_count); index++) {
        const crumb_packed_part &part = product.parts[index];
        const packed_range range(product, block, index);
#pragma unroll 1
        for (uint32_t tile = warp; tile < range.tiles; tile += args.warps + 1) {
            const uint32_t row = (range.first + tile) * CRUMB_TILE_ROWS + lane, slot = range.slot + tile;
            if (row >= part.shape.rows) continue;
#pragma unroll
            for (int token = 0; token < tokens; token++) {
                if (static_cast<uint32_t>(token) >= args.tokens) break;
                const float value = packed_sum<tokens>(args, slot, token, lane);
                if (product.kind == CRUMB_PACKED_SILU) {
                    packed_silu(product, token, row, value, packed_sum<tokens>(args, range.tiles + slot, token, lane));
                } else if (product.kind == CRUMB_PACKED_RESIDUAL) {
                    const float stream = packed_residual(product, part, token, row, value);
                    squares[token] += stream * stream;
                } else {
                    packed_store(product, part, token, row, value);
                }
            }
        }
    }
    if (product.kind != CRUMB_PACKED_RESIDUAL || !product.next_input) return;
#pragma unroll
    for (int token = 0; token < tokens; token++) {
        float sum = warp_reduce(squares[token], Sum());
        if (lane == 0) head->squares[warp][token] = sum;
    }
    packed_sync(args);
    if (warp == 0 && lane < args.tokens) {
        float sum = 0;
        for (uint32_t i = 0; i <= args.warps; i++) sum += head->squares[i][lane];
        __stcg(product.next_squares + blockIdx.x * args.tokens + lane, sum);
    }
}

template <int tokens> CRUMB_INLINE void packed_product(const crumb_packed_args &args) {
    const uint32_t warp = threadIdx.x / 32;
    // A warp makes its barriers one after the other: so each makes two.
    if (threadIdx.x % 32 == 0) {
        packed_head *head = packed_shared_head();
        for (uint32_t i = warp; i < CRUMB_PACKED_IN_FLIGHT; i += blockDim.x / 32) {
            barrier_make(&head->full4[i], copy_arrivals());
            barrier_make(&head->full2[i], copy_arrivals());
        }
        head->progress[warp] = 0;
        if (warp == 0) head->requested = 0;
        barriers_made();
    }
    __syncthreads();
    if (warp > args.warps) return packed_copy_warp(args);
    const packed_block block(args.product);
    wait_for_previous();
    release_next();
    if (tokens == 1) packed_stage(args);
    if (warp == args.warps) {
        packed_touch(args.product, block);
        packed_norm<tokens>(args, packed_shared_head()->factors);
    } else {
        packed_worker<tokens>(args).multiply(block);
    }
    packed_sync(args);
    packed_finish<tokens>(args, block);
}

#define CRUMB_PACKED_PRODUCT_KERNEL(tokens) \
    extern "C" __global__ void __launch_bounds__(32 * (CRUMB_PACKED_WARPS_M##tokens + CRUMB_PACKED_OTHER_WARPS), 1) \
        packed_product_m##tokens(const __grid_constant__ crumb_packed_args args) { \
        packed_product<tokens>(args); \
    }

// With 4 and 8 tokens the compiler spills up to 300 bytes for sm_100 and sm_120, whose registers go less far.
// check: hot packed_product_m1
// check: hot packed_product_m2
// check: async packed_product_*
CRUMB_PACKED_PRODUCT_KERNEL(1)
CRUMB_PACKED_PRODUCT_KERNEL(2)
CRUMB_PACKED_PRODUCT_KERNEL(4)
CRUMB_PACKED_PRODUCT_KERNEL(8)
