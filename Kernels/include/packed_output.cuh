// What becomes of a product's sums.
#pragma once

#include "packed_work.cuh"

// A finite half, whatever the number.
CRUMB_INLINE uint16_t saturated_half(float value) { return half_bits(fminf(fmaxf(value, -65504.0f), 65504.0f)); }

// CRUMB_PACKED_STORE: fp32 [M][output_stride], parts side by side.
CRUMB_INLINE void packed_store(
    const crumb_packed_product &product, const crumb_packed_part &part, uint32_t token, uint32_t row, float value) {
    float *output = static_cast<float *>(product.output) + static_cast<size_t>(token) * product.output_stride;
    __stcg(output + part.first_feature + row, value + (part.bias ? part.bias[row] : 0));
}

// CRUMB_PACKED_RESIDUAL: the residual stream, fp32 [M][output_stride], and what the matrices behind the next norm want
// of it. Returns the new value of the stream.
CRUMB_INLINE float packed_residual(
    const crumb_packed_product &product, const crumb_packed_part &part, uint32_t token, uint32_t row, float value) {
    float *stream = static_cast<float *>(product.output) + static_cast<size_t>(token) * product.output_stride + row;
    const float sum = __ldcg(stream) + value + (part.bias ? part.bias[row] : 0);
    __stcg(stream, sum);
    if (product.next_input) {
        const uint32_t place = product.next_places ? product.next_places[row] : row;
        __stcg(
            product.next_input + static_cast<size_t>(token) * product.next_positions + place,
            saturated_half(sum * product.next_norm[row] * CRUMB_STREAM_SCALE));
    }
    return sum;
}

// CRUMB_PACKED_SILU: silu(gate) x up, fp16 [M][output_stride], each at its place in the next matrix's order.
CRUMB_INLINE void packed_silu(
    const crumb_packed_product &product, uint32_t token, uint32_t row, float gate, float up) {
    if (product.parts[0].bias) gate += product.parts[0].bias[row];
    if (product.parts[1].bias) up += product.parts[1].bias[row];
    const uint32_t place = product.places ? product.places[row] : row;
    uint16_t *output = static_cast<uint16_t *>(product.output) + static_cast<size_t>(token) * product.output_stride;
    __stcg(output + place, saturated_half(gate / (1 + __expf(-gate)) * up));
}
