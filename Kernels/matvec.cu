// y = W x for up to 8 tokens, W a table of fp16, 8-bit or 4-bit weights, with the RMSNorm of x in front: the head, and
// the 16-bit matrices of a decode step. Optionally adds to y (the residual stream) or publishes the most likely token.
//
// Grid: one block for each multiprocessor (any number works), 512 threads (less where shared memory is short, a
// multiple of 32 x k_split), dynamic shared memory, see crumb_matvec_shared_bytes. A row tile has 16 rows; k_split
// warps share one, each a run of its units; a block's warps stand side by side on different tiles otherwise. Weights
// are the 16 x 16 operand of the tensor core, tokens its 8 columns.
//
// Every warp streams its units (16 rows x 256 bytes) through a ring of its own in shared memory (cp.async), across the
// borders of tiles, without a barrier: `stages` - 1 units, 4 KB each, are under way. The first are asked for before the
// kernel in front is waited for. Loads straight into fragments touch half a line per row and request and reached 75 %
// of the read limit on an H200.
//
// On an H200, M = 1: 3 stages are best for fp16 and 2 for 8 and 4 bits; k_split 8 or 16 where N / 16 is below the
// number of warps (2112), else 1. Keeping groups apart (see Unrolled::apart) pays for 4 bits and up to 2 tokens; for 8
// bits it costs more registers than it saves instructions.
//
// Bytes: N x K x bits / 8 (+ N x K / 16 of scales). Limit: memory.
#include "include/matvec_loop.cuh"

// The scale of step `step` of a lane in both halves, from what it loaded from its half of the unit on.
template <int storage, int words> CRUMB_INLINE uint32_t step_scale(const Scales<words> &scales, int i, int step) {
    if (storage == CRUMB_TABLE_F16) return 0;
    if (storage == CRUMB_TABLE_Q8) return __byte_perm(scales.scales[i][step / 2], 0, step % 2 ? 0x3232 : 0x1010);
    return __byte_perm(scales.scales[i][step], 0, threadIdx.x % 2 ? 0x3232 : 0x1010);
}

struct Unrolled {
    // One unit of a tile, weights multiplied by their scales: any number of tokens.
    template <int storage, int words>
    static CRUMB_INLINE void scaled(
        float (&sums)[4], const Stage &stage, const Scales<words> &scales, const uint16_t *runs) {
        uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int step = 0; step < 4; step++) {
            uint32_t piece = piece_in_unit(t, step);
            uint4 top_codes = stage.pieces[g][piece_place(g, piece)];
            uint4 bottom_codes = stage.pieces[g + 8][piece_place(g, piece)];
#pragma unroll
            for (int eighth = 0; eighth < Table<storage>::eighths; eighth++) {
                uint4 b = *reinterpret_cast<const uint4 *>(runs + (step * Table<storage>::eighths + eighth) * 32);
                uint32_t top[4], bottom[4];
                expand_run<storage>(top, top_codes, eighth, step_scale<storage>(scales, 0, step));
                expand_run<storage>(bottom, bottom_codes, eighth, step_scale<storage>(scales, 1, step));
                mma(sums, top[0], bottom[0], top[1], bottom[1], b.x, b.y);
                mma(sums, top[2], bottom[2], top[3], bottom[3], b.z, b.w);
            }
        }
    }

    // One unit of a tile for few tokens (8 bits: 4, 4 bits: 2): each group of a step has a column of its own, as a
    // lane's input is zero in the others' columns (`runs` then points to zeros and `moving` is 0). Scales are put on
    // the products, so a weight costs one instruction for two. `excess` is that of the lane's token and unit.
    template <int storage>
    static CRUMB_INLINE void apart(
        float (&totals)[2], const Stage &stage, const Scales<4> &scales, const uint16_t *runs, uint32_t moving,
        const float *excess) {
        uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int step = 0; step < 4; step++) {
            // Loads of all four steps at once would not fit the registers.
            if (step == 2) asm volatile("" ::: "memory");
            uint32_t piece = piece_in_unit(t, step);
            uint4 top_codes = stage.pieces[g][piece_place(g, piece)];
            uint4 bottom_codes = stage.pieces[g + 8][piece_place(g, piece)];
            float sums[4];
            half2 scale[2];
            if (storage == CRUMB_TABLE_Q8) {
                // Groups `step` and 4 + `step` of the unit's eight.
                sums[0] = excess[step];
                sums[1] = excess[4 + step];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    scale[i] = as_half2(__byte_perm(
                        scales.scales[i][step / 2], scales.scales[i][2 + step / 2], step % 2 ? 0x7632 : 0x5410));
                }
            } else {
                // Groups 2 `step` and the next of the half unit that the lane's columns stand for.
                float2 pair = *reinterpret_cast<const float2 *>(excess + 8 * (t % 2) + 2 * step);
                sums[0] = pair.x;
                sums[1] = pair.y;
                scale[0] = as_half2(scales.scales[0][step]);
                scale[1] = as_half2(scales.scales[1][step]);
            }
            sums[2] = sums[0];
            sums[3] = sums[1];
            const uint16_t *step_runs = runs + step * moving;
#pragma unroll
            for (int eighth = 0; eighth < Table<storage>::eighths; eighth++) {
                uint4 b = *reinterpret_cast<const uint4 *>(step_runs + eighth * 32);
                uint32_t top[4], bottom[4];
                raw_run<storage>(top, top_codes, eighth);
                raw_run<storage>(bottom, bottom_codes, eighth);
                mma(sums, top[0], bottom[0], top[1], bottom[1], b.x, b.y);
                mma(sums, top[2], bottom[2], top[3], bottom[3], b.z, b.w);
            }
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float2 s = __half22float2(scale[i]);
                totals[i] = fmaf(s.x, sums[2 * i], totals[i]);
                totals[i] = fmaf(s.y, sums[2 * i + 1], totals[i]);
            }
        }
    }
};

#define CRUMB_MATVEC(name, storage, few) \
    CRUMB_KERNEL __launch_bounds__(CRUMB_MATVEC_THREADS, 1) name(const __grid_constant__ crumb_matvec_args a) { \
        extern __shared__ __align__(128) uint8_t memory[]; \
        __shared__ __align__(16) MatvecShared shared; \
        if (few > 0 && a.tokens <= few) { \
            matvec<storage, (few > 0), Unrolled>(a, shared, memory); \
        } else { \
            matvec<storage, false, Unrolled>(a, shared, memory); \
        } \
    }

CRUMB_MATVEC(matvec_f16, CRUMB_TABLE_F16, 0)
CRUMB_MATVEC(matvec_q8, CRUMB_TABLE_Q8, 0)
CRUMB_MATVEC(matvec_q4, CRUMB_TABLE_Q4, 2)
