// y = W x for packed matrices and up to 8 tokens: the product of the decode step.
//
// Grid: at most one block a multiprocessor, and no more than units (row tiles, or row tiles of gate and up together).
// Block: CRUMB_PACKED_THREADS. Eight warps take the codes, each through a ring of its own in shared memory that
// cp.async fills; what a warp needs of the activations it loads by itself, so nobody waits for a block-wide stage. The
// ninth warp adds up the outliers and the norm's mean square beside them. At the end the warps' sums of each row are
// added in order: the same bits from run to run. Dynamic shared memory: as
// crumb_packed_matvec_plan() says.
// Bytes: the records, once. Codes are requested before the previous kernel of the stream is waited for.
#include "include/packed_codes.cuh"
#include "include/packed_outliers.cuh"
#include "include/packed_output.cuh"

constexpr uint32_t packed_warps = CRUMB_PACKED_THREADS / 32 - 1;

// Ends of what the block's warps work out, at the start of its shared memory.
struct packed_head {
    float factors[8];                   // of each token: the norm's
    float squares[packed_warps + 1][8]; // of the new residual stream
};

extern __shared__ __align__(128) uint8_t packed_memory[];

// Starts to copy what the cursor stands at into a slot of the ring.
template <class Cursor> CRUMB_INLINE void packed_fetch(const Cursor &at, uint32_t slot) {
    uint32_t lane = threadIdx.x % 32;
    const uint8_t *codes = at.record + at.codes + lane * 16;
#pragma unroll
    for (uint32_t tile = 0; tile < CRUMB_PACKED_ITEM_TILES; tile++) {
        copy_async(slot + tile * CRUMB_TILE_BYTES + lane * 16, codes + tile * CRUMB_TILE_BYTES, tile < at.tiles);
    }
    // 8 lanes for the scale codes, 4 for the row scales.
    uint32_t scale_bytes = at.tiles * (at.four ? CRUMB_TILE4_SCALE_BYTES : CRUMB_TILE2_SCALE_BYTES);
    bool row_scales = lane >= 8;
    const uint8_t *from = at.record + (row_scales ? at.row_scales + (lane - 8) * 16 : at.scales + lane * 16);
    if (lane < 12) copy_async(slot + PACKED_SCALES_AT + lane * 16, from, row_scales || lane * 16 < scale_bytes);
}

template <int tokens, class Output>
CRUMB_INLINE void packed_codes_warp(
    const crumb_packed_matvec_args &args, const packed_block &block, uint8_t *ring, float *sums, uint32_t slot_count) {
    constexpr bool paired = Output::paired;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    uint8_t *mine = ring + warp * CRUMB_PACKED_DEPTH * CRUMB_PACKED_SLOT_BYTES;
    const uint32_t target = shared_address(mine);
    packed_cursor<paired, packed_warps> ahead, at;
    ahead.start(args, block, warp);
    at = ahead;
#pragma unroll 1
    for (uint32_t slot = 0; slot < CRUMB_PACKED_DEPTH - 1; slot++) {
        if (ahead.valid(args)) packed_fetch(ahead, target + slot * CRUMB_PACKED_SLOT_BYTES), ahead.advance(args, block);
        copies_end_group();
    }
    // This warp's sums: [slot][warp][tokens][32].
#pragma unroll 1
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        float *zero = sums + (slot * packed_warps + warp) * tokens * CRUMB_TILE_ROWS;
        for (uint32_t i = lane; i < tokens * CRUMB_TILE_ROWS; i += 32) zero[i] = 0;
    }
    wait_for_previous();
    release_next();
    packed_input<2, tokens> two;
    packed_input<4, tokens> four;
    uint32_t slot = 0;
