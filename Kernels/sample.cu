// One token drawn from each row of logits, by the rules of CrumbEngine's Sampler and with its random numbers.
//
// Grid M, 1024 threads, one block a row. The logits come from L2 twice: for the penalty and the most likely token, and
// to collect the candidates, which are those of at least some logit; its value is a guess that is corrected until
// top-k, top-p or min-p is sure to lie inside, and the result does not depend on it. Up to 2048 candidates are sorted
// and then treated by one thread as the host does, in double; more take the slow way of sample_all.cuh (fp32 weights).
//
// Bytes: 8 x vocabulary per row, from L2 to one multiprocessor (about 64 bytes a clock). Reference: Sampler.next.
#include "include/sample_all.cuh"

// Steps 3 to 6 of the Sampler over sorted candidates, in the host's order of additions. By one thread.
CRUMB_INLINE int draw_candidate(
    const SampleRow &row, SampleShared &shared, uint32_t count, double total, double point) {
    double min_p = row.options.min_p;
    if (row.options.top_p < 1) {
        double mass = row.options.top_p * total, sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            sum += shared.weights[i];
            if (sum >= mass) count = i + 1;
        }
    }
    double kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (shared.weights[i] >= min_p) kept += shared.weights[i];
    }
    double sum = 0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (shared.weights[i] < min_p) continue;
        sum += shared.weights[i] / kept;
        chosen = i;
        if (point < sum) break;
    }
    return row.in_order_of_ids() ? static_cast<int>(~0u - static_cast<uint32_t>(shared.ranks[chosen] >> 32))
                                 : ranked_token(shared.ranks[chosen]);
}

// Sorts what was collected, and draws.
CRUMB_INLINE int draw_collected(
    const SampleRow &row, SampleShared &shared, uint32_t count, double all_mass, double point) {
    bool by_id = row.in_order_of_ids();
    if (by_id) {
        for (uint32_t i = threadIdx.x; i < count; i += CRUMB_SAMPLE_THREADS) {
            shared.ranks[i] = shared.ranks[i] << 32 | shared.ranks[i] >> 32;
        }
        __syncthreads();
    }
    sort_ranks(shared, count);
    if (row.keeps_k()) count = min(count, static_cast<uint32_t>(row.options.top_k));
    for (uint32_t i = threadIdx.x; i < count; i += CRUMB_SAMPLE_THREADS) {
        uint32_t key = static_cast<uint32_t>(by_id ? shared.ranks[i] : shared.ranks[i] >> 32);
        shared.weights[i] = row.weight(logit_of_key(key));
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = all_mass;
        if (row.keeps_k()) {
            total = 0;
            for (uint32_t i = 0; i < count; i++) total += shared.weights[i];
        }
        shared.token = draw_candidate(row, shared, count, total, point);
    }
    __syncthreads();
    return shared.token;
}

CRUMB_INLINE int sample(SampleRow &row, SampleShared &shared, double point) {
    const crumb_sampling &options = row.options;
    uint32_t highest = static_cast<uint32_t>(row.best >> 32);
    bool needs_mass = !row.keeps_k() && options.top_p < 1;
    if (row.in_order_of_ids() && options.min_p <= 0) return draw_by_id(row, shared, point);
    double all_mass = needs_mass ? share_above(row, 0, shared).mass : 0;
    // Below `low` is too much to sort, above `high` too little to be sure. The first guess: 6 units of logit below the
    // largest after temperature (weight 2e-3), or what min-p leaves, a little more against rounding.
    double distance = options.min_p > 0 && !row.keeps_k() && !needs_mass ? 1e-3 - log(options.min_p) : 6.0;
    uint32_t low = 0, high = highest;
    uint32_t threshold = ordered_key(row.largest() - static_cast<float>(distance / options.inverse_temperature));
    for (int attempt = 0; attempt < 40; attempt++) {
        uint32_t count = collect(row, threshold, shared);
        bool enough = true;
        if (row.keeps_k()) {
            enough = count >= static_cast<uint32_t>(options.top_k);
        } else if (needs_mass) {
            enough = share_above(row, threshold, shared).mass >= options.top_p * all_mass * (1 + 1e-6);
        }
        if (enough && count <= most_candidates) return draw_collected(row, shared, count, all_mass, point);
        if (enough) {
            // All that could be dropped is needed: min-p alone has one threshold.
            if (!row.keeps_k() && !needs_mass) break;
            low = max(low, threshold);
        } else {
            high = threshold;
            if (count > most_candidates) break;
        }
        if (high <= low + 1) break;
        distance *= 2;
        uint32_t lower = ordered_key(row.largest() - static_cast<float>(distance / options.inverse_temperature));
        threshold = low == 0 && lower < high && lower != ~0u ? lower : low + (high - low) / 2;
    }
    return row.in_order_of_ids() ? draw_by_id(row, shared, point) : draw_by_rank(row, shared, point);
}

CRUMB_KERNEL __launch_bounds__(CRUMB_SAMPLE_THREADS) sample_f32(const __grid_constant__ crumb_sample_args a) {
    __shared__ SampleShared shared;
    wait_for_previous();
    release_next();
    uint32_t m = blockIdx.x;
    if (a.choice.positions[m] < 0) return;
    SampleRow row = {a.logits + static_cast<size_t>(m) * a.vocabulary, a.vocabulary, a.options[m], 0};
    uint32_t *seen = a.seen + static_cast<size_t>(m) * ((a.vocabulary + 31) / 32);
    row.best = penalize(row, seen, shared);
    int token = ranked_token(row.best);
    if (row.options.inverse_temperature > 0 && token >= 0) {
        if (threadIdx.x == 0) {
            shared.point = next_uniform(row.options.random);
            for (int i = 0; i < 4; i++) a.options[m].random[i] = row.options.random[i];
        }
        __syncthreads();
        token = sample(row, shared, shared.point);
    }
    if (threadIdx.x != 0) return;
    if (token >= 0 && row.options.repetition_penalty != 1) seen[token / 32] |= 1u << token % 32;
    publish_choice(a.choice, m, token);
}
