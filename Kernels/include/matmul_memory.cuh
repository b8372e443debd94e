// A block's shared memory: see crumb_matmul_head_bytes().
#pragma once

#include "matmul_work.cuh"
#include "mma.cuh"

// Brings the launch's arguments into shared memory, by all threads. There they take no registers: what is derived from
// constant memory is kept, and with 64 tokens 24 bytes would be spilled.
CRUMB_INLINE const crumb_matmul_args &matmul_arguments(const crumb_matmul_args &given) {
    // As packed_shared.cuh has it: a block has one such array.
    extern __shared__ __align__(1024) uint8_t packed_memory[];
    const uint32_t *from = reinterpret_cast<const uint32_t *>(&given);
#ifdef __CUDA_ARCH__
    // Whoever sees that this is constant memory loads one word after the other.
    asm volatile("" : "+l"(from));
#endif
    for (uint32_t i = threadIdx.x; i < sizeof given / 4; i += blockDim.x) {
        reinterpret_cast<uint32_t *>(packed_memory)[i] = from[i];
    }
    __syncthreads();
    return *reinterpret_cast<const crumb_matmul_args *>(packed_memory);
}

template <int octets> struct matmul_memory {
    static constexpr uint32_t tokens = 8 * octets, input_bytes = tokens * CRUMB_MATMUL_CHANNELS * 2;
    uint32_t *decision; // whether this block is the last of its first and of its last group
    float *factors;     // [tokens]: the norm's
    float *sums;        // [slices][tokens][stride]
    uint32_t chunks;    // of this slice, an address
    uint32_t slot_bytes;

    CRUMB_INLINE matmul_memory(const crumb_matmul_args &args, uint32_t slice) {
        extern __shared__ __align__(1024) uint8_t packed_memory[];
        decision = reinterpret_cast<uint32_t *>(packed_memory + sizeof args);
        factors = reinterpret_cast<float *>(decision + 2);
        sums = factors + tokens;
        slot_bytes = crumb_matmul_slot_bytes(tokens, args.tiles);
        chunks = shared_address(packed_memory) + crumb_matmul_head_bytes(tokens, args.tiles, args.slices)
            + slice * crumb_matmul_stages(tokens) * slot_bytes;
    }
    // Where 8 tokens of row `row` of a chunk's activations stand in them, bytes: [128][tokens], exchanged within 128 bytes so
    // that neither copies nor fragments of 8 rows meet a bank of shared memory twice. As `wgmma` has it: a row is as long
    // as its pattern of 16 (not exchanged), 32, 64 or 128 bytes.
    static CRUMB_INLINE uint32_t exchanged(uint32_t row, uint32_t octet) {
        const uint32_t at = (row * octets + octet) * 16;
        return at ^ (at >> 7 & (octets - 1)) << 4;
    }
    // The row of channel `channel` of a chunk: the order in which words of codes have them. Lane t of four has 16 (8)
    // neighbours of 64 (32); of 16 rows, a product's, 2 t, 2 t + 1, 2 t + 8 and 2 t + 9 are the lane's next four.
    static CRUMB_INLINE uint32_t row_of(uint32_t channel, bool four) {
        const uint32_t pair = channel & 1, half = channel >> 1 & 1;
        return four ? (channel & 96) | (channel & 4) << 2 | half << 3 | (channel >> 3 & 3) << 1 | pair
                    : (channel & 64) | (channel >> 2 & 3) << 4 | half << 3 | (channel >> 4 & 3) << 1 | pair;
    }
    // A row tile's share of a chunk.
    static CRUMB_INLINE uint32_t tile(uint32_t slot, uint32_t tile) {
        return slot + input_bytes + tile * CRUMB_MATMUL_TILE_BYTES;
    }
};
