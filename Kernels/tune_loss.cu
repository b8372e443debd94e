// The divergence of the student's next-token distribution from the teacher's, and its gradient; and the gradient of the
// likelihood of labels that the model draws itself. A block a token; tune_likelihood keeps a number for each thread and the
// label in shared memory.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

struct tune_distribution {
    float most, log_sum; // log p = logit - most - log_sum

    // One pass over the logits: each thread's sum is relative to the largest that it has seen.
    CRUMB_INLINE tune_distribution(const float *logits, uint32_t count) {
        float own = -INFINITY, sum = 0;
        for (uint32_t i = threadIdx.x; i < count; i += CRUMB_TUNE_THREADS) {
            const float logit = logits[i], largest = fmaxf(own, logit);
            sum = sum * expf(own - largest) + expf(logit - largest);
            own = largest;
        }
        most = tune_reduce(own, Maximum());
        log_sum = logf(tune_reduce(own == -INFINITY ? 0 : sum * expf(own - most), Sum()));
    }
    CRUMB_INLINE float log_probability(float logit) const { return logit - most - log_sum; }
};

template <typename Element> CRUMB_INLINE void tune_divergence(const crumb_tune_divergence_args &a) {
    const size_t row = static_cast<size_t>(blockIdx.x) * a.vocabulary;
    const tune_distribution student(a.student + row, a.vocabulary), teacher(a.teacher + row, a.vocabulary);
    Element *gradient = static_cast<Element *>(a.gradient) + row;
    float loss = 0;
    for (uint32_t i = threadIdx.x; i < a.vocabulary; i += CRUMB_TUNE_THREADS) {
        const float p = teacher.log_probability(a.teacher[row + i]), q = student.log_probability(a.student[row + i]);
        loss += expf(p) * (p - q);
        gradient[i] = element<Element>(a.weight * (expf(q) - expf(p)));
    }
    loss = tune_reduce(loss, Sum());
    if (threadIdx.x == 0) a.losses[blockIdx.x] = loss;
}

template <typename Element> CRUMB_INLINE void tune_likelihood(const crumb_tune_likelihood_args &a) {
    const float *logits = a.logits + static_cast<size_t>(blockIdx.x) * a.vocabulary;
    const tune_distribution model(logits, a.vocabulary);
    // Each thread sums a run of the vocabulary; the first one goes through the sums, and then through one run.
    float *sums = tune_row();
    const uint32_t share = (a.vocabulary + CRUMB_TUNE_THREADS - 1) / CRUMB_TUNE_THREADS;
    float sum = 0;
    for (uint32_t i = threadIdx.x * share; i < min((threadIdx.x + 1) * share, a.vocabulary); i++) {
        sum += expf(model.log_probability(logits[i]));
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    uint32_t &label = *reinterpret_cast<uint32_t *>(sums + CRUMB_TUNE_THREADS);
    if (threadIdx.x == 0) {
        float left = a.draws[blockIdx.x];
        uint32_t run = 0;
        while (run + 1 < CRUMB_TUNE_THREADS && (run + 1) * share < a.vocabulary && left >= sums[run]) left -= sums[run++];
        const uint32_t last = min((run + 1) * share, a.vocabulary) - 1;
        for (label = run * share; label < last; label++) {
            left -= expf(model.log_probability(logits[label]));
            if (left < 0) break;
        }
    }
    __syncthreads();
    Element *gradient = static_cast<Element *>(a.gradient) + static_cast<size_t>(blockIdx.x) * a.vocabulary;
    for (uint32_t i = threadIdx.x; i < a.vocabulary; i += CRUMB_TUNE_THREADS) {
        const float q = expf(model.log_probability(logits[i]));
        gradient[i] = element<Element>(q - (i == label ? 1.0f : 0.0f));
    }
}

CRUMB_TUNE_KERNEL(divergence, crumb_tune_divergence_args)
CRUMB_TUNE_KERNEL(likelihood, crumb_tune_likelihood_args)
