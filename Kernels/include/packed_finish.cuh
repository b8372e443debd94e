// The norm in front of a product, and what becomes of its sums.
#pragma once

#include "packed_output.cuh"
#include "packed_shared.cuh"

// The norm's factors.
template <int tokens>
CRUMB_INLINE void packed_norm(const crumb_packed_args &args, float *factors) {
    const crumb_packed_product &product = args.product;
    const uint32_t count = product.squares ? product.square_count * args.tokens : 0;
    float sums[tokens] = {};
    // A round of loads takes a microsecond: five at once are those of 160 blocks.
#pragma unroll 1
    for (uint32_t first = threadIdx.x % 32 * args.tokens; first < count; first += 160 * args.tokens) {
        float squares[5][tokens];
#pragma unroll
        for (int k = 0; k < 5; k++) {
#pragma unroll
            for (uint32_t token = 0; token < tokens; token++) {
                const uint32_t i = first + 32 * k * args.tokens + token;
                squares[k][token] = i < count && token < args.tokens ? __ldcg(product.squares + i) : 0;
            }
        }
#pragma unroll
        for (int k = 0; k < 5; k++) {
#pragma unroll
            for (int token = 0; token < tokens; token++) sums[token] += squares[k][token];
        }
    }
#pragma unroll
    for (int token = 0; token < tokens; token++) {
        float mean = warp_reduce(sums[token], Sum()) / static_cast<float>(product.columns);
        float factor = product.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
        if (threadIdx.x % 32 == 0) factors[token] = factor;
    }
}

// Row `row` of a slot's row tile.
template <int tokens>
CRUMB_INLINE float packed_sum(const crumb_packed_args &args, uint32_t slot, uint32_t token, uint32_t row) {
    const float *sums = reinterpret_cast<const float *>(packed_memory + args.sums_offset);
    float sum = 0;
    if constexpr (tokens == 1) {
        const float4 *from = reinterpret_cast<const float4 *>(sums + (slot * CRUMB_TILE_ROWS + row) * CRUMB_PACKED_SUMS);
#pragma unroll
        for (int k = 0; k < CRUMB_PACKED_SUMS / 4; k++) sum += (from[k].x + from[k].y) + (from[k].z + from[k].w);
    } else {
        sums += (slot * args.warps * tokens + token) * CRUMB_TILE_ROWS + row;
#pragma unroll 6
        for (uint32_t warp = 0; warp < args.warps; warp++) sum += sums[warp * tokens * CRUMB_TILE_ROWS];
    }
    return sum * packed_shared_head()->factors[token];
}

CRUMB_INLINE uint32_t packed_next_place(const crumb_packed_product &product, uint32_t row) {
    return product.next_places ? product.next_places[row] : row;
}

// Brings what packed_finish will want of the block's first rows into shared memory, by one warp while the others multiply:
// at the end each load would take a microsecond. Places and weights are there before the previous kernel ends.
CRUMB_INLINE void packed_fetch_ahead(const crumb_packed_product &product, const packed_block &block) {
    if (product.kind == CRUMB_PACKED_STORE) return;
    packed_head *head = packed_shared_head();
    const uint32_t first = block.begin * CRUMB_TILE_ROWS;
#pragma unroll 4
    for (uint32_t i = threadIdx.x % 32; i < packed_rows_ahead; i += 32) {
        const uint32_t row = first + i;
        if (row >= min(block.end * CRUMB_TILE_ROWS, product.parts[0].shape.rows)) break;
        head->places[i] = static_cast<uint16_t>(packed_next_place(product, row));
        if (product.kind == CRUMB_PACKED_RESIDUAL && product.next_input) head->norms[i] = product.next_norm[row];
    }
}
// The residual stream as it was.
template <int tokens>
CRUMB_INLINE void packed_fetch_stream(const crumb_packed_args &args, const packed_block &block) {
    const crumb_packed_product &product = args.product;
    if (product.kind != CRUMB_PACKED_RESIDUAL) return;
    const uint32_t first = block.begin * CRUMB_TILE_ROWS;
#pragma unroll 4
    for (uint32_t i = threadIdx.x % 32; i < packed_rows_ahead; i += 32) {
        if (first + i >= min(block.end * CRUMB_TILE_ROWS, product.parts[0].shape.rows)) break;
#pragma unroll
        for (int token = 0; token < tokens; token++) {
            if (static_cast<uint32_t>(token) >= args.tokens) break;
            packed_shared_head()->stream[token][i] = __ldcg(packed_stream(product, token, first + i));
        }
    }
}

