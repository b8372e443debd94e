// The activations of an item as B fragments of 8-bit integers.
//
// Codes are bytes as they are, so activations must be integers too: those of an item and a token are scaled by a power
// of two and written as X = 254 hi + lo with digits of -127 ... 127, and sums are exact from there on. What is lost, 2^-15
// of the largest activation (2^-13 of channels that count a quarter, below), is a normalised squared error of less than
// 2e-7 whatever the activations; fp16, the input, keeps 11 bits.
//
// Codes are used where they stand in a byte: a 2-bit code at bits 2 and 3 counts four times, and its activation is
// scaled to a quarter.
//
// The 8 columns of B: `tokens` tokens (1, 2, 4) x groups x (hi, lo), so that sums of several groups stay apart and are
// scaled once for all of them.
#pragma once

#include "mma.cuh"

constexpr int packed_digit = 254;

// A power of two in both halves.
CRUMB_INLINE half2 packed_power(int exponent) { return as_half2(static_cast<uint32_t>(exponent + 15) * 0x04000400u); }
// fp16 numbers from 1024 to 2048 are integers: adding 1536 rounds, and the lowest byte is the integer's.
CRUMB_INLINE half2 packed_rounding() { return as_half2(0x66006600); }

// Registers for the fragments of an item of either width and up to `tokens` tokens.
template <int tokens> struct packed_fragments {
    uint32_t b[16];
    // What the sums of the low digits begin with, the zero points' share.
    int start[tokens == 2 ? 4 : 8];
    // From sums to sums of weight / scale x activation, of columns 2 t and 2 t + 1.
    float factor;
};