#pragma unroll 1
    while (at.valid(args)) {
        uint32_t next = slot == 0 ? CRUMB_PACKED_DEPTH - 1 : slot - 1;
        if (ahead.valid(args)) packed_fetch(ahead, target + next * CRUMB_PACKED_SLOT_BYTES), ahead.advance(args, block);
        copies_end_group();
        if (at.opens()) {
            const uint16_t *input = args.input + at.position;
            if (at.four) {
                four.load(input, args.positions, at.tiles, args.tokens);
            } else {
                two.load(input, args.positions, at.tiles, args.tokens);
            }
        }
        copies_done<CRUMB_PACKED_DEPTH - 1>();
        __syncwarp();
        const uint8_t *codes = mine + slot * CRUMB_PACKED_SLOT_BYTES;
        float *to = sums + (at.slot() * packed_warps + warp) * tokens * CRUMB_TILE_ROWS;
        float y[4][2];
        if (at.four) {
            packed_item(y, codes, at.tiles, four);
            packed_gather<tokens>(y, four.factor, codes, to);
        } else {
            packed_item(y, codes, at.tiles, two);
            packed_gather<tokens>(y, two.factor, codes, to);
        }
        __syncwarp();
        at.advance(args, block);
        slot = slot + 1 == CRUMB_PACKED_DEPTH ? 0 : slot + 1;
    }
}

// Factors of the norm in front and the outliers' sums; zeros where there are none.
template <int tokens, class Output>
CRUMB_INLINE void packed_side_warp(
    const crumb_packed_matvec_args &args, const packed_block &block, uint8_t *entries, float *outliers, float *factors,
    uint32_t slot_count) {
    const uint32_t lane = threadIdx.x % 32;
    packed_fetch_outliers<Output::paired>(args, block, shared_address(entries));
#pragma unroll 1
    for (uint32_t i = lane; i < slot_count * tokens * CRUMB_TILE_ROWS; i += 32) outliers[i] = 0;
    wait_for_previous();
    release_next();
#pragma unroll
    for (int token = 0; token < tokens; token++) {
        float sum = 0;
        if (args.squares && static_cast<uint32_t>(token) < args.tokens) {
#pragma unroll 4
            for (uint32_t i = lane; i < args.square_count; i += 32)
                sum += __ldcg(args.squares + i * args.tokens + token);
        }
        sum = warp_reduce(sum, Sum());
        float mean = sum / static_cast<float>(args.columns);
        if (lane == 0) factors[token] = args.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
    }
    copies_done<0>();
    __syncwarp();
    packed_add_outliers<Output::paired, tokens>(args, block, entries, outliers);
}

template <int tokens, class Output> struct packed_end {
    const crumb_packed_matvec_args &args;
    packed_block block;
    packed_head *head;
    const float *sums, *outliers;

    // Row `row` of a slot's row tile.
    CRUMB_INLINE float value(uint32_t slot, uint32_t token, uint32_t row) const {
        float sum = outliers[(slot * tokens + token) * CRUMB_TILE_ROWS + row];
#pragma unroll
        for (uint32_t warp = 0; warp < packed_warps; warp++) {
            sum += sums[((slot * packed_warps + warp) * tokens + token) * CRUMB_TILE_ROWS + row];
        }
        return sum * head->factors[token];
    }
};

// The rows of all slots, a warp for each tile: lane = row.
template <int tokens> CRUMB_INLINE void packed_finish(packed_end<tokens, packed_store> end) {
#pragma unroll 1
    for (uint32_t part = 0; part < end.args.part_count; part++) {
        packed_range range = packed_tiles<false>(end.args, end.block, part);
#pragma unroll 1
        for (uint32_t tile = range.first + threadIdx.x / 32; tile < range.end; tile += packed_warps + 1) {
            uint32_t lane = threadIdx.x % 32, row = tile * CRUMB_TILE_ROWS + lane;
            if (row >= end.args.parts[part].shape.rows) continue;
#pragma unroll 1
            for (uint32_t token = 0; token < end.args.tokens; token++) {
                float value = end.value(range.slot + tile - range.first, token, lane);
                packed_store::emit(end.args, end.args.parts[part], token, row, value);
            }
        }
    }
}

template <int tokens> CRUMB_INLINE void packed_finish(packed_end<tokens, packed_silu> end) {
    packed_range gate = packed_tiles<true>(end.args, end.block, 0), up = packed_tiles<true>(end.args, end.block, 1);
#pragma unroll 1
    for (uint32_t tile = gate.first + threadIdx.x / 32; tile < gate.end; tile += packed_warps + 1) {
        uint32_t lane = threadIdx.x % 32, row = tile * CRUMB_TILE_ROWS + lane, slot = tile - gate.first;
        if (row >= end.args.parts[0].shape.rows) continue;
#pragma unroll 1
        for (uint32_t token = 0; token < end.args.tokens; token++) {
            packed_silu::emit(
                end.args, token, row, end.value(gate.slot + slot, token, lane), end.value(up.slot + slot, token, lane));
        }
    }
}

