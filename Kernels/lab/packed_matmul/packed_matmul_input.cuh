// The activations: their order in memory, and B fragments of it.
//
// A channel's 16, 32 or 64 tokens stand side by side, in runs of 8 (16 bytes). Eight neighbouring runs of 128 bytes are
// exchanged so that eight channels of one operand, which the codes' order puts 8 or 16 apart, lie in different banks:
// run r is at r ^ matmul_exchange(channel). A step's channels are one run of bytes in memory, a channel's tokens too.
#pragma once

#include "mma.cuh"

// The exchange of the runs of 8 tokens around those of `channel`: bits of the runs' numbers within 128 bytes.
template <int tokens> CRUMB_INLINE uint32_t matmul_exchange(uint32_t channel) {
    uint32_t bit4 = channel >> 4 & 1, bit35 = (channel >> 3 ^ channel >> 5) & 1;
    if (tokens == 64) return (channel & 1) | bit4 << 1 | bit35 << 2;
    if (tokens == 32) return bit4 | bit35 << 1;
    return bit4 | bit35 << 2;
}

// Where run `run` (tokens 8 run ...) of a channel is: number of 16 bytes from channel 0 on.
template <int tokens> CRUMB_INLINE uint32_t matmul_place_of(uint32_t channel, uint32_t run) {
    return (channel * (tokens / 8) + run) ^ matmul_exchange<tokens>(channel);
}

// Fragments of a tile for codes of `bits` bits, one k-step after the other.
template <int bits, int tokens> struct matmul_operand {
    // Where bit 3 or 5 of a channel exchanges runs: within an address.
    static constexpr uint32_t exchange = tokens == 32 ? 32 : 64;
    uint32_t address;

    // input: the shared address of the step's first channel; odd: whether that is an odd multiple of 32.
    CRUMB_INLINE matmul_operand(uint32_t input, bool odd) {
        // Lane 8 i + r gives the address of row r of matrix i: the channel of k = r (lane r / 2's pair, r % 2), of the
        // first or second pair of a k-step, of the lower or upper 8 of 16 tokens.
        uint32_t lane = threadIdx.x % 32, row = lane % 8, matrix = lane / 8;
        uint32_t channel = row / 2 * (bits == 2 ? 16 : 8) + row % 2 + matrix % 2 * 2;
        address = (input + matmul_place_of<tokens>(channel, matrix / 2) * 16) ^ (odd ? exchange : 0);
    }

    // b0, b1 of tokens 16 n ... 16 n + 7, then of 8 more.
    CRUMB_INLINE void load(uint32_t (&b)[4], int n) const {
        load_matrices_transposed(b, address ^ static_cast<uint32_t>(n << 5));
    }
    // From k-step j to the next: 4 channels on; half of a 2-bit tile is 8.
    CRUMB_INLINE void advance(int j) {
        address += 4 * tokens * 2;
        if (bits == 2 && j == 1) address ^= exchange;
    }
    // From behind a 4-bit tile's 2 k-steps to the next tile, 32 channels from its start.
    CRUMB_INLINE void next_tile() { address = (address + 24 * tokens * 2) ^ exchange; }
};
