// What becomes of a product's sums.
#pragma once

#include "packed_work.cuh"

// A finite half, whatever the number.
CRUMB_INLINE uint16_t saturated_half(float value) { return half_bits(fminf(fmaxf(value, -65504.0f), 65504.0f)); }

CRUMB_INLINE float packed_gated(float gate, float up) { return __fdividef(gate, 1 + __expf(-gate)) * up; }

CRUMB_INLINE void packed_next(const crumb_packed_product &product, uint32_t token, uint32_t place, float value) {
    __stcg(product.next_input + static_cast<size_t>(token) * product.next_positions + place, saturated_half(value));
}

// CRUMB_PACKED_STORE: fp32 [M][output_stride], parts side by side.
CRUMB_INLINE void packed_store(
    const crumb_packed_product &product, const crumb_packed_part &part, uint32_t token, uint32_t row, float value) {
    float *output = static_cast<float *>(product.output) + static_cast<size_t>(token) * product.output_stride;
    __stcg(output + part.first_feature + row, value + (part.bias ? part.bias[row] : 0));
}

CRUMB_INLINE float *packed_stream(const crumb_packed_product &product, uint32_t token, uint32_t row) {
    return static_cast<float *>(product.output) + static_cast<size_t>(token) * product.output_stride + row;
}

// CRUMB_PACKED_RESIDUAL: the residual stream, fp32 [M][output_stride], and what the matrices behind the next norm want
// of it: `before` is the stream's value, `norm` the norm's weight. Returns the new value of the stream.
CRUMB_INLINE float packed_residual(
    const crumb_packed_product &product, const crumb_packed_part &part, uint32_t token, uint32_t row, float value,
    float before, uint32_t place, float norm) {
    const float sum = before + value + (part.bias ? part.bias[row] : 0);
    __stcg(packed_stream(product, token, row), sum);
    if (product.next_input) packed_next(product, token, place, sum * norm * CRUMB_STREAM_SCALE);
    return sum;
}

// CRUMB_PACKED_SILU: silu(gate) x up, fp16, each at its place in the next matrix's input.
CRUMB_INLINE void packed_silu(
    const crumb_packed_product &product, uint32_t token, uint32_t row, float gate, float up, uint32_t place) {
    if (product.parts[0].bias) gate += product.parts[0].bias[row];
    if (product.parts[1].bias) up += product.parts[1].bias[row];
    packed_next(product, token, place, packed_gated(gate, up));
}

// The same for tokens 8 octet ... 8 octet + 7, of which those below `tokens` count: loads of all of them at once, and the
// next input, which is wide, in one piece.
CRUMB_INLINE void packed_next(
    const crumb_packed_product &product, uint32_t octet, uint32_t place, const float (&v)[8]) {
    uint32_t pairs[4];
#pragma unroll
    for (int k = 0; k < 4; k++) pairs[k] = saturated_half(v[2 * k]) | saturated_half(v[2 * k + 1]) << 16;
    uint16_t *to = product.next_input + crumb_wide_index(place, 8 * octet, product.next_width);
    __stcg(reinterpret_cast<uint4 *>(to), make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
}

CRUMB_INLINE void packed_store(
    const crumb_packed_product &product, const crumb_packed_part &part, uint32_t octet, uint32_t tokens, uint32_t row,
    const float (&v)[8]) {
    const float bias = part.bias ? part.bias[row] : 0;
    float *to = static_cast<float *>(product.output) + part.first_feature + row;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        const uint32_t token = 8 * octet + k;
        if (token < tokens) __stcg(to + static_cast<size_t>(token) * product.output_stride, v[k] + bias);
    }
}

// The stream's values as they were, 0 of tokens that do not count.
CRUMB_INLINE void packed_stream(
    const crumb_packed_product &product, uint32_t octet, uint32_t tokens, uint32_t row, float (&before)[8]) {
    const float *stream = static_cast<const float *>(product.output) + row;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        const uint32_t token = 8 * octet + k;
        before[k] = token < tokens ? __ldcg(stream + static_cast<size_t>(token) * product.output_stride) : 0;
    }
}

// v becomes the new values of the stream, 0 of tokens that do not count.
CRUMB_INLINE void packed_residual(
    const crumb_packed_product &product, const crumb_packed_part &part, uint32_t octet, uint32_t tokens, uint32_t row,
    const float (&before)[8], float (&v)[8]) {
    const float bias = part.bias ? part.bias[row] : 0;
    float *stream = static_cast<float *>(product.output) + row;
#pragma unroll
    for (int k = 0; k < 8; k++) v[k] = 8 * octet + k < tokens ? v[k] + bias + before[k] : 0;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        const uint32_t token = 8 * octet + k;
        if (token < tokens) __stcg(stream + static_cast<size_t>(token) * product.output_stride, v[k]);
    }
    if (!product.next_input) return;
    const float scale = product.next_norm[row] * CRUMB_STREAM_SCALE;
    float scaled[8];
#pragma unroll
    for (int k = 0; k < 8; k++) scaled[k] = v[k] * scale;
    packed_next(product, octet, product.next_places ? product.next_places[row] : row, scaled);
}

CRUMB_INLINE void packed_silu(
    const crumb_packed_product &product, uint32_t octet, uint32_t tokens, uint32_t row, const float (&gate)[8],
    const float (&up)[8]) {
    const float gate_bias = product.parts[0].bias ? product.parts[0].bias[row] : 0;
    const float up_bias = product.parts[1].bias ? product.parts[1].bias[row] : 0;
    float v[8];
#pragma unroll
    for (int k = 0; k < 8; k++) v[k] = packed_gated(gate[k] + gate_bias, up[k] + up_bias);
    packed_next(product, octet, product.next_places ? product.next_places[row] : row, v);
}