template <int tokens> CRUMB_INLINE void packed_finish(packed_end<tokens, packed_residual> end) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    packed_range range = packed_tiles<false>(end.args, end.block, 0);
#pragma unroll
    for (int token = 0; token < tokens; token++) {
        float sum = 0;
#pragma unroll 1
        for (uint32_t tile = range.first + warp; tile < range.end; tile += packed_warps + 1) {
            uint32_t row = tile * CRUMB_TILE_ROWS + lane;
            if (row >= end.args.parts[0].shape.rows || static_cast<uint32_t>(token) >= end.args.tokens) continue;
            float value = end.value(range.slot + tile - range.first, token, lane);
            float stream = packed_residual::emit(end.args, end.args.parts[0], token, row, value);
            sum += stream * stream;
        }
        sum = warp_reduce(sum, Sum());
        if (lane == 0) end.head->squares[warp][token] = sum;
    }
    __syncthreads();
    if (end.args.next_input && threadIdx.x < end.args.tokens) {
        float sum = 0;
        for (uint32_t i = 0; i < packed_warps + 1; i++) sum += end.head->squares[i][threadIdx.x];
        end.args.next_squares[blockIdx.x * end.args.tokens + threadIdx.x] = sum;
    }
}

template <int tokens, class Output> CRUMB_INLINE void packed_matvec(const crumb_packed_matvec_args &args) {
    packed_head *head = reinterpret_cast<packed_head *>(packed_memory);
    uint8_t *ring = packed_memory + CRUMB_PACKED_HEAD_BYTES;
    float *sums = reinterpret_cast<float *>(ring + packed_warps * CRUMB_PACKED_DEPTH * CRUMB_PACKED_SLOT_BYTES);
    const packed_block block(args);
    const uint32_t slot_count = packed_slots<Output::paired>(args, block);
    float *outliers = sums + slot_count * packed_warps * tokens * CRUMB_TILE_ROWS;
    uint8_t *entries = reinterpret_cast<uint8_t *>(outliers + slot_count * tokens * CRUMB_TILE_ROWS);
    if (threadIdx.x / 32 < packed_warps) {
        packed_codes_warp<tokens, Output>(args, block, ring, sums, slot_count);
    } else {
        packed_side_warp<tokens, Output>(args, block, entries, outliers, head->factors, slot_count);
    }
    __syncthreads();
    packed_finish(packed_end<tokens, Output>{args, block, head, sums, outliers});
}

static_assert(sizeof(packed_head) <= CRUMB_PACKED_HEAD_BYTES, "crumb_packed_matvec_plan() counts on it");

// With one token two blocks fit a multiprocessor: the next kernel's first codes are on their way while this one ends.
#define CRUMB_PACKED_MATVEC(output, tokens) \
    extern "C" __global__ void __launch_bounds__(CRUMB_PACKED_THREADS, tokens == 1 ? 2 : 1) \
        packed_matvec_##output##_m##tokens(const __grid_constant__ crumb_packed_matvec_args args) { \
        packed_matvec<tokens, packed_##output>(args); \
    }

// check: hot packed_matvec_*
// check: async packed_matvec_*
CRUMB_PACKED_MATVEC(store, 1)
CRUMB_PACKED_MATVEC(store, 2)
CRUMB_PACKED_MATVEC(store, 4)
CRUMB_PACKED_MATVEC(store, 8)
CRUMB_PACKED_MATVEC(residual, 1)
CRUMB_PACKED_MATVEC(residual, 2)
CRUMB_PACKED_MATVEC(residual, 4)
CRUMB_PACKED_MATVEC(residual, 8)
CRUMB_PACKED_MATVEC(silu, 1)
CRUMB_PACKED_MATVEC(silu, 2)
CRUMB_PACKED_MATVEC(silu, 4)
CRUMB_PACKED_MATVEC(silu, 8)
