// What becomes of a group's sums: over slices, over blocks, the norm, the output.
#pragma once

#include "matmul_codes.cuh"

// The norm's factor of each token.
template <int octets>
CRUMB_INLINE void matmul_norm(const crumb_matmul_args &args, const matmul_memory<octets> &memory) {
    const crumb_packed_product &product = args.product;
    const uint32_t lane = threadIdx.x % 32;
    for (uint32_t token = threadIdx.x / 32; token < args.tokens; token += blockDim.x / 32) {
        float sum = 0;
        if (product.squares) {
#pragma unroll 4
            for (uint32_t i = lane; i < product.square_count; i += 32) {
                sum += __ldcg(product.squares + i * args.tokens + token);
            }
        }
        const float mean = warp_reduce(sum, Sum()) / static_cast<float>(product.columns);
        const float factor = product.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
        if (lane == 0) memory.factors[token] = factor;
    }
}

// The block that has step `step`.
CRUMB_INLINE uint32_t matmul_block_of(const crumb_packed_product &product, uint32_t step) {
    const uint32_t each = product.block_units, longer = product.long_blocks * (each + 1);
    return step < longer ? step / (each + 1) : product.long_blocks + (step - longer) / each;
}

// A group and the blocks that share it.
template <int octets> struct matmul_group {
    const crumb_matmul_args &args;
    const matmul_memory<octets> &memory;
    uint32_t cut, group, first_block, blocks;
    bool begun_before; // whether the first block's run begins with another group

    CRUMB_INLINE matmul_group(
        const crumb_matmul_args &args, const matmul_memory<octets> &memory, uint32_t cut, uint32_t group)
        : args(args), memory(memory), cut(cut), group(group) {
        const crumb_packed_product &product = args.product;
        const uint32_t steps = args.cuts[cut].steps, begin = args.cuts[cut].first_step + group * steps;
        first_block = matmul_block_of(product, begin);
        blocks = matmul_block_of(product, begin + steps - 1) - first_block + 1;
        begun_before = first_block * product.block_units + min(first_block, product.long_blocks) < begin;
    }

    CRUMB_INLINE uint32_t rows() const { return CRUMB_TILE_ROWS * args.tiles; }

    // This block's sums of a row and 8 tokens.
    CRUMB_INLINE void own(uint32_t octet, uint32_t row, float (&v)[8]) const {
        const uint32_t stride = crumb_matmul_stride(args.tiles);
        const float *from = memory.sums + 8 * octet * stride + row;
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] = from[k * stride];
#pragma unroll 1
        for (uint32_t slice = 1; slice < args.slices; slice++) {
            from += 8 * octets * stride;
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] += from[k * stride];
        }
    }

    // Where the group's `number`th block leaves its sums: [octets][rows][8].
    CRUMB_INLINE float4 *partial(uint32_t number, uint32_t octet, uint32_t row) const {
        const uint32_t place = 2 * (first_block + number) + (number == 0 && begun_before ? 1 : 0);
        return reinterpret_cast<float4 *>(
            args.partials + ((static_cast<size_t>(place) * octets + octet) * rows() + row) * 8);
    }

    // The group's.
    CRUMB_INLINE void sum(uint32_t octet, uint32_t row, float (&v)[8]) const {
        if (blocks == 1) {
            own(octet, row, v);
        } else {
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] = 0;
#pragma unroll 4
            for (uint32_t i = 0; i < blocks; i++) {
                const float4 *from = partial(i, octet, row);
                const float4 low = __ldcg(from), high = __ldcg(from + 1);
                v[0] += low.x, v[1] += low.y, v[2] += low.z, v[3] += low.w;
                v[4] += high.x, v[5] += high.y, v[6] += high.z, v[7] += high.w;
            }
        }
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] *= memory.factors[8 * octet + k];
    }

    // Leaves this block's sums for the last one.
    CRUMB_INLINE void hand_in() const {
#pragma unroll 2
        for (uint32_t i = threadIdx.x; i < octets * rows(); i += blockDim.x) {
            const uint32_t octet = i / rows(), row = i - octet * rows();
            float v[8];
            own(octet, row, v);
            float4 *to = partial(blockIdx.x - first_block, octet, row);
            __stcg(to, make_float4(v[0], v[1], v[2], v[3]));
            __stcg(to + 1, make_float4(v[4], v[5], v[6], v[7]));
        }
    }

    // One thread's, when the block has handed in: whether all others have.
    CRUMB_INLINE bool arrive() const {
        uint32_t *arrivals = args.arrivals + args.cuts[cut].first_group + group;
        const bool last = atomicAdd(arrivals, 1) == blocks - 1;
        if (last) *arrivals = 0;
        return last;
    }

    // What becomes of a row and 8 tokens.
    CRUMB_INLINE void write(uint32_t i) const {
        const crumb_packed_product &product = args.product;
        const bool paired = product.kind == CRUMB_PACKED_SILU, residual = product.kind == CRUMB_PACKED_RESIDUAL;
        const uint32_t own_rows = paired ? rows() / 2 : rows();
        const crumb_packed_part &part = product.parts[cut];
        const uint32_t octet = i / own_rows, own = i - octet * own_rows, row = group * own_rows + own;
        float v[8] = {};
        if (row < part.shape.rows) {
            sum(octet, own, v);
            if (paired) {
                float up[8];
                sum(octet, own_rows + own, up);
                packed_silu(product, octet, args.tokens, row, v, up);
            } else if (residual) {
                packed_residual(product, part, octet, args.tokens, row, v);
            } else {
                packed_store(product, part, octet, args.tokens, row, v);
            }
        }
        // A warp has 32 rows of the same tokens.
        if (!residual || !product.next_input) return;
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const float squares = warp_reduce(v[k] * v[k], Sum());
            if (own % 32 == 0 && row < part.shape.rows && 8 * octet + k < args.tokens) {
                __stcg(
                    product.next_squares + (group * args.tiles + own / 32) * args.tokens + 8 * octet + k, squares);
            }
        }
    }

    // Of all rows and tokens, by all threads; whole warps.
    CRUMB_INLINE void write() const {
        const uint32_t items = octets * (args.product.kind == CRUMB_PACKED_SILU ? rows() / 2 : rows());
#pragma unroll 1
        for (uint32_t i = threadIdx.x; i < items; i += blockDim.x) write(i);
    }
};

