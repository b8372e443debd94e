// y = W x for packed matrices and 5 to 64 tokens: the products of decode steps of several sequences.
//
// Grid: as many blocks as fit. Block: args.slices x args.tiles warps; those of a slice share the activations of its
// chunks. Chunks go round a few places of each slice, filled by asynchronous copies, one barrier of the slice for each. A
// warp turns the codes of its row tile into fp16 fragments in registers, once for all tokens. Blocks that share a group of
// rows leave their sums in memory; the last one adds them in order (the same bits from run to run); where args.whole is
// set there are none. Dynamic shared memory: as crumb_matmul_plan() says.
// Bytes: the records once; the activations of all tokens once for each group of rows, from the second-level cache. The
// first codes are requested before the previous kernel is waited for.
#include "include/matmul_copies.cuh"
#include "include/matmul_finish.cuh"
#include "include/packed_ring.cuh"

template <int octets> CRUMB_INLINE void packed_matmul(const crumb_matmul_args &given) {
    const crumb_matmul_args &args = matmul_arguments(given);
    constexpr int stages = crumb_matmul_stages(8 * octets);
    const uint32_t warp = threadIdx.x / 32, slice = warp / args.tiles, tile = warp - slice * args.tiles;
    const matmul_memory<octets> memory(args, slice);
    const uint32_t end = memory.chunks + stages * memory.slot_bytes;
    matmul_copies<octets> ahead(matmul_cursor(args, slice, 0), tile);
    {
        matmul_copies<octets> codes = ahead;
#pragma unroll 1
        for (uint32_t slot = memory.chunks; slot + memory.slot_bytes < end && !codes.done(); slot += memory.slot_bytes) {
            codes.copy_codes(slot);
            codes.next();
        }
    }
    wait_for_previous();
    release_next();
    if (ahead.done()) return;
    uint32_t target = memory.chunks;
    matmul_chunk chunks[stages - 1]; // under way
#pragma unroll
    for (int stage = 0; stage < stages - 1; stage++, target += memory.slot_bytes) {
        if (!ahead.done()) {
            chunks[stage] = ahead.chunk();
            ahead.copy_input(target);
            ahead.next();
        }
        copies_end_group();
    }
    matmul_norm(args, memory);
    matmul_worker<octets> worker(args, tile);
    uint32_t slot = memory.chunks;
#pragma unroll 1
    for (uint32_t number = 0;; number++) {
        copies_done<stages - 2>();
        copies_seen();
        barrier_of_warps(1 + slice, args.tiles);
        const matmul_chunk now = chunks[0];
#pragma unroll
        for (int stage = 0; stage < stages - 2; stage++) chunks[stage] = chunks[stage + 1];
        if (!ahead.done()) {
            chunks[stages - 2] = ahead.chunk();
            ahead.copy_codes(target);
            ahead.copy_input(target);
            ahead.next();
        }
        copies_end_group();
        worker.multiply(now, slice, number, slot);
        if (now.ends()) matmul_finish(matmul_cursor(args, slice, number), tile, memory, worker.sums);
        if (now.last()) break;
        target = slot;
        slot += memory.slot_bytes;
        if (slot == end) slot = memory.chunks;
    }
    matmul_finish_shared(args, slice, memory);
}

#define CRUMB_PACKED_MATMUL_KERNEL(M, blocks) \
    extern "C" __global__ void __launch_bounds__(32 * CRUMB_MATMUL_WARPS, blocks) \
        packed_matmul_m##M(const __grid_constant__ crumb_matmul_args args) { \
        packed_matmul<M / 8>(args); \
    }

// With 64 tokens the compiler spills up to 108 bytes for sm_100 and sm_120, whose registers go less far.
// check: hot packed_matmul_m8 packed_matmul_m16 packed_matmul_m32
// check: async packed_matmul_*
// Blocks of a multiprocessor as crumb_matmul_blocks() says.
CRUMB_PACKED_MATMUL_KERNEL(8, 2)
CRUMB_PACKED_MATMUL_KERNEL(16, 2)
CRUMB_PACKED_MATMUL_KERNEL(32, 1)
CRUMB_PACKED_MATMUL_KERNEL(64, 1)
