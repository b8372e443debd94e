// Rows of fp16, 8-bit and 4-bit tables as operands of a tensor-core product.
//
// A *unit* is 256 bytes of a row, 16 pieces of 16 bytes. Lane t = 0 ... 3 of a quad takes piece 8 (t / 2) + 2 j + t % 2
// in step j = 0 ... 3, so that the scales of a lane's four steps lie together. The order of features within a product
// is the lane's own; the input is stored to match: [unit][step][eighth of the piece][t][8 features].
#pragma once

#include "mma.cuh"

template <int storage> struct Table {
    enum {
        bits = storage == CRUMB_TABLE_F16 ? 16
            : storage == CRUMB_TABLE_Q8   ? 8
                                          : 4,
        piece = 128 / bits,         // features of 16 bytes
        eighths = piece / 8,        // runs of 8 features in a piece
        unit_features = 16 * piece, // 128, 256 or 512
        // Scales of a lane's four steps: 4 groups of 32 (8 bits), or every second of 8 (4 bits).
        scale_words = storage == CRUMB_TABLE_F16 ? 0
            : storage == CRUMB_TABLE_Q8          ? 2
                                                 : 4,
        // Groups of a step: of a quad's four pieces. As many columns of the product keep a token's groups apart.
        step_groups = storage == CRUMB_TABLE_F16 ? 1
            : storage == CRUMB_TABLE_Q8          ? 2
                                                 : 4,
        unit_groups = storage == CRUMB_TABLE_F16 ? 1 : unit_features / 32,
    };
};

CRUMB_INLINE uint32_t piece_in_unit(uint32_t t, uint32_t step) { return 8 * (t / 2) + 2 * step + t % 2; }

// Where a piece of a row (0 ... 15 of a tile) stands in the 16 pieces that its unit has in shared memory: the eight
// lanes of two neighbouring rows, and eight neighbouring pieces of one row, lie in different banks.
CRUMB_INLINE uint32_t piece_place(uint32_t row, uint32_t piece) { return piece ^ piece / 8 * 2 ^ row % 2 * 4; }

// Where 8 features, from 8 x `run` on, of the input stand in its matching order; in runs.
template <int storage> CRUMB_INLINE uint32_t input_place(uint32_t run) {
    uint32_t piece = run / Table<storage>::eighths, eighth = run % Table<storage>::eighths;
    uint32_t unit = piece / 16, in_unit = piece % 16, t = in_unit / 8 * 2 + in_unit % 2, step = in_unit % 8 / 2;
    return ((unit * 4 + step) * Table<storage>::eighths + eighth) * 4 + t;
}

CRUMB_INLINE uint32_t word(const uint4 &v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// The half 1024 + u has u in its low bits. With a token's groups apart, weights are multiplied as such: u = code + 128
// (8 bits), code, or 16 x code where the code lies at bit 4 (the input is then a sixteenth). The sum over a group is
// too large by the group's input x (1024 + zero point), which goes into the product's first sum.
template <int storage> CRUMB_INLINE void raw_run(uint32_t (&w)[4], const uint4 &codes, int eighth) {
    if (storage == CRUMB_TABLE_Q8) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            uint32_t bytes = word(codes, 2 * eighth + i) ^ 0x80808080u;
            w[2 * i] = __byte_perm(bytes, 0x64646464u, 0x4140);
            w[2 * i + 1] = __byte_perm(bytes, 0x64646464u, 0x4342);
        }
    } else {
        uint32_t nibbles = word(codes, eighth);
        w[0] = (nibbles & 0x000F000Fu) | 0x64006400u;
        w[1] = (nibbles & 0x00F000F0u) | 0x64006400u;
        nibbles >>= 8;
        w[2] = (nibbles & 0x000F000Fu) | 0x64006400u;
        w[3] = (nibbles & 0x00F000F0u) | 0x64006400u;
    }
}

// What a run of the stored input adds to the excess of its group.
template <int storage> CRUMB_INLINE float run_excess(const uint4 &x) {
    float2 a = __half22float2(as_half2(x.x)), b = __half22float2(as_half2(x.y));
    float2 c = __half22float2(as_half2(x.z)), d = __half22float2(as_half2(x.w));
    float even = (a.x + a.y) + (c.x + c.y), odd = (b.x + b.y) + (d.x + d.y);
    return storage == CRUMB_TABLE_Q8 ? 1152.0f * (even + odd) : 1032.0f * even + 1152.0f * odd;
}

// Eight features as they stand within a run: in order, or (4 bits) as pairs four apart, as one mask takes them.
template <int storage, bool apart> CRUMB_INLINE uint4 pack_run(const float (&x)[8]) {
    if (storage == CRUMB_TABLE_Q4) {
        constexpr float high = apart ? 0.0625f : 1.0f;
        return make_uint4(
            pack_half2(x[0], x[4]), pack_half2(high * x[1], high * x[5]), pack_half2(x[2], x[6]),
            pack_half2(high * x[3], high * x[7]));
    }
    return make_uint4(pack_half2(x[0], x[1]), pack_half2(x[2], x[3]), pack_half2(x[4], x[5]), pack_half2(x[6], x[7]));
}

// The weights of 8 features, run `eighth` of a piece, as four pairs of halves in the order of `pack_run`.
template <int storage> CRUMB_INLINE void expand_run(uint32_t (&w)[4], const uint4 &codes, int eighth, uint32_t scale) {
    const half2 s = as_half2(scale);
    if (storage == CRUMB_TABLE_F16) {
        w[0] = codes.x;
        w[1] = codes.y;
        w[2] = codes.z;
        w[3] = codes.w;
    } else if (storage == CRUMB_TABLE_Q8) {
        // A byte u under the exponent of 1024 is the half 1024 + u; u = code + 128.
        const half2 zero = __float2half2_rn(-1152.0f);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            uint32_t bytes = word(codes, 2 * eighth + i) ^ 0x80808080u;
            w[2 * i] = as_bits(__hmul2(__hadd2(as_half2(__byte_perm(bytes, 0x64646464u, 0x4140)), zero), s));
            w[2 * i + 1] = as_bits(__hmul2(__hadd2(as_half2(__byte_perm(bytes, 0x64646464u, 0x4342)), zero), s));
        }
    } else {
        // Bits 0-3 and 16-19 are 1024 + code, bits 4-7 and 20-23 are 1024 + 16 x code.
        const half2 zero = __float2half2_rn(-1032.0f), sixteenth = __float2half2_rn(0.0625f);
        const half2 zero16 = __float2half2_rn(-72.0f);
        uint32_t nibbles = word(codes, eighth);
#pragma unroll
        for (int i = 0; i < 2; i++, nibbles >>= 8) {
            half2 low = as_half2((nibbles & 0x000F000Fu) | 0x64006400u);
            half2 high = as_half2((nibbles & 0x00F000F0u) | 0x64006400u);
            w[2 * i] = as_bits(__hmul2(__hadd2(low, zero), s));
            w[2 * i + 1] = as_bits(__hmul2(__hfma2(high, sixteenth, zero16), s));
        }
    }
}