// How they hold an item of one width.
template <int bits, int tokens> struct packed_input {
    // Words of B of a tile: of 4 channels each. Pairs of channels that a lane has in a tile.
    static constexpr int words = bits == 2 ? 4 : 2;
    static constexpr int pairs = 2 * words;
    static constexpr int item_tiles = CRUMB_PACKED_ITEM_CHANNELS / (8 * pairs);
    // Groups with columns of their own; tiles that share one set of sums; tiles that a lane has activations of.
    static constexpr int groups = 4 / tokens;
    static constexpr int step_tiles = bits == 2 ? (groups > 1 ? groups / 2 : 1) : groups;
    static constexpr int lane_tiles = item_tiles / step_tiles;
    // 2-bit tiles have two groups: with all columns taken by tokens they are summed one after the other.
    static constexpr int passes = bits == 2 && groups == 1 ? 2 : 1;
    static constexpr int steps = item_tiles / step_tiles * passes;

    packed_fragments<tokens> &in;

    // Column g's token, and its tile within a step.
    static CRUMB_INLINE uint32_t token() { return threadIdx.x % 32 / 8 / groups; }
    static CRUMB_INLINE uint32_t step_tile() { return step_tile_of(threadIdx.x % 32 / 8); }
    // The same for the columns 2 t and 2 t + 1 of the results.
    static CRUMB_INLINE uint32_t result_tile() { return step_tile_of(threadIdx.x % 4); }
    static CRUMB_INLINE uint32_t result_group() { return bits == 2 && groups > 1 ? threadIdx.x % 2 : 0; }

    // Input: fp16 [M][positions], of the item's first channel.
    CRUMB_INLINE void load(const uint16_t *input, uint32_t positions, uint32_t tiles, uint32_t count) {
        uint32_t x[lane_tiles * pairs];
        fetch(x, input, positions, tiles, token(), count);
        split(x, raise(x));
    }

    // Word `word` of B of tile `tile`, zero in columns of other groups.
    CRUMB_INLINE uint32_t operand(int tile, int word, int pass) const {
        uint32_t value = in.b[tile * words + word];
        return passes > 1 && threadIdx.x % 4 / 2 != pass ? 0 : value;
    }

  private:
    static CRUMB_INLINE uint32_t step_tile_of(uint32_t pair) {
        return bits == 2 ? pair % groups / 2 : pair % groups;
    }
    // Whether this lane's channels of a 2-bit tile are those of its column's group.
    static CRUMB_INLINE bool in_group() {
        return bits == 4 || groups == 1 || threadIdx.x % 4 / 2 == threadIdx.x % 32 / 8 % 2;
    }

    CRUMB_INLINE void fetch(
        uint32_t (&x)[lane_tiles * pairs], const uint16_t *input, uint32_t positions, uint32_t tiles, uint32_t token,
        uint32_t count) {
        const uint16_t *mine = input + static_cast<size_t>(token) * positions + 2 * pairs * (threadIdx.x % 4);
#pragma unroll
        for (int k = 0; k < lane_tiles; k++) {
            uint32_t tile = k * step_tiles + step_tile();
            bool wanted = in_group() && tile < tiles && token < count;
            const uint4 *from = reinterpret_cast<const uint4 *>(mine + tile * 8 * pairs);
#pragma unroll
            for (int quad = 0; quad < pairs / 4; quad++) {
                uint4 v = wanted ? __ldcg(from + quad) : make_uint4(0, 0, 0, 0);
                uint32_t *to = x + k * pairs + 4 * quad;
                to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
            }
        }
    }

    // The words of this lane's tile k, zeros for other lanes' tiles of the same step, and their start.
    CRUMB_INLINE void place(const uint32_t (&own)[words], int k) {
#pragma unroll
        for (int word = 0; word < words; word++) {
#pragma unroll
            for (int i = 0; i < step_tiles; i++) {
                bool mine = step_tiles == 1 || step_tile() == i;
                in.b[(k * step_tiles + i) * words + word] = mine ? own[word] : 0;
            }
        }
#pragma unroll
        for (int pass = 0; pass < passes; pass++) {
            int sums[4] = {};
            bool mine = passes == 1 || threadIdx.x % 4 / 2 == pass;
#pragma unroll
            for (int word = 0; word < words; word += 2) {
                add_zero(sums, mine ? own[word] : 0, mine ? own[word + 1] : 0);
            }
            in.start[k * passes + pass] = start_of(sums[0], sums[1]);
        }
    }

    // The power of two that brings the column's token's largest activation to 64 ... 127.
    template <int count> CRUMB_INLINE int raise(uint32_t (&x)[count]) {
        half2 largest = as_half2(0);
#pragma unroll
        for (int i = 0; i < count; i++) largest = __hmax2_nan(largest, __habs2(as_half2(x[i])));
        uint32_t most = max(as_bits(largest) & 0xFFFF, as_bits(largest) >> 16);
        // Lanes that differ in all but the token of their column.
#pragma unroll
        for (int distance = 1; distance < 8 * groups; distance *= 2) {
            most = max(most, __shfl_xor_sync(~0u, most, distance));
        }
        // The largest high digit is 127, not 127.5.
        uint32_t bits_of_most = __float_as_uint(half_value(static_cast<uint16_t>(most))) + (1u << 16);
        int exponent = most == 0 ? 0 : static_cast<int>(bits_of_most >> 23) - 127;
        // A number that is none, or infinite, spoils the result.
        float own = most < 0x7C00 ? __uint_as_float(static_cast<uint32_t>(127 - 6 + exponent) << 23) / packed_digit
                                  : __uint_as_float(0x7FC00000);
        in.factor = __shfl_sync(~0u, own, 8 * (threadIdx.x % 4));
        // Too small for the largest power of two of fp16.
        int up = 6 - exponent;
        if (up > 15) {
#pragma unroll
            for (int i = 0; i < count; i++) x[i] = as_bits(__hmul2(as_half2(x[i]), packed_power(15)));
            up -= 15;
        }
        return up;
    }

    // What channels are multiplied with: those of codes at bits 2 and 3, and 6 and 7, with a quarter.
    static CRUMB_INLINE half2 scale(int up, int pair) { return packed_power(bits == 2 && pair % 2 ? up - 2 : up); }
    // Bytes in the order of a code word's: channels 0, 8, 1, 9 (0, 4, 1, 5 of 4-bit codes), then the next pairs.
    static CRUMB_INLINE uint32_t word_of(const uint32_t *digits, int word) {
        return __byte_perm(digits[word], digits[word + words], 0x6240);
    }
    // Adds zero point x activation, doubled, from rows of codes that are all 3 (15).
    static CRUMB_INLINE void add_zero(int (&sums)[4], uint32_t even, uint32_t odd) {
        constexpr uint32_t ones = (bits == 2 ? 3 : 15) * 0x01010101u, fours = bits == 2 ? 4 * ones : ones;
        mma(sums, ones, ones, fours, fours, even, odd);
    }
    static CRUMB_INLINE int start_of(int high, int low) { return -((packed_digit * high + low) >> 1); }

    // High or low digits, as the column wants.
    CRUMB_INLINE void split(const uint32_t (&x)[lane_tiles * pairs], int up) {
        const bool low = threadIdx.x / 4 % 2;
        const half2 keep = low ? packed_power(0) : as_half2(0), less = low ? as_half2(0xE600E600) : as_half2(0);
        const half2 times = low ? as_half2(0x5BF05BF0) : packed_power(0);
#pragma unroll
        for (int k = 0; k < lane_tiles; k++) {
            uint32_t digits[pairs], own[words];
#pragma unroll
            for (int pair = 0; pair < pairs; pair++) {
                half2 value = as_half2(x[k * pairs + pair]), high = __hfma2(value, scale(up, pair), packed_rounding());
                // The integer, high - offset, is taken away for the low digit only.
                half2 rest = __hfma2(value, scale(up, pair), __hneg2(__hfma2(high, keep, less)));
                digits[pair] = as_bits(__hfma2(rest, times, packed_rounding()));
            }
#pragma unroll
            for (int word = 0; word < words; word++) own[word] = word_of(digits, word);
            place(own, k);
        }
    }
};
