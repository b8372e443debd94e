// What becomes of a group's sums: over slices, over blocks, the norm, the output.
#pragma once

#include "matmul_codes.cuh"
#include "matmul_squares.cuh"

// The norm's factor of each token, behind the next __syncthreads. Threads have a token each, and as many rows of squares at
// once as they go into; their sums meet where those of slices will stand.
template <int octets>
CRUMB_INLINE void matmul_norm(const crumb_matmul_args &args, const matmul_memory<octets> &memory) {
    constexpr uint32_t width = 8 * octets;
    const crumb_packed_product &product = args.product;
    const uint32_t token = threadIdx.x % width, row = threadIdx.x / width, rows = blockDim.x / width;
    // Two rounds for an H200's 132 blocks and 64 tokens, one for fewer tokens.
    float sum = matmul_squares<17>(args, token, row, rows);
    memory.sums[threadIdx.x] = sum;
    __syncthreads();
    if (row > 0) return;
    sum = 0;
    for (uint32_t i = 0; i < rows; i++) sum += memory.sums[i * width + token];
    const float mean = sum / static_cast<float>(product.columns);
    memory.factors[token] = product.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
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
        first_block = blockIdx.x, blocks = 1, begun_before = false;
        if (args.whole) return;
        const crumb_packed_product &product = args.product;
        const uint32_t steps = args.cuts[cut].steps, begin = args.cuts[cut].first_step + group * steps;
        first_block = matmul_block_of(product, begin);
        blocks = matmul_block_of(product, begin + steps - 1) - first_block + 1;
        begun_before = first_block * product.block_units + min(first_block, product.long_blocks) < begin;
    }

    CRUMB_INLINE uint32_t rows() const { return CRUMB_TILE_ROWS * args.tiles; }

    // This block's sums of a row and as many octets as `v` has place for, from `first` on in steps of `step`.
    template <int together>
    CRUMB_INLINE void own(uint32_t first, uint32_t step, uint32_t row, float (&v)[together][8]) const {
        const uint32_t stride = crumb_matmul_stride(args.tiles);
        const float *from = memory.sums + 8 * first * stride + row;
#pragma unroll
        for (int k = 0; k < together; k++) {
#pragma unroll
            for (int e = 0; e < 8; e++) v[k][e] = 0;
        }
#pragma unroll 1
        for (uint32_t slice = 0; slice < args.slices; slice++, from += 8 * octets * stride) {
#pragma unroll
            for (int k = 0; k < together; k++) {
                if (first + k * step >= octets) break;
#pragma unroll
                for (int e = 0; e < 8; e++) v[k][e] += from[(8 * k * step + e) * stride];
            }
        }
    }

    // Where the group's `number`th block leaves its sums: [octets][rows][8].
    CRUMB_INLINE float4 *partial(uint32_t number) const {
        const uint32_t place = 2 * (first_block + number) + (number == 0 && begun_before ? 1 : 0);
        return reinterpret_cast<float4 *>(args.partials) + static_cast<size_t>(place) * octets * rows() * 2;
    }

    // The group's.
    template <int together>
    CRUMB_INLINE void sum(uint32_t first, uint32_t step, uint32_t row, float (&v)[together][8]) const {
        if (blocks == 1) {
            own(first, step, row, v);
        } else {
#pragma unroll
            for (int k = 0; k < together; k++) {
#pragma unroll
                for (int e = 0; e < 8; e++) v[k][e] = 0;
            }
            const uint32_t at = 2 * (first * rows() + row), each = 2 * step * rows();
#pragma unroll 2
            for (uint32_t i = 0; i < blocks; i++) {
                const float4 *from = partial(i) + at;
                float4 low[together], high[together];
#pragma unroll
                for (int k = 0; k < together; k++) {
                    if (first + k * step < octets) low[k] = __ldcg(from + k * each), high[k] = __ldcg(from + k * each + 1);
                }
#pragma unroll
                for (int k = 0; k < together; k++) {
                    v[k][0] += low[k].x, v[k][1] += low[k].y, v[k][2] += low[k].z, v[k][3] += low[k].w;
                    v[k][4] += high[k].x, v[k][5] += high[k].y, v[k][6] += high[k].z, v[k][7] += high[k].w;
                }
            }
        }
#pragma unroll
        for (int k = 0; k < together; k++) {
            if (first + k * step >= octets) break;
#pragma unroll
            for (int e = 0; e < 8; e++) v[k][e] *= memory.factors[8 * (first + k * step) + e];
        }
    }

    // Leaves this block's sums for the last one.
    CRUMB_INLINE void hand_in() const {
        const uint32_t row = threadIdx.x % rows(), step = blockDim.x / rows();
        float4 *to = partial(blockIdx.x - first_block) + 2 * row;
#pragma unroll 1
        for (uint32_t first = threadIdx.x / rows(); first < octets; first += step) {
            float v[1][8];
            own(first, step, row, v);
            float4 *at = to + 2 * first * rows();
            __stcg(at, make_float4(v[0][0], v[0][1], v[0][2], v[0][3]));
            __stcg(at + 1, make_float4(v[0][4], v[0][5], v[0][6], v[0][7]));
        }
    }

    // One thread's, when the block has handed in: whether all others have.
    CRUMB_INLINE bool arrive() const {
        uint32_t *arrivals = args.arrivals + args.cuts[cut].first_group + group;
        const bool last = atomicAdd(arrivals, 1) == blocks - 1;
        if (last) *arrivals = 0;
        return last;
    }

    // What becomes of the sums, by all threads. A thread has one row and `together` octets at once: a load of a busy card
    // takes 2000 cycles.
    template <int together> CRUMB_INLINE void write() const {
        const crumb_packed_product &product = args.product;
        const bool paired = product.kind == CRUMB_PACKED_SILU, residual = product.kind == CRUMB_PACKED_RESIDUAL;
        const uint32_t own_rows = paired ? rows() / 2 : rows(), step = blockDim.x / own_rows;
        const uint32_t own = threadIdx.x % own_rows, row = group * own_rows + own;
        const crumb_packed_part &part = product.parts[cut];
#pragma unroll 1
        for (uint32_t first = threadIdx.x / own_rows; first < octets; first += together * step) {
            // The stream's values, or up's products.
            float v[together][8], others[together][8];
#pragma unroll
            for (int k = 0; k < together; k++) {
                if (!residual || row >= part.shape.rows || first + k * step >= octets) break;
                packed_stream(product, first + k * step, args.tokens, row, others[k]);
            }
            sum(first, step, own, v);
            if (paired) sum(first, step, own_rows + own, others);
#pragma unroll
            for (int k = 0; k < together; k++) {
                const uint32_t octet = first + k * step;
                if (octet >= octets) break;
                if (row < part.shape.rows) {
                    if (paired) {
                        packed_silu(product, octet, args.tokens, row, v[k], others[k]);
                    } else if (residual) {
                        packed_residual(product, part, octet, args.tokens, row, others[k], v[k]);
                    } else {
                        packed_store(product, part, octet, args.tokens, row, v[k]);
                    }
                }
                if (residual && product.next_input) write_squares(octet, row, v[k]);
            }
        }
    }

    // A warp has 32 rows of the same tokens. Each lane keeps half of its tokens, three times, and adds the other half of a
    // lane that keeps that one.
    CRUMB_INLINE void write_squares(uint32_t octet, uint32_t row, const float (&v)[8]) const {
        const uint32_t lane = threadIdx.x % 32;
        const bool counts = row < args.product.parts[cut].shape.rows;
        float squares[8];
#pragma unroll
        for (int e = 0; e < 8; e++) squares[e] = counts ? v[e] * v[e] : 0;
        uint32_t token = 8 * octet;
#pragma unroll
        for (int kept = 4; kept > 0; kept /= 2) {
            const bool upper = lane & 4 * kept;
            token += upper ? kept : 0;
#pragma unroll
            for (int e = 0; e < kept; e++) {
                const float given = upper ? squares[e] : squares[e + kept];
                squares[e] = (upper ? squares[e + kept] : squares[e]) + __shfl_xor_sync(~0u, given, 4 * kept);
            }
        }
        squares[0] += __shfl_xor_sync(~0u, squares[0], 2);
        squares[0] += __shfl_xor_sync(~0u, squares[0], 1);
        const uint32_t tile = row / CRUMB_TILE_ROWS;
        if (lane % 4 == 0 && token < args.tokens && tile < args.product.parts[cut].shape.row_tiles) {
            __stcg(args.product.next_squares + tile * args.tokens + token, squares[0]);
        }
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
    sums.each([&](int m, int octet, int e) {
        to[(8 * octet + e % 2) * stride + 16 * m + e / 2 * 8] = sums.total[m][octet][e];
    });
    __syncthreads();
    const matmul_group<octets> group(args, memory, cursor.cut, cursor.group);
    if (group.blocks == 1) {
        group.template write<1>();
    } else {
        group.hand_in();
    }
    // Not before: these registers are wanted.
    sums.clear();
    __syncthreads();
}

