// A step of Adam (arXiv 1412.6980) on a quantized matrix's latent weights and scales, and on plain numbers.
//
// tune_step: a block a row, a warp a group of 32 channels; a row of fp32 in shared memory, for the row's gradient in
// the source's order of channels and then for its weights. Bytes a weight: 12 read and written, 4 of gradient, 2 written.
// targets: sm_80 sm_90a compute_90
#include "include/quantize.cuh"
#include "include/tune.cuh"

struct tune_mean {
    float &first, &second;
    // How far to go, in units of the rate.
    CRUMB_INLINE float step(const crumb_tune_adam &adam, float gradient) {
        first = adam.first_decay * first + (1 - adam.first_decay) * gradient;
        second = adam.second_decay * second + (1 - adam.second_decay) * gradient * gradient;
        const float size = sqrtf(second * adam.second_correction);
        return size > 0 ? first * adam.first_correction / size : 0;
    }
};

// A group's scale, rounded to what the format holds.
CRUMB_INLINE float tune_scale(float scale, float row_scale) {
    return row_scale > 0 ? row_scale * fminf(fmaxf(rintf(scale / row_scale), 1), 16) : 0;
}

template <typename Element> CRUMB_INLINE void tune_step(const crumb_tune_step_args &a) {
    float *row = tune_row();
    const uint32_t lane = threadIdx.x % 32, groups = a.positions / 32;
    const uint32_t segments = a.positions / a.segment_channels;
    const bool moves = a.gradient != nullptr;
    if (moves) {
        const float *gradient = a.gradient + static_cast<size_t>(blockIdx.x) * a.columns;
        for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) row[k] = gradient[k];
    }
    __syncthreads();
    for (uint32_t group = threadIdx.x / 32; group < groups; group += tune_warps) {
        const uint32_t position = 32 * group + lane, segment = 32 * group / a.segment_channels;
        const bool four = 32 * group % a.segment_channels < a.four_bit_channels;
        const float top = four ? 7.5f : 1.5f;
        const size_t of_group = static_cast<size_t>(blockIdx.x) * groups + group, own = of_group * 32 + lane;
        const float row_scale = a.row_scales[(blockIdx.x * segments + segment) * 2 + (four ? 0 : 1)];
        const bool is_outlier = a.outliers[of_group] >> lane & 1;
        const uint32_t channel = a.order[position];
        const bool is_padding = channel == CRUMB_PADDING_CHANNEL;
        float latent = a.latents[own], latent_scale = a.scales[of_group];
        float scale = tune_scale(latent_scale, row_scale);
        if (moves && scale > 0) {
            const float gradient = is_padding ? 0 : row[channel], x = latent / scale, level = nearest_level(x, top);
            const bool inside = fabsf(x) <= top + 0.5f;
            float share = is_outlier ? 0 : gradient * (inside ? level - x : level);
            share = warp_reduce(share, Sum());
            tune_mean mean{a.first[own], a.second[own]};
            latent -= a.code_rate * scale * mean.step(a.adam, is_outlier || inside ? gradient : 0);
            float first = a.scale_first[of_group], second = a.scale_second[of_group];
            latent_scale -= a.scale_rate * scale * tune_mean{first, second}.step(a.adam, share);
            latent_scale = fminf(fmaxf(latent_scale, row_scale), 16 * row_scale);
            scale = tune_scale(latent_scale, row_scale);
            a.latents[own] = latent;
            if (lane == 0) a.scale_first[of_group] = first, a.scale_second[of_group] = second;
            if (lane == 0) a.scales[of_group] = latent_scale;
        }
        // Each channel is one thread's: its gradient has been read.
        if (!is_padding) row[channel] = is_outlier || !(scale > 0) ? latent : scale * nearest_level(latent / scale, top);
    }
    __syncthreads();
    Element *weights = static_cast<Element *>(a.weights) + static_cast<size_t>(blockIdx.x) * a.columns;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) weights[k] = element<Element>(row[k]);
}

CRUMB_TUNE_KERNEL(step, crumb_tune_step_args)

CRUMB_KERNEL __launch_bounds__(CRUMB_TUNE_THREADS) tune_adam(const __grid_constant__ crumb_tune_adam_args a) {
    const uint32_t i = blockIdx.x * CRUMB_TUNE_THREADS + threadIdx.x;
    if (i >= a.count) return;
    a.values[i] -= a.rate * tune_mean{a.first[i], a.second[i]}.step(a.adam, a.gradient[i]);
}
