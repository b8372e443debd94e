// What becomes of a product's sums.
#pragma once

#include "packed_work.cuh"

// A finite half, whatever the number.
CRUMB_INLINE uint16_t saturated_half(float value) { return half_bits(fminf(fmaxf(value, -65504.0f), 65504.0f)); }

// fp32 [M][output_stride], parts side by side.
struct packed_store {
    static constexpr bool paired = false;

    static CRUMB_INLINE void emit(
        const crumb_packed_matvec_args &args, const crumb_packed_part &part, uint32_t token, uint32_t row,
        float value) {
        float *output = static_cast<float *>(args.output);
        output[static_cast<size_t>(token) * args.output_stride + part.first_feature + row] =
            value + (part.bias ? part.bias[row] : 0);
    }
};

// The residual stream, fp32 [M][output_stride], and what the matrices behind the next norm want of it.
struct packed_residual {
    static constexpr bool paired = false;

    // The new value of the stream.
    static CRUMB_INLINE float emit(
        const crumb_packed_matvec_args &args, const crumb_packed_part &part, uint32_t token, uint32_t row,
        float value) {
        float *stream = static_cast<float *>(args.output) + static_cast<size_t>(token) * args.output_stride + row;
        float sum = *stream + value + (part.bias ? part.bias[row] : 0);
        *stream = sum;
        if (args.next_input) {
            uint32_t place = args.next_places ? args.next_places[row] : row;
            args.next_input[static_cast<size_t>(token) * args.next_positions + place] =
                saturated_half(sum * args.next_norm[row] * CRUMB_STREAM_SCALE);
        }
        return sum;
    }
};

// silu(gate) x up, fp16 [M][output_stride], each at its place in the next matrix's order.
struct packed_silu {
    static constexpr bool paired = true;

    static CRUMB_INLINE void emit(
        const crumb_packed_matvec_args &args, uint32_t token, uint32_t row, float gate, float up) {
        if (args.parts[0].bias) gate += args.parts[0].bias[row];
        if (args.parts[1].bias) up += args.parts[1].bias[row];
        uint32_t place = args.places ? args.places[row] : row;
        static_cast<uint16_t *>(args.output)[static_cast<size_t>(token) * args.output_stride + place] =
            saturated_half(gate / (1 + __expf(-gate)) * up);
    }
};
