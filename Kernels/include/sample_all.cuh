// The slow way of the sampler, for choices among more candidates than are sorted: thresholds are found bit by bit, a
// pass over the logits for each. Candidates stand in the order of their ranks (see choice.cuh), and what top-k and
// top-p leave is always a run from the first on: all above a key, and the first few that equal it.
#pragma once

#include "sampling.cuh"

// All candidates with a key above `key`, and the first `equals` with that key.
struct Cut {
    uint32_t key, equals;
};

// The largest threshold for which the candidates not below it reach `count` and `mass`; 0 if there is none.
// With `beyond` their mass must exceed `mass`.
CRUMB_INLINE uint32_t
find_threshold(const SampleRow &row, SampleShared &shared, uint32_t count, double mass, bool beyond) {
    uint32_t threshold = 0;
    for (uint32_t bit = 1u << 31; bit > 0; bit >>= 1) {
        Share share = share_above(row, threshold | bit, shared);
        bool reached = share.count >= count && (beyond ? share.mass > mass : share.mass >= mass);
        if (reached) threshold |= bit;
    }
    return threshold;
}

// The shortest run whose mass reaches (or exceeds) `mass`.
CRUMB_INLINE Cut cut_at_mass(const SampleRow &row, SampleShared &shared, double mass, bool beyond) {
    Cut cut = {find_threshold(row, shared, 0, mass, beyond), 0};
    Share above = share_above(row, cut.key + 1, shared), with = share_above(row, cut.key, shared);
    double one = row.quick_weight(logit_of_key(cut.key));
    uint32_t equal = with.count - above.count;
    while (cut.equals < equal
           && !(beyond ? above.mass + cut.equals * one > mass : above.mass + cut.equals * one >= mass)) {
        cut.equals++;
    }
    return cut;
}

CRUMB_INLINE double mass_of(const SampleRow &row, SampleShared &shared, Cut cut) {
    double above = share_above(row, cut.key + 1, shared).mass;
    return cut.equals > 0 ? above + cut.equals * row.quick_weight(logit_of_key(cut.key)) : above;
}

CRUMB_INLINE Cut shorter(Cut a, Cut b) {
    if (a.key != b.key) return a.key > b.key ? a : b;
    return a.equals < b.equals ? a : b;
}

// The id of the `place`-th token, from 0, of those with `key`; by thread 0, which takes its time.
CRUMB_INLINE int token_among_equals(const SampleRow &row, uint32_t key, uint32_t place) {
    int last = -1;
    for (uint32_t i = 0; i < row.vocabulary; i++) {
        if (ordered_key(row.logits[i]) != key) continue;
        last = static_cast<int>(i);
        if (place-- == 0) break;
    }
    return last;
}

// The lowest key that min-p leaves: weights rise with the key.
CRUMB_INLINE uint32_t lowest_likely_key(const SampleRow &row) {
    uint32_t low = 0, high = static_cast<uint32_t>(row.best >> 32);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (row.quick_weight(logit_of_key(middle)) >= row.options.min_p) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// Draws at `point` (0 ... 1) in the order of weights.
CRUMB_INLINE int draw_by_rank(const SampleRow &row, SampleShared &shared, double point) {
    // No finite logit has key 0, so this is all of them.
    Cut kept = {0, 0};
    if (row.keeps_k()) {
        uint32_t k = static_cast<uint32_t>(row.options.top_k);
        kept.key = find_threshold(row, shared, k, 0, false);
        kept.equals = k - share_above(row, kept.key + 1, shared).count;
    }
    if (row.options.top_p < 1) {
        kept = shorter(kept, cut_at_mass(row, shared, row.options.top_p * mass_of(row, shared, kept), false));
    }
    if (row.options.min_p > 0) kept = shorter(kept, {lowest_likely_key(row) - 1, 0});
    // The drawn token ends the shortest run whose mass exceeds the point.
    Cut drawn = shorter(kept, cut_at_mass(row, shared, point * mass_of(row, shared, kept), true));
    __syncthreads();
    if (threadIdx.x == 0) {
        int token = drawn.equals > 0 ? token_among_equals(row, drawn.key, drawn.equals - 1) : -1;
        shared.token = token >= 0 ? token : ranked_token(row.best);
    }
    __syncthreads();
    return shared.token;
}

// Draws at `point` in the order of ids, from all tokens that min-p leaves.
CRUMB_INLINE int draw_by_id(const SampleRow &row, SampleShared &shared, double point) {
    uint32_t share = (row.vocabulary + CRUMB_SAMPLE_THREADS - 1) / CRUMB_SAMPLE_THREADS;
    uint32_t begin = min(threadIdx.x * share, row.vocabulary), end = min(begin + share, row.vocabulary);
    double mass = 0;
    for (uint32_t i = begin; i < end; i++) {
        double weight = row.quick_weight(row.logits[i]);
        if (weight >= row.options.min_p) mass += weight;
    }
    shared.thread_masses[threadIdx.x] = mass;
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = 0, before = 0;
        for (uint32_t t = 0; t < CRUMB_SAMPLE_THREADS; t++) total += shared.thread_masses[t];
        double target = point * total;
        int token = ranked_token(row.best);
        bool found = false;
        for (uint32_t t = 0; t < CRUMB_SAMPLE_THREADS && !found; t++) {
            if (before + shared.thread_masses[t] <= target) {
                before += shared.thread_masses[t];
                continue;
            }
            for (uint32_t i = t * share; i < min((t + 1) * share, row.vocabulary) && !found; i++) {
                double weight = row.quick_weight(row.logits[i]);
                if (weight < row.options.min_p) continue;
                before += weight;
                token = static_cast<int>(i);
                found = target < before;
            }
            found = true;
        }
        shared.token = token;
    }
    __syncthreads();
    return shared.token;
}
