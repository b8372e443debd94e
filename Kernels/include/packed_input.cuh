// The activations of an item as B fragments.
//
// Codes become halves without a subtraction: (word & mask) | 1.0 is 1 + code x 2^(p - 10) for a code at bit p of a
// half. So channel k's activation is multiplied by 2^-p, and from the sum of B x (1 + code x 2^(p - 10)) a correction
// is taken: the sum of B x (1 + zero x 2^(p - 10)), which two rows of ones and zeros in place of codes give for all
// columns.
//
// The 8 columns of B hold `tokens` tokens of 8 / tokens groups: where a scale's group has its own column, sums of
// several groups stay apart, and are scaled once for all of them.
#pragma once

#include "mma.cuh"

// A word of 2-bit (4-bit) codes has pairs of channels at bits 0, 2, 4, 6 (0, 4) of its halves, and again 8 bits on.
template <int bits> CRUMB_INLINE constexpr int packed_bit(int pair) {
    return bits == 2 ? 2 * (pair % 4) : 4 * (pair % 2);
}

// 1.0 and zero point x 2^(p - 10) as pairs of halves.
constexpr uint32_t packed_one = 0x3C003C00u;
template <int bits> CRUMB_INLINE constexpr uint32_t packed_zero(int p) {
    return ((bits == 2 ? 0x1600u : 0x1F80u) + (static_cast<uint32_t>(p) << 10)) * 0x10001u;
}

// The fragments of an item for one width of codes and up to `tokens` tokens.
template <int bits, int tokens> struct packed_input {
    // Pairs of channels that a lane has in a tile.
    static constexpr int pairs = bits == 2 ? 8 : 4;
    // Groups with columns of their own; tiles that share one set of sums; tiles that a lane has activations of.
    static constexpr int columns = 8 / tokens;
    static constexpr int step_tiles = bits == 2 ? (columns > 1 ? columns / 2 : 1) : (columns < 4 ? columns : 4);
    static constexpr int lane_tiles = CRUMB_PACKED_ITEM_TILES / step_tiles;
    // 2-bit tiles have two groups: with all columns taken by tokens they are summed one after the other.
    static constexpr int passes = bits == 2 && columns == 1 ? 2 : 1;
    static constexpr int steps = CRUMB_PACKED_ITEM_TILES / step_tiles * passes;

    uint32_t b[lane_tiles * pairs];
    float correction[steps][2];
    float factor[2]; // of columns 2 t and 2 t + 1: from sums to sums of weight / scale x activation

    // Column g's token, and its tile within a step.
    static CRUMB_INLINE uint32_t token() { return threadIdx.x % 32 / 4 / columns; }
    static CRUMB_INLINE uint32_t step_tile() {
        uint32_t group = threadIdx.x % 32 / 4 % columns;
        return bits == 2 ? group / 2 : group;
    }
    // Whether this lane's channels of a 2-bit tile are those of its column's group.
    static CRUMB_INLINE bool in_group() {
        uint32_t lane = threadIdx.x % 32;
        return bits == 4 || columns == 1 || (lane % 4) / 2 == lane / 4 % 2;
    }

    // Input: fp16 [M][positions], of the item's first channel.
    CRUMB_INLINE void load(const uint16_t *input, uint32_t positions, uint32_t tiles, uint32_t count) {
        constexpr uint32_t channels = 2 * pairs;
        const uint16_t *mine = input + static_cast<size_t>(token()) * positions + channels * (threadIdx.x % 4);
        half2 most = as_half2(0);
#pragma unroll
        for (int k = 0; k < lane_tiles; k++) {
            uint32_t tile = k * step_tiles + step_tile();
            bool wanted = in_group() && tile < tiles && token() < count && (bits == 2 || step_tile() < step_tiles);
            const uint4 *from = reinterpret_cast<const uint4 *>(mine + tile * 4 * channels);
#pragma unroll
            for (int quad = 0; quad < pairs / 4; quad++) {
                uint4 v = wanted ? __ldcg(from + quad) : make_uint4(0, 0, 0, 0);
                uint32_t *to = b + k * pairs + 4 * quad;
                to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
            }
#pragma unroll
            for (int pair = 0; pair < pairs; pair++) most = __hmax2(most, __habs2(as_half2(b[k * pairs + pair])));
        }
        scale(fmaxf(__low2float(most), __high2float(most)));
        correct();
    }

    // The B operand of `pair` in tile `tile`, zero in columns of other tiles and groups.
    CRUMB_INLINE uint32_t operand(int tile, int pair, int pass) const {
        uint32_t value = b[tile / step_tiles * pairs + pair];
        if (step_tiles > 1) return step_tile() == tile % step_tiles ? value : 0;
        if (passes > 1) return threadIdx.x % 4 / 2 == pass ? value : 0;
        return value;
    }

  private:
    // Brings a column's largest activation near 2^10, so that none leaves fp16, and multiplies by 2^-p.
    CRUMB_INLINE void scale(float most) {
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
        int exponent = static_cast<int>(__float_as_uint(most) >> 23) - 127;
        int shift = most > 0 ? min(max(10 - exponent, -8), 14) : 0;
#pragma unroll
        for (int i = 0; i < lane_tiles * pairs; i++) {
            int power = 15 + shift - packed_bit<bits>(i % pairs);
            b[i] = as_bits(__hmul2(as_half2(b[i]), as_half2(static_cast<uint32_t>(power << 10) * 0x10001u)));
        }
        float own = __uint_as_float(static_cast<uint32_t>(127 + 10 - shift) << 23);
        uint32_t lane = 8 * (threadIdx.x % 4);
        factor[0] = __shfl_sync(~0u, own, lane);
        factor[1] = __shfl_sync(~0u, own, lane + 4);
    }

    CRUMB_INLINE void correct() {
#pragma unroll
        for (int step = 0; step < steps; step++) {
            float sums[4] = {0, 0, 0, 0};
#pragma unroll
            for (int i = 0; i < step_tiles; i++) {
                int tile = step / passes * step_tiles + i;
#pragma unroll
                for (int pair = 0; pair < pairs; pair += 2) {
                    mma(sums, packed_one, packed_zero<bits>(packed_bit<bits>(pair)), packed_one,
                        packed_zero<bits>(packed_bit<bits>(pair + 1)), operand(tile, pair, step % passes),
                        operand(tile, pair + 1, step % passes));
                }
            }
            correction[step][0] = -(sums[0] + sums[2]);
            correction[step][1] = -(sums[1] + sums[3]);
        }
    }
};