// The end of a group, or of a block's part of it. What is shared is finished when the block's run ends.
template <int octets>
CRUMB_INLINE void matmul_finish(
    const matmul_cursor &cursor, uint32_t tile, const matmul_memory<octets> &memory, matmul_sums<octets> &sums) {
    const crumb_matmul_args &args = cursor.args;
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, stride = crumb_matmul_stride(args.tiles);
    sums.flush();
    float *to = memory.sums + (cursor.slice * 8 * octets + 2 * t) * stride + tile * CRUMB_TILE_ROWS + g;
#pragma unroll
    for (int octet = 0; octet < octets; octet++) {
#pragma unroll
        for (int e = 0; e < 8; e++) to[(8 * octet + e % 2) * stride + e / 2 * 8] = sums.total[octet][e / 4][e % 4];
    }
    sums.clear();
    __syncthreads();
    const matmul_group<octets> group(args, memory, cursor.cut, cursor.group);
    if (group.blocks == 1) {
        group.write();
    } else {
        group.hand_in();
    }
    __syncthreads();
}

// The end of a block's steps: groups that it was the last to hand in to.
template <int octets>
CRUMB_INLINE void matmul_finish_shared(
    const matmul_cursor &first, const matmul_cursor &last, const matmul_memory<octets> &memory) {
    const bool two = first.cut != last.cut || first.group != last.group;
    if (threadIdx.x < 2) {
        const matmul_cursor &own = threadIdx.x ? last : first;
        const matmul_group<octets> group(last.args, memory, own.cut, own.group);
        __threadfence();
        memory.decision[threadIdx.x] = (threadIdx.x == 0 || two) && group.blocks > 1 && group.arrive();
        __threadfence();
    }
    __syncthreads();
    if (memory.decision[0]) matmul_group<octets>(last.args, memory, first.cut, first.group).write();
    if (memory.decision[1]) matmul_group<octets>(last.args, memory, last.cut, last.group).write();
}