// A unit's rows, lane = row.
struct packed_rows {
    uint32_t index; // of the part
    uint32_t row;   // of the part
    bool valid;

    CRUMB_INLINE packed_rows(const crumb_packed_product &product, uint32_t unit) : index(0) {
        if (product.kind == CRUMB_PACKED_STORE) {
            index = (product.part_count > 1 && unit >= product.parts[1].first_unit)
                + (product.part_count > 2 && unit >= product.parts[2].first_unit);
        }
        const crumb_packed_part &part = product.parts[index];
        row = (unit - part.first_unit) * CRUMB_TILE_ROWS + threadIdx.x % 32;
        valid = row < part.shape.rows;
    }
};

// What becomes of the rows of all slots, a warp for each unit.
template <int tokens>
CRUMB_INLINE void packed_finish(const crumb_packed_args &args, const packed_block &block) {
    const crumb_packed_product &product = args.product;
    packed_head *head = packed_shared_head();
    // The warp of the norm is the first.
    const uint32_t warp = threadIdx.x / 32 == args.warps ? 0 : threadIdx.x / 32 + 1, lane = threadIdx.x % 32;
    const uint32_t units = block.end - block.begin, warps = max(min(units, args.warps + 1), 1u);
    packed_rows rows(product, block.begin + min(warp, warps - 1));
    barrier_of_warps(2, args.warps + 1);
    if (warp >= warps) return;
    float squares[tokens] = {};
#pragma unroll 1
    for (uint32_t unit = warp; unit < units; unit += warps) {
        if (unit != warp) rows = packed_rows(product, block.begin + unit);
        if (!rows.valid) continue;
        const crumb_packed_part &part = product.parts[rows.index];
        const uint32_t row = rows.row, ahead = unit * CRUMB_TILE_ROWS + lane;
        const bool is_ahead = product.kind != CRUMB_PACKED_STORE && ahead < packed_rows_ahead;
        const uint32_t place = is_ahead ? head->places[ahead] : packed_next_place(product, row);
        const float norm = is_ahead ? head->norms[ahead] : product.next_input ? product.next_norm[row] : 0;
#pragma unroll
        for (int token = 0; token < tokens; token++) {
            if (static_cast<uint32_t>(token) >= args.tokens) break;
            const float value = packed_sum<tokens>(args, unit, token, lane);
            if (product.kind == CRUMB_PACKED_SILU) {
                packed_silu(product, token, row, value, packed_sum<tokens>(args, units + unit, token, lane), place);
            } else if (product.kind == CRUMB_PACKED_RESIDUAL) {
                const float before = is_ahead ? head->stream[token][ahead] : __ldcg(packed_stream(product, token, row));
                const float stream = packed_residual(product, part, token, row, value, before, place, norm);
                squares[token] += stream * stream;
            } else {
                packed_store(product, part, token, row, value);
            }
        }
    }
    if (product.kind != CRUMB_PACKED_RESIDUAL || !product.next_input) return;
#pragma unroll
    for (int token = 0; token < tokens; token++) {
        float sum = warp_reduce(squares[token], Sum());
        if (lane == 0) head->squares[warp][token] = sum;
    }
    if (warps > 1) barrier_of_warps(2, warps);
    __syncwarp();
    if (warp == 0 && lane < args.tokens) {
        float sum = 0;
        for (uint32_t i = 0; i < warps; i++) sum += head->squares[i][lane];
        __stcg(product.next_squares + blockIdx.x * args.tokens + lane, sum);
    }
}
