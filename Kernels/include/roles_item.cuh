// 32 rows (for SiLU 16 of gate and the same of up) of a group and 8 tokens, of which a warp makes what is wanted.
#pragma once

#include "packed_output.cuh"
#include "roles.cuh"

// Lane 4 g + t has rows g and g + 8 of both halves, tokens 2 t and 2 t + 1 of the eight.
template <int octets> struct roles_item {
    uint32_t number; // among the group's
    uint32_t first_token;
    float v[2][4];      // [half][row, token]
    float before[2][4]; // the stream's
    uint32_t places[4]; // of its rows in the next input
    float scales[4];    // the next norm's

    CRUMB_INLINE uint32_t set() const { return number / octets; }
    CRUMB_INLINE uint32_t octet() const { return number % octets; }
    CRUMB_INLINE uint32_t token() const { return first_token + 8 * octet() + 2 * (threadIdx.x % 4); }
    // The lane's first row of up to four, and of which part.
    CRUMB_INLINE uint32_t row(const roles_walk &walk, uint32_t &part) const {
        const bool paired = walk.args.product.kind == CRUMB_PACKED_SILU;
        uint32_t row_tile;
        walk.tile_of(paired ? set() / 2 : set(), part, row_tile);
        return row_tile * CRUMB_TILE_ROWS + (paired ? set() % 2 * 16 : 0) + threadIdx.x % 32 / 4;
    }

    // Asks for what the end needs besides the sums.
    CRUMB_INLINE void ask(const crumb_matmul_args &args, const roles_walk &walk) {
        const crumb_packed_product &product = args.product;
        first_token = walk.first_token(8 * octets);
        uint32_t part;
        const uint32_t first = row(walk, part), count = product.parts[part].shape.rows;
        const bool residual = product.kind == CRUMB_PACKED_RESIDUAL;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t own = first + 8 * i;
            const bool counts = own < count;
            places[i] = counts && product.next_input && product.next_places ? __ldg(product.next_places + own) : own;
            if (!residual) continue;
            scales[i] = counts && product.next_input ? __ldg(product.next_norm + own) : 0;
            const float *stream =
                static_cast<const float *>(product.output) + static_cast<size_t>(token()) * product.output_stride + own;
#pragma unroll
            for (int k = 0; k < 2; k++) {
                before[i / 2][i % 2 * 2 + k] =
                    counts && token() + k < args.tokens ? __ldcg(stream + k * product.output_stride) : 0;
            }
        }
    }

    // Where item `number` stands among a sharer's sums, in 16 bytes; and from one half to the other: 16 rows, or four tiles.
    static CRUMB_INLINE uint32_t place(uint32_t number, bool paired) {
        const uint32_t set = number / octets;
        return ((paired ? set : 2 * set) * octets + number % octets) * 32 + threadIdx.x % 32;
    }
    static CRUMB_INLINE uint32_t half_stride(bool paired) { return (paired ? roles_tiles : 1) * octets * 32; }
    CRUMB_INLINE void take(int half, uint4 sums) {
        v[half][0] = __uint_as_float(sums.x), v[half][1] = __uint_as_float(sums.y);
        v[half][2] = __uint_as_float(sums.z), v[half][3] = __uint_as_float(sums.w);
    }

    CRUMB_INLINE void write(const crumb_matmul_args &args, const roles_walk &walk, const float *factors) {
        const crumb_packed_product &product = args.product;
        uint32_t number_of_part;
        const uint32_t first = row(walk, number_of_part);
        const crumb_packed_part &part = product.parts[number_of_part];
        const uint32_t count = part.shape.rows;
        const float2 factor = *reinterpret_cast<const float2 *>(factors + token());
#pragma unroll
        for (int e = 0; e < 8; e++) v[e / 4][e % 4] *= e % 2 ? factor.y : factor.x;
        if (product.kind == CRUMB_PACKED_SILU) {
            const float *const up_biases = product.parts[1].bias;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const uint32_t own = first + 8 * i;
                if (own >= count) continue;
                const float gate = part.bias ? part.bias[own] : 0, up = up_biases ? up_biases[own] : 0;
                next(product, places[i], packed_gated(v[0][2 * i] + gate, v[1][2 * i] + up),
                     packed_gated(v[0][2 * i + 1] + gate, v[1][2 * i + 1] + up));
            }
            return;
        }
        const bool residual = product.kind == CRUMB_PACKED_RESIDUAL;
        float *output = static_cast<float *>(product.output) + static_cast<size_t>(token()) * product.output_stride
            + part.first_feature;
        float squares[2] = {};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t own = first + 8 * i;
            if (own >= count) continue;
            const float bias = part.bias ? part.bias[own] : 0;
            float y[2];
#pragma unroll
            for (int k = 0; k < 2; k++) {
                y[k] = v[i / 2][i % 2 * 2 + k] + bias;
                if (residual) y[k] += before[i / 2][i % 2 * 2 + k];
                if (token() + k < args.tokens) __stcg(output + own + k * product.output_stride, y[k]);
                squares[k] += y[k] * y[k];
            }
            if (residual && product.next_input) {
                const float scale = scales[i] * CRUMB_STREAM_SCALE;
                next(product, places[i], y[0] * scale, y[1] * scale);
            }
        }
        if (residual && product.next_input) write_squares(args, walk, squares);
    }

  private:
    CRUMB_INLINE void next(const crumb_packed_product &product, uint32_t place, float low, float high) const {
        uint16_t *to = product.next_input + crumb_wide_index(place, token(), product.next_width);
        __stcg(
            reinterpret_cast<uint32_t *>(to), saturated_half(low) | static_cast<uint32_t>(saturated_half(high)) << 16);
    }
    // The row tile's.
    CRUMB_INLINE void write_squares(const crumb_matmul_args &args, const roles_walk &walk, float (&squares)[2]) const {
        uint32_t part, row_tile;
        walk.tile_of(set(), part, row_tile);
#pragma unroll
        for (int k = 0; k < 2; k++) {
#pragma unroll
            for (int distance = 4; distance < 32; distance *= 2) {
                squares[k] += __shfl_xor_sync(~0u, squares[k], distance);
            }
            if (threadIdx.x % 32 < 4 && token() + k < args.tokens && row_tile < args.product.parts[part].shape.row_tiles) {
                __stcg(args.product.next_squares + row_tile * args.tokens + token() + k, squares[k]);
            }
        }
    }
};
