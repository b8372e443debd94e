// What becomes of a group's sums, by the warps that multiply when a block is done, or, of a group that is neither shared nor
// the block's last, by those that add outliers.
#pragma once

#include "roles_item.cuh"

template <int octets> struct roles_finish {
    using Memory = roles_memory<octets>;
    static constexpr uint32_t items = roles_tiles * octets, warps = roles_tiles; // items: of a group
    // Items whose sums stand in the units' places, and sharers whose sums of these are asked for together.
    static constexpr int together = octets / 2, at_once = 4;
    const crumb_matmul_args &args;
    uint32_t warp;

    CRUMB_INLINE roles_finish(const crumb_matmul_args &args, uint32_t warp) : args(args), warp(warp) {}

    // This block's part of a group, the `number`th of the block that is finished so; `before`: items that the warps before
    // this one have of another. Returns them with these. Little code, as it comes for the first time.
    CRUMB_INLINE uint32_t finish(const roles_walk &walk, uint32_t number, uint32_t before) const {
        const bool paired = args.product.kind == CRUMB_PACKED_SILU;
        const roles_sharers sharers(walk);
        const uint32_t begin = items * sharers.own / sharers.count, end = items * (sharers.own + 1) / sharers.count;
        uint32_t first = begin + (warp - before) % warps;
        if (first >= end) return before + end - begin;
        roles_item<octets> item;
        item.number = first;
        item.ask(args, walk);
        barrier_wait(Memory::complete(number), 0);
#pragma unroll 1
        for (; first < end; first += together * warps) {
            float v[together][2][4] = {};
#pragma unroll 1
            for (uint32_t i = 0; i < sharers.count; i += at_once) {
                float4 own[at_once][together][2];
                each([&](int s, int k, int h) {
                    // Behind the last, one is added once more.
                    const uint32_t at = first + k * warps < end ? first + k * warps : first;
                    const float4 *from = sharers.partial<octets>(args, i + s) + roles_item<octets>::place(at, paired);
                    own[s][k][h] = i + s < sharers.count ? __ldcg(from + h * roles_item<octets>::half_stride(paired))
                                                         : make_float4(0, 0, 0, 0);
                });
                each([&](int s, int k, int h) {
                    v[k][h][0] += own[s][k][h].x, v[k][h][1] += own[s][k][h].y;
                    v[k][h][2] += own[s][k][h].z, v[k][h][3] += own[s][k][h].w;
                });
            }
            const uint32_t place = Memory::slot(0) + warp * together * 1024 + threadIdx.x % 32 * 16;
#pragma unroll
            for (int k = 0; k < 2 * together; k++) store_shared(place + 512 * k, as_words(v[k / 2][k % 2]));
#pragma unroll 1
            for (int k = 0; k < together && item.number < end; k++) {
                // What the next one needs is under way meanwhile.
                roles_item<octets> next;
                next.number = item.number + warps;
                if (next.number < end) next.ask(args, walk);
#pragma unroll
                for (int h = 0; h < 2; h++) item.take(h, load_shared(place + 1024 * k + 512 * h));
                item.write(args, walk, Memory::factors());
                item = next;
            }
        }
        return before + end - begin;
    }

    // A group that is this block's own, one of `others` warps.
    static CRUMB_INLINE void finish_own(const roles_walk &walk, uint32_t warp, uint32_t others) {
        const float4 *from = roles_sharers(walk).partial<octets>(walk.args, 0);
        const bool paired = walk.args.product.kind == CRUMB_PACKED_SILU;
        roles_item<octets> item;
        float4 sums[2];
        auto ask = [&](uint32_t number) {
            item.number = number;
            item.ask(walk.args, walk);
#pragma unroll
            for (int h = 0; h < 2; h++) {
                sums[h] = __ldcg(from + roles_item<octets>::place(number, paired) + h * item.half_stride(paired));
            }
        };
        ask(warp);
#pragma unroll 1
        for (uint32_t number = warp; number < items; number += others) {
            roles_item<octets> now = item;
#pragma unroll
            for (int h = 0; h < 2; h++) now.take(h, as_words({sums[h].x, sums[h].y, sums[h].z, sums[h].w}));
            // What the next one needs is under way meanwhile.
            if (number + others < items) ask(number + others);
            now.write(walk.args, walk, Memory::factors());
        }
    }

  private:
    template <class Body> static CRUMB_INLINE void each(Body body) {
#pragma unroll
        for (int s = 0; s < at_once; s++) {
#pragma unroll
            for (int k = 0; k < together; k++) {
#pragma unroll
                for (int h = 0; h < 2; h++) body(s, k, h);
            }
        }
    }
    static CRUMB_INLINE uint4 as_words(const float (&v)[4]) {
        return make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3]));
    }
};