// The end of a block's steps: groups that it was the last to hand in to.
template <int octets>
CRUMB_INLINE void matmul_finish_shared(
    const crumb_matmul_args &args, uint32_t slice, const matmul_memory<octets> &memory) {
    if (args.whole) return;
    constexpr int together = octets < 2 ? 1 : octets / 2;
    const crumb_packed_product &product = args.product;
    const uint32_t steps = product.block_units + (blockIdx.x < product.long_blocks ? 1 : 0);
    const matmul_cursor first(args, slice, 0), last(args, slice, steps - 1);
    const bool two = first.cut != last.cut || first.group != last.group;
    if (threadIdx.x < 2) {
        const matmul_cursor &own = threadIdx.x ? last : first;
        const matmul_group<octets> group(args, memory, own.cut, own.group);
        __threadfence();
        memory.decision[threadIdx.x] = (threadIdx.x == 0 || two) && group.blocks > 1 && group.arrive();
        __threadfence();
    }
    __syncthreads();
    // In one place: code that comes for the first time takes longest.
#pragma unroll 1
    for (int i = 0; i < 2; i++) {
        if (memory.decision[i] == 0) continue;
        const matmul_cursor &own = i ? last : first;
        matmul_group<octets>(args, memory, own.cut, own.group).template write<together>();
    }
}
