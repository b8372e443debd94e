// Token ids to the fp32 residual stream.
//
// Grid (ceil(K / 1024), M), 256 threads, four features each. Bytes: a table row and 4 K per token.
#include "include/device.cuh"

CRUMB_INLINE float4 table_numbers(const crumb_embed_args &a, size_t index) {
    switch (a.storage) {
    case CRUMB_TABLE_F32: return load_four(a.table, index, false);
    case CRUMB_TABLE_F16: return load_four(a.table, index, true);
    case CRUMB_TABLE_BF16: {
        uint2 bits = *reinterpret_cast<const uint2 *>(static_cast<const uint16_t *>(a.table) + index);
        return make_float4(
            __uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xFFFF0000u), __uint_as_float(bits.y << 16),
            __uint_as_float(bits.y & 0xFFFF0000u));
    }
    case CRUMB_TABLE_Q8: {
        float scale = half_value(a.scales[index / CRUMB_GROUP]);
        char4 codes = *reinterpret_cast<const char4 *>(static_cast<const int8_t *>(a.table) + index);
        return make_float4(scale * codes.x, scale * codes.y, scale * codes.z, scale * codes.w);
    }
    default: {
        float scale = half_value(a.scales[index / CRUMB_GROUP]);
        int codes = *reinterpret_cast<const uint16_t *>(static_cast<const uint8_t *>(a.table) + index / 2);
        return make_float4(
            scale * ((codes & 15) - 8), scale * ((codes >> 4 & 15) - 8), scale * ((codes >> 8 & 15) - 8),
            scale * ((codes >> 12) - 8));
    }
    }
}

CRUMB_KERNEL __launch_bounds__(CRUMB_EMBED_THREADS) embed(const __grid_constant__ crumb_embed_args a) {
    uint32_t k = (blockIdx.x * CRUMB_EMBED_THREADS + threadIdx.x) * 4;
    wait_for_previous();
    release_next();
    if (k >= a.columns) return;
    uint32_t token = static_cast<uint32_t>(a.tokens[blockIdx.y]);
    if (token >= a.vocabulary) token = 0;
    float4 numbers = table_numbers(a, static_cast<size_t>(token) * a.columns + k);
    *reinterpret_cast<float4 *>(a.output + static_cast<size_t>(blockIdx.y) * a.columns + k) = numbers;
}
