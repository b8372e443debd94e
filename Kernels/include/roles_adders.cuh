// The warps of a block that add outliers.
#pragma once

#include "matmul_squares.cuh"
#include "roles_finish.cuh"
#include "roles_outliers.cuh"

// The norm's factor of each token.
template <int octets> CRUMB_INLINE void roles_norm(const crumb_matmul_args &args, uint32_t warp) {
    using Memory = roles_memory<octets>;
    constexpr uint32_t threads = 32 * roles_adding;
    const uint32_t width = Memory::tokens << (args.halves - 1), rows = threads / Memory::tokens >> (args.halves - 1);
    const crumb_packed_product &product = args.product;
    const uint32_t thread = 32 * warp + threadIdx.x % 32, token = thread & (width - 1);
    const uint32_t row = thread / Memory::tokens >> (args.halves - 1);
    float sum = matmul_squares<16>(args, token, row, rows);
    Memory::scratch()[thread] = sum;
    barrier_of_warps(1, roles_adding);
    if (row == 0) {
        sum = 0;
        for (uint32_t i = 0; i < rows; i++) sum += Memory::scratch()[i * width + token];
        const float mean = sum / static_cast<float>(product.columns);
        Memory::factors()[token] = product.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
    }
    barrier_arrive(Memory::normed());
}

template <int octets>
CRUMB_INLINE void roles_add(const crumb_matmul_args &args, uint32_t warp) {
    using Memory = roles_memory<octets>;
    const roles_outliers<octets> outliers(args, warp);
    roles_walk walk(args);
    if (walk.done()) return;
    outliers.add(walk, 0);
    barrier_arrive(Memory::ready(0));
    roles_norm<octets>(args, warp);
    // Outliers are a group ahead: a share of a few units takes as long to begin as to multiply.
#pragma unroll 1
    for (uint32_t number = 0;; number++) {
        const roles_walk group = walk;
        walk.next_group();
        const bool more = !walk.done(), own = roles_sharers(group).count == 1 && more;
        if (more) outliers.add(walk, number + 1);
        // The next group's sums take the place in memory of those of a group that is finished by these warps.
        if (more && !own) barrier_arrive(Memory::ready(number + 1));
        barrier_wait(Memory::taken(number), Memory::parity(number));
        if (own) {
            barrier_wait(Memory::normed(), 0);
            roles_finish<octets>::finish_own(group, warp, roles_adding);
            barrier_arrive(Memory::ready(number + 1));
        } else if (warp == 0 && threadIdx.x % 32 == 0) {
            // What the warps that multiply have left in memory is seen by whoever sees this.
            add_released(roles_sharers::arrivals(group), 1);
        }
        if (!more) return;
    }
}
