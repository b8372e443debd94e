// matvec_* with a quarter of the code: the four steps of a unit are a loop whose scales move through registers. To be
// timed beside the shipped kernels: a kernel's first pass through 60 to 140 KB of straight code may cost microseconds.
// Groups are kept apart for 8 bits too, which did not pay with unrolled code (registers).
#include "../include/matvec_loop.cuh"

struct Rolled {
    // Moves the scales of the next step to the front.
    template <int storage, int words> static CRUMB_INLINE void next_step(uint32_t (&scales)[words]) {
        if (storage == CRUMB_TABLE_Q8) {
#pragma unroll
            for (int first = 0; first + 1 < words; first += 2) {
                scales[first] = __funnelshift_r(scales[first], scales[first + 1], 16);
                scales[first + 1] >>= 16;
            }
        } else {
#pragma unroll
            for (int j = 0; j + 1 < words; j++) scales[j] = scales[j + 1];
        }
    }

    template <int storage, int words>
    static CRUMB_INLINE void scaled(
        float (&sums)[4], const Stage &stage, const Scales<words> &unit_scales, const uint16_t *runs) {
        uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, scales[2][words + 1];
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int j = 0; j < words; j++) scales[i][j] = unit_scales.scales[i][j];
            scales[i][words] = 0;
        }
#pragma unroll 1
        for (int step = 0; step < 4; step++, runs += Table<storage>::eighths * 32) {
            uint32_t piece = piece_in_unit(t, step), pair[2];
            uint4 top_codes = stage.pieces[g][piece_place(g, piece)];
            uint4 bottom_codes = stage.pieces[g + 8][piece_place(g, piece)];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                uint32_t selector = storage == CRUMB_TABLE_Q4 && t % 2 ? 0x3232 : 0x1010;
                pair[i] = __byte_perm(scales[i][0], 0, selector);
            }
#pragma unroll
            for (int eighth = 0; eighth < Table<storage>::eighths; eighth++) {
                uint4 b = *reinterpret_cast<const uint4 *>(runs + eighth * 32);
                uint32_t top[4], bottom[4];
                expand_run<storage>(top, top_codes, eighth, pair[0]);
                expand_run<storage>(bottom, bottom_codes, eighth, pair[1]);
                mma(sums, top[0], bottom[0], top[1], bottom[1], b.x, b.y);
                mma(sums, top[2], bottom[2], top[3], bottom[3], b.z, b.w);
            }
            next_step<storage>(scales[0]);
            next_step<storage>(scales[1]);
        }
    }

    template <int storage>
    static CRUMB_INLINE void apart(
        float (&totals)[2], const Stage &stage, const Scales<4> &unit_scales, const uint16_t *runs, uint32_t moving,
        const float *excess) {
        uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, scales[2][4];
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) scales[i][j] = unit_scales.scales[i][j];
        }
        const float *first = storage == CRUMB_TABLE_Q4 ? excess + 8 * (t % 2) : excess;
#pragma unroll 1
        for (int step = 0; step < 4; step++, runs += moving) {
            uint32_t piece = piece_in_unit(t, step), pair[2];
            uint4 top_codes = stage.pieces[g][piece_place(g, piece)];
            uint4 bottom_codes = stage.pieces[g + 8][piece_place(g, piece)];
            float sums[4];
            sums[0] = sums[2] = storage == CRUMB_TABLE_Q4 ? first[2 * step] : first[step];
            sums[1] = sums[3] = storage == CRUMB_TABLE_Q4 ? first[2 * step + 1] : first[4 + step];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                pair[i] = storage == CRUMB_TABLE_Q4 ? scales[i][0] : __byte_perm(scales[i][0], scales[i][2], 0x5410);
            }
#pragma unroll
            for (int eighth = 0; eighth < Table<storage>::eighths; eighth++) {
                uint4 b = *reinterpret_cast<const uint4 *>(runs + eighth * 32);
                uint32_t top[4], bottom[4];
                raw_run<storage>(top, top_codes, eighth);
                raw_run<storage>(bottom, bottom_codes, eighth);
                mma(sums, top[0], bottom[0], top[1], bottom[1], b.x, b.y);
                mma(sums, top[2], bottom[2], top[3], bottom[3], b.z, b.w);
            }
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float2 s = __half22float2(as_half2(pair[i]));
                totals[i] = fmaf(s.x, sums[2 * i], totals[i]);
                totals[i] = fmaf(s.y, sums[2 * i + 1], totals[i]);
                next_step<storage>(scales[i]);
            }
        }
    }
};

#define CRUMB_MATVEC_ROLLED(name, storage, few) \
    CRUMB_KERNEL __launch_bounds__(CRUMB_MATVEC_THREADS, 1) name(const __grid_constant__ crumb_matvec_args a) { \
        extern __shared__ __align__(128) uint8_t memory[]; \
        __shared__ __align__(16) MatvecShared shared; \
        if (few > 0 && a.tokens <= few) { \
            matvec<storage, (few > 0), Rolled>(a, shared, memory); \
        } else { \
            matvec<storage, false, Rolled>(a, shared, memory); \
        } \
    }

CRUMB_MATVEC_ROLLED(matvec_rolled_f16, CRUMB_TABLE_F16, 0)
CRUMB_MATVEC_ROLLED(matvec_rolled_q8, CRUMB_TABLE_Q8, 4)
CRUMB_MATVEC_ROLLED(matvec_rolled_q4, CRUMB_TABLE_Q4, 2)
