// A step's codes times its activations, for two row tiles of a warp.
//
// Codes become exact halves by one lop3 and one fused multiply-add for each pair: (word & mask) | 1.0 is
// 1 + code x 2^(p - 10) for a code at bit p, and of that, times m, plus c, remains (code - zero point) x m / 16, where
// m = scale code + 1. For codes at bit 6 (and 8, two bits only) c is a half as well: a small integer, of 11 bits with
// m, over 32. Words are turned to bring codes there. Row scales
// multiply the sums: where a warp goes on to another region, by the old one over the new one.
#pragma once

#include "packed_matmul_input.cuh"
#include "packed_matmul_work.cuh"

// Sums of two row tiles: [row tile][rows g, g + 8; g + 16, g + 24][8 tokens][as in mma.cuh].
template <int tokens> using matmul_sums = float[2][2][tokens / 8][4];

// m and c of a row: c6 for codes at bit 6 behind 1.0, c8 for those at bit 8 (two bits only) behind 0.25, whose lowest
// bit is worth as much.
template <int bits> struct matmul_level {
    half2 m, c6, c8;

    // `pair`: 1024 + scale code, twice.
    CRUMB_INLINE void set(uint32_t pair) {
        m = __hsub2(as_half2(pair), as_half2(0x63FE63FEu)); // 1023
        if (bits == 4) {
            c6 = __hmul2(m, as_half2(0xBDE0BDE0u)); // -(1 + 7.5 / 16)
        } else {
            c6 = __hmul2(m, as_half2(0xBC60BC60u)); // -(1 + 1.5 / 16)
            c8 = __hmul2(m, as_half2(0xB580B580u)); // -(0.25 + 1.5 / 16)
        }
    }
};

// The levels of rows g + 8 i of a tile. codes: four scale codes, row g + 8 i in bits 4 i.
template <int bits> CRUMB_INLINE void matmul_levels(matmul_level<bits> (&levels)[4], uint32_t codes) {
    uint32_t even = codes & 0x0F0Fu, odd = codes >> 4 & 0x0F0Fu;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        levels[i].set(__byte_perm(i % 2 ? odd : even, 0x64646464u, i < 2 ? 0x4040 : 0x4141));
    }
}

// The two registers of a row of A. word: with the pairs of the k-step at bit 6 (and 8; 4-bit codes: and 10, modulo 16).
template <int bits>
CRUMB_INLINE void matmul_weights(uint32_t &low, uint32_t &high, uint32_t word, const matmul_level<bits> &level) {
    constexpr uint32_t one = 0x3C003C00u, quarter = 0x34003400u;
    if (bits == 2) {
        low = as_bits(__hfma2(as_half2((word & 0x00C000C0u) | one), level.m, level.c6));
        high = as_bits(__hfma2(as_half2((word & 0x03000300u) | quarter), level.m, level.c8));
    } else {
        uint32_t second = __funnelshift_r(word, word, 4);
        low = as_bits(__hfma2(as_half2((word & 0x03C003C0u) | one), level.m, level.c6));
        high = as_bits(__hfma2(as_half2((second & 0x03C003C0u) | one), level.m, level.c6));
    }
}

// One tile of row tiles `from` ... `to` - 1. words, levels: [row tile]; operand: at the tile's first channel.
template <int bits, int tokens, int from, int to>
CRUMB_INLINE void matmul_tile(
    matmul_sums<tokens> &sums, uint32_t (&words)[2][4], const matmul_level<bits> (&levels)[2][4],
    matmul_operand<bits, tokens> operand) {
    constexpr int k_steps = bits == 2 ? 4 : 2;
    // With many tokens a k-step is long enough, and all that is on its way at once fits the registers.
    constexpr int at_once = tokens == 64 ? 1 : k_steps;
#pragma unroll
    for (int tile = from; tile < to; tile++) {
#pragma unroll
        for (int i = 0; i < 4; i++) words[tile][i] = __funnelshift_l(words[tile][i], words[tile][i], 6);
    }
#pragma unroll at_once
    for (int j = 0; j < k_steps; j++) {
        uint32_t a[2][2][4];
#pragma unroll
        for (int tile = from; tile < to; tile++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                uint32_t &word = words[tile][i];
                matmul_weights<bits>(a[tile][i / 2][i % 2], a[tile][i / 2][2 + i % 2], word, levels[tile][i]);
                word = __funnelshift_r(word, word, bits == 2 ? 4 : 8);
            }
        }
#pragma unroll
        for (int n = 0; n < tokens / 16; n++) {
            uint32_t b[4];
            operand.load(b, n);
#pragma unroll
            for (int tile = from; tile < to; tile++) {
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    const uint32_t (&w)[4] = a[tile][m];
                    mma(sums[tile][m][2 * n], w[0], w[1], w[2], w[3], b[0], b[1]);
                    mma(sums[tile][m][2 * n + 1], w[0], w[1], w[2], w[3], b[2], b[3]);
                }
            }
        }
        operand.advance(j);
    }
}

// A step of row tiles `from` ... `to` - 1, all of `bits` bits. slot: of the warp's ring; input: the shared address of
// its activations.
template <int bits, int tokens, int from, int to>
CRUMB_INLINE void matmul_step(
    matmul_sums<tokens> &sums, const uint8_t *slot, uint32_t input, const matmul_place &place) {
    const uint32_t lane = threadIdx.x % 32;
    matmul_operand<bits, tokens> operand(input, place.odd);
    const uint8_t *codes = slot + lane * 16;
    const uint8_t *scales = slot + MATMUL_SCALES_AT + (bits == 2 ? lane / 4 * 4 + lane % 4 / 2 * 2 : lane / 4 * 2);
    const int tiles = bits == 2 || place.short_step ? 1 : 2;
#pragma unroll 1
    for (int second = 0; second < tiles; second++) {
        uint32_t words[2][4];
        matmul_level<bits> levels[2][4];
#pragma unroll
        for (int tile = from; tile < to; tile++) {
            uint4 four = *reinterpret_cast<const uint4 *>(codes + tile * MATMUL_CODES);
            words[tile][0] = four.x, words[tile][1] = four.y, words[tile][2] = four.z, words[tile][3] = four.w;
            matmul_levels<bits>(levels[tile], *reinterpret_cast<const uint16_t *>(scales + tile * MATMUL_SCALES));
        }
        matmul_tile<bits, tokens, from, to>(sums, words, levels, operand);
        codes += CRUMB_TILE_BYTES, scales += CRUMB_TILE4_SCALE_BYTES;
        operand.next_tile();
    }
}
