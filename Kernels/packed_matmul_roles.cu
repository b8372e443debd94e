// y = W x for packed matrices and up to 32 tokens on sm_90a: as packed_matmul.cu, by blocks whose warps have roles.
//
// Grid: a block a multiprocessor, no more, as blocks wait for each other; CRUMB_ROLES_THREADS threads: eight warps multiply,
// each a row tile, four copy, four add outliers. Codes and activations of 64 channels at a time go through a ring, and
// products go on behind each other. Blocks that share a group of rows leave their sums in memory, and each finishes a part of
// it, the sums added in order: the same bits from run to run. Dynamic shared memory: as crumb_matmul_plan() says.
// Bytes: the records once; the activations of all tokens once for each group of eight row tiles, from the second-level
// cache. The first codes are requested before the previous kernel is waited for.
// targets: sm_90a
#include "include/device.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(CRUMB_EMULATED)
#include "include/roles_adders.cuh"
#include "include/roles_copies.cuh"
#include "include/roles_products.cuh"

template <int octets> CRUMB_INLINE void packed_matmul_roles(const crumb_matmul_args &given) {
    using Memory = roles_memory<octets>;
    // Barriers of one warp are made one after the other.
    const uint32_t warp = threadIdx.x / 32;
    if (threadIdx.x % 32 == 0) {
        if (warp < Memory::stages) {
            barrier_make(Memory::full(warp), 32);
            barrier_make(Memory::empty(warp), roles_tiles);
        } else if (warp == Memory::stages) {
            // All lanes arrive: compute-sanitizer does not follow a warp of which one does.
            for (uint32_t number = 0; number < 2; number++) {
                barrier_make(Memory::ready(number), 32 * roles_adding);
                barrier_make(Memory::taken(number), 32 * roles_tiles);
                barrier_make(Memory::complete(number), 1);
            }
            barrier_make(Memory::normed(), 32 * roles_adding);
        }
        barriers_made();
    }
    const crumb_matmul_args &args = matmul_arguments(given);
    // All registers of a multiprocessor: 2 x 168 + 64 + 112 of four warps each. With 200, 40 and 72 some were spilled, and
    // 12288 x 4096 took 24.6 us in place of 20.3 with 32 tokens, 17.2 in place of 16.5 with 16, on one H200.
    if (warp < roles_tiles) {
        more_registers<168>();
        roles_multiply<octets>(args, warp);
    } else if (warp < roles_tiles + roles_copying) {
        fewer_registers<64>();
        roles_copy<octets>(args, warp - roles_tiles);
    } else {
        fewer_registers<112>();
        roles_add<octets>(args, warp - roles_tiles - roles_copying);
    }
}

#else
// What the host sees.
template <int octets> CRUMB_INLINE void packed_matmul_roles(const crumb_matmul_args &) {}
#endif

#define CRUMB_PACKED_MATMUL_ROLES_KERNEL(M) \
    extern "C" __global__ void __launch_bounds__(CRUMB_ROLES_THREADS, 1) \
        packed_matmul_roles_m##M(const __grid_constant__ crumb_matmul_args args) { \
        packed_matmul_roles<M / 8>(args); \
    }

// check: hot packed_matmul_roles_*
// check: async packed_matmul_roles_*
CRUMB_PACKED_MATMUL_ROLES_KERNEL(16)
CRUMB_PACKED_MATMUL_ROLES_KERNEL(32)
