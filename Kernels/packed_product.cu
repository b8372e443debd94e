// y = W x for packed matrices and up to 4 tokens: the products of the decode step.
//
// Grid: at most one block a multiprocessor. Block: args.warps warps that multiply, one that works out the norm, one that
// copies records into a ring in shared memory. The warps take items of the records in turns. With one token they first
// make the digits of all activations together, and the norm's warp multiplies too; with more, each warp loads what it
// needs of the activations by itself. At the end the warps' sums of each row are added in order (the same bits from run to
// run). Dynamic shared memory: as crumb_packed_plan() says.
// Bytes: the records, once. The first records are requested before the previous kernel is waited for.
#include "include/packed_copies.cuh"
#include "include/packed_finish.cuh"
#include "include/packed_one.cuh"
#include "include/packed_worker.cuh"

template <int tokens> CRUMB_INLINE void packed_product(const crumb_packed_args &args) {
    const uint32_t warp = threadIdx.x / 32;
    // A warp makes its barriers one after the other: so each makes a few.
    if (threadIdx.x % 32 == 0) {
        packed_head *head = packed_shared_head();
        for (uint32_t i = warp; i < CRUMB_PACKED_IN_FLIGHT; i += blockDim.x / 32) {
            barrier_make(&head->full4[i], copy_arrivals());
            barrier_make(&head->full2[i], copy_arrivals());
            if (args.laps) barrier_make(&head->done[i], packed_workers<tokens>(args));
        }
        if (warp == 0) head->requested = 0;
        barriers_made();
    }
    if (tokens == 1 && threadIdx.x < sizeof packed_head::zeros / 4) {
        reinterpret_cast<uint32_t *>(packed_shared_head()->zeros)[threadIdx.x] = 0;
    }
    __syncthreads();
    if (warp > args.warps) return packed_copy_warp(args);
    const packed_block block(args.product);
    if (warp == args.warps) {
        packed_fetch_ahead(args.product, block);
        wait_for_previous();
        release_next();
        packed_norm<tokens>(args, packed_shared_head()->factors);
        packed_fetch_stream<tokens>(args, block);
    } else if constexpr (tokens == 1) {
        packed_one(args).clear(packed_slots(args.product, block));
        wait_for_previous();
        release_next();
        packed_one(args).make_ready(block);
    } else {
        wait_for_previous();
        release_next();
        packed_worker<tokens>(args).multiply(block);
    }
    if constexpr (tokens == 1) {
        barrier_of_warps(1, args.warps + 1);
        packed_one(args).work();
    }
    packed_finish<tokens>(args, block);
}

#define CRUMB_PACKED_PRODUCT_KERNEL(tokens) \
    extern "C" __global__ void __launch_bounds__(32 * (CRUMB_PACKED_WARPS_M##tokens + CRUMB_PACKED_OTHER_WARPS), 1) \
        packed_product_m##tokens(const __grid_constant__ crumb_packed_args args) { \
        packed_product<tokens>(args); \
    }

// With 4 tokens the compiler spills for sm_100 and sm_120, whose registers go less far.
// check: hot packed_product_m1
// check: hot packed_product_m2
// check: async packed_product_*
CRUMB_PACKED_PRODUCT_KERNEL(1)
CRUMB_PACKED_PRODUCT_KERNEL(2)
CRUMB_PACKED_PRODUCT_KERNEL(4)
