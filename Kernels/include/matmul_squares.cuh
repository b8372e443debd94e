// The sums of squares that a norm needs.
#pragma once

#include "device.cuh"

// Of one token: every rows-th of the sums that the product before left, from `row` on, `together` of them asked for at once.
template <int together>
CRUMB_INLINE float matmul_squares(const crumb_matmul_args &args, uint32_t token, uint32_t row, uint32_t rows) {
    const crumb_packed_product &product = args.product;
    const uint32_t count = product.squares ? product.square_count : 0;
    float sum = 0;
    if (token >= args.tokens) return sum;
#pragma unroll 1
    for (uint32_t first = row; first < count; first += together * rows) {
        float squares[together];
#pragma unroll
        for (int k = 0; k < together; k++) {
            const uint32_t i = first + k * rows;
            squares[k] = i < count ? __ldcg(product.squares + i * args.tokens + token) : 0;
        }
#pragma unroll
        for (int k = 0; k < together; k++) sum += squares[k];
    }
    return sum;
}
