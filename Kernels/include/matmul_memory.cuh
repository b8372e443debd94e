// A block's shared memory: see crumb_matmul_head_bytes().
#pragma once

#include "matmul_work.cuh"
#include "mma.cuh"

template <int octets> struct matmul_memory {
    static constexpr uint32_t tokens = 8 * octets, input_bytes = tokens * CRUMB_MATMUL_CHANNELS * 2;
    uint32_t *decision; // whether this block is the last of its first and of its last group
    float *factors;     // [tokens]: the norm's
    float *sums;        // [slices][tokens][stride]
    uint32_t chunks;    // of this slice, an address
    uint32_t slot_bytes;

    CRUMB_INLINE matmul_memory(const crumb_matmul_args &args, uint32_t slice) {
        // As packed_shared.cuh has it: a block has one such array.
        extern __shared__ __align__(128) uint8_t packed_memory[];
        decision = reinterpret_cast<uint32_t *>(packed_memory);
        factors = reinterpret_cast<float *>(decision + 2);
        sums = factors + tokens;
        slot_bytes = crumb_matmul_slot_bytes(tokens, args.tiles);
        chunks = shared_address(packed_memory) + crumb_matmul_head_bytes(tokens, args.tiles, args.slices)
            + slice * crumb_matmul_stages(tokens) * slot_bytes;
    }
    // A row tile's share of a chunk.
    static CRUMB_INLINE uint32_t tile(uint32_t slot, uint32_t tile) {
        return slot + input_bytes + tile * CRUMB_MATMUL_TILE_BYTES;
    }
};
