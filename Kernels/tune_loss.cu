// The divergence of the student's next-token distribution from the teacher's, and its gradient; and the gradient of a
// text's own likelihood. A block a token.
// targets: sm_80 sm_90a compute_90
#include "include/tune.cuh"

struct tune_distribution {
    float most, log_sum; // log p = logit - most - log_sum

    CRUMB_INLINE tune_distribution(const float *logits, uint32_t count) {
        most = -INFINITY;
        for (uint32_t i = threadIdx.x; i < count; i += CRUMB_TUNE_THREADS) most = fmaxf(most, logits[i]);
        most = tune_reduce(most, Maximum());
        float sum = 0;
        for (uint32_t i = threadIdx.x; i < count; i += CRUMB_TUNE_THREADS) sum += expf(logits[i] - most);
        log_sum = logf(tune_reduce(sum, Sum()));
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
    const size_t row = static_cast<size_t>(blockIdx.x) * a.vocabulary;
    const tune_distribution model(a.logits + row, a.vocabulary);
    Element *gradient = static_cast<Element *>(a.gradient) + row;
    const int32_t label = a.labels[blockIdx.x];
    for (uint32_t i = threadIdx.x; i < a.vocabulary; i += CRUMB_TUNE_THREADS) {
        const float q = expf(model.log_probability(a.logits[row + i])), hit = static_cast<int32_t>(i) == label ? 1 : 0;
        gradient[i] = element<Element>(label < 0 ? 0 : q - hit);
    }
}

CRUMB_TUNE_KERNEL(divergence, crumb_tune_divergence_args)
CRUMB_TUNE_KERNEL(likelihood, crumb_tune_likelihood_args)
