// Parts of the sampler: random numbers, weights, and choices among candidates that fit shared memory.
#pragma once

#include "choice.cuh"

enum { sample_warps = CRUMB_SAMPLE_THREADS / 32, most_candidates = CRUMB_SAMPLE_CANDIDATES };

struct SampleShared {
    uint64_t ranks[most_candidates];
    double weights[most_candidates];
    union {
        uint64_t ranks64[sample_warps];
        double masses[sample_warps];
        uint32_t counts[sample_warps];
    } scratch;
    double thread_masses[CRUMB_SAMPLE_THREADS];
    uint32_t count;
    int token;
    double point;
};

// xoshiro256**, as CrumbEngine's RandomSource: a number from 0 up to, not including, 1.
CRUMB_INLINE double next_uniform(uint64_t (&state)[4]) {
    uint64_t product = state[1] * 5, shifted = state[1] << 17;
    uint64_t result = ((product << 7) | (product >> 57)) * 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 45) | (state[3] >> 19);
    return static_cast<double>(result >> 11) * 0x1p-53;
}

CRUMB_INLINE float logit_of_key(uint32_t key) { return __uint_as_float(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key); }

// Row m's logits and options, in one block.
struct SampleRow {
    float *logits;
    uint32_t vocabulary;
    crumb_sampling options;
    uint64_t best; // rank of the most likely token

    CRUMB_INLINE float largest() const { return logit_of_key(static_cast<uint32_t>(best >> 32)); }

    // Relative to the most likely token's, in double as the host's.
    CRUMB_INLINE double weight(float logit) const {
        return exp((static_cast<double>(logit) - static_cast<double>(largest())) * options.inverse_temperature);
    }

    // The same to fp32's precision, for sums over the whole vocabulary.
    CRUMB_INLINE double quick_weight(float logit) const {
        return expf(static_cast<float>((logit - largest()) * options.inverse_temperature));
    }

    CRUMB_INLINE bool keeps_k() const { return options.top_k > 0 && static_cast<uint32_t>(options.top_k) < vocabulary; }

    // Whether the host lays candidates end to end in the order of their ids instead of their weights.
    CRUMB_INLINE bool in_order_of_ids() const { return !keeps_k() && options.top_p >= 1; }
};

// Calls `visit(logit, index)` for all logits, sixteen loads of a thread at a time where they are aligned.
template <typename Visit> CRUMB_INLINE void for_each_logit(const SampleRow &row, Visit visit) {
    if (row.vocabulary % 4 == 0) {
        const float4 *quads = reinterpret_cast<const float4 *>(row.logits);
        uint32_t count = row.vocabulary / 4, i = threadIdx.x;
        for (; i < count; i += 4 * CRUMB_SAMPLE_THREADS) {
            float4 v[4];
#pragma unroll
            for (uint32_t n = 0; n < 4; n++) v[n] = quads[min(i + n * CRUMB_SAMPLE_THREADS, count - 1)];
#pragma unroll
            for (uint32_t n = 0; n < 4; n++) {
                uint32_t quad = i + n * CRUMB_SAMPLE_THREADS;
                if (quad >= count) break;
                visit(v[n].x, 4 * quad);
                visit(v[n].y, 4 * quad + 1);
                visit(v[n].z, 4 * quad + 2);
                visit(v[n].w, 4 * quad + 3);
            }
        }
    } else {
        for (uint32_t i = threadIdx.x; i < row.vocabulary; i += CRUMB_SAMPLE_THREADS) visit(row.logits[i], i);
    }
}

// Checks and penalizes the logits, which may change in place; gives the best rank.
CRUMB_INLINE uint64_t penalize(SampleRow &row, const uint32_t *seen, SampleShared &shared) {
    float penalty = row.options.repetition_penalty, best = -INFINITY, check = 0;
    uint32_t best_token = 0;
    for_each_logit(row, [&](float logit, uint32_t i) {
        if (penalty != 1 && (seen[i / 32] >> i % 32 & 1)) {
            logit = logit > 0 ? __fdiv_rn(logit, penalty) : logit * penalty;
            row.logits[i] = logit;
        }
        // Finite numbers times zero are zero; NaN and infinities are not, and stay in the sum.
        check += logit * 0.0f;
        if (logit > best) {
            best = logit;
            best_token = i;
        }
    });
    uint64_t rank = check != 0 ? ~0ull : best > -INFINITY ? ranked(best, best_token) : 0;
    return block_reduce<sample_warps>(rank, shared.scratch.ranks64, Maximum());
}

// The number of logits of at least `threshold`; the first 2048 that come along are stored, in any order.
CRUMB_INLINE uint32_t collect(const SampleRow &row, uint32_t threshold, SampleShared &shared) {
    float least = logit_of_key(threshold);
    __syncthreads();
    if (threadIdx.x == 0) shared.count = 0;
    __syncthreads();
    for_each_logit(row, [&](float logit, uint32_t i) {
        if (logit >= least) {
            uint32_t place = atomicAdd(&shared.count, 1);
            if (place < most_candidates) shared.ranks[place] = ranked(logit, i);
        }
    });
    __syncthreads();
    return shared.count;
}

// Sorts the first `count` ranks, largest first; those behind become 0 up to a power of two. Every thread comes here.
CRUMB_INLINE void sort_ranks(SampleShared &shared, uint32_t count) {
    uint32_t size = 2;
    while (size < count) size *= 2;
    for (uint32_t i = count + threadIdx.x; i < size; i += CRUMB_SAMPLE_THREADS) shared.ranks[i] = 0;
    __syncthreads();
    for (uint32_t length = 2; length <= size; length *= 2) {
        for (uint32_t distance = length / 2; distance > 0; distance /= 2) {
            for (uint32_t i = threadIdx.x; i < size / 2; i += CRUMB_SAMPLE_THREADS) {
                uint32_t low = 2 * distance * (i / distance) + i % distance, high = low + distance;
                uint64_t a = shared.ranks[low], b = shared.ranks[high];
                if ((a < b) == ((low & length) == 0)) {
                    shared.ranks[low] = b;
                    shared.ranks[high] = a;
                }
            }
            __syncthreads();
        }
    }
}

// Sum of a quick weight for every logit of at least `threshold`, and their number; the same in all threads.
struct Share {
    double mass;
    uint32_t count;
};

CRUMB_INLINE Share share_above(const SampleRow &row, uint32_t threshold, SampleShared &shared) {
    Share share = {0, 0};
    for_each_logit(row, [&](float logit, uint32_t) {
        if (ordered_key(logit) >= threshold) {
            share.mass += row.quick_weight(logit);
            share.count++;
        }
    });
    share.mass = block_reduce<sample_warps>(share.mass, shared.scratch.masses, Sum());
    share.count = block_reduce<sample_warps>(share.count, shared.scratch.counts, Sum());
    __syncthreads();
    return share;
}
