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
        const float square = second * adam.second_correction;
        return square > 0 ? first * adam.first_correction * rsqrtf(square) : 0;
    }
};

// A group's scale, rounded to what the format holds; `inverse` is 1 / row_scale.
CRUMB_INLINE float tune_scale(float scale, float row_scale, float inverse) {
    return row_scale > 0 ? row_scale * fminf(fmaxf(rintf(scale * inverse), 1), 16) : 0;
}

// What a lane loads of a group, asked for one group ahead of its use.
struct tune_group {
    size_t index; // of the group in the matrix
    float latent, first, second, row_scale, scale, scale_first, scale_second;
    uint32_t outliers, channel;
    bool four;

    CRUMB_INLINE tune_group(const crumb_tune_step_args &a, uint32_t group, bool moves) {
        const uint32_t lane = threadIdx.x % 32, groups = a.positions / 32, segments = a.positions / a.segment_channels;
        const uint32_t segment = 32 * group / a.segment_channels;
        four = 32 * group % a.segment_channels < a.four_bit_channels;
        index = static_cast<size_t>(blockIdx.x) * groups + group;
        latent = a.latents[index * 32 + lane];
        scale = a.scales[index];
        row_scale = a.row_scales[(blockIdx.x * segments + segment) * 2 + (four ? 0 : 1)];
        outliers = a.outliers[index];
        channel = a.order[32 * group + lane];
        if (!moves) return;
        first = a.first[index * 32 + lane];
        second = a.second[index * 32 + lane];
        scale_first = a.scale_first[index];
        scale_second = a.scale_second[index];
    }
};

template <typename Element> CRUMB_INLINE void tune_step(const crumb_tune_step_args &a) {
    float *row = tune_row();
    const uint32_t lane = threadIdx.x % 32, groups = a.positions / 32, own = threadIdx.x / 32;
    const bool moves = a.gradient != nullptr;
    tune_group next(a, min(own, groups - 1), moves);
    if (moves) {
        const float *gradient = a.gradient + static_cast<size_t>(blockIdx.x) * a.columns;
        for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_TUNE_THREADS) row[k] = gradient[k];
    }
    __syncthreads();
    for (uint32_t group = own; group < groups; group += tune_warps) {
        tune_group now = next;
        next = tune_group(a, min(group + tune_warps, groups - 1), moves);
        const float top = now.four ? 7.5f : 1.5f;
        const bool is_outlier = now.outliers >> lane & 1, is_padding = now.channel == CRUMB_PADDING_CHANNEL;
        const float row_inverse = 1 / now.row_scale;
        float scale = tune_scale(now.scale, now.row_scale, row_inverse), inverse = 1 / scale;
        if (moves && scale > 0) {
            const float gradient = is_padding ? 0 : row[now.channel];
            const float x = now.latent * inverse, level = nearest_level(x, top);
            const bool inside = fabsf(x) <= top + 0.5f;
            float share = is_outlier ? 0 : gradient * (inside ? level - x : level);
            share = warp_reduce(share, Sum());
            tune_mean mean{now.first, now.second}, scale_mean{now.scale_first, now.scale_second};
            now.latent -= a.code_rate * scale * mean.step(a.adam, is_outlier || inside ? gradient : 0);
            now.scale -= a.scale_rate * scale * scale_mean.step(a.adam, share);
            now.scale = fminf(fmaxf(now.scale, now.row_scale), 16 * now.row_scale);
            scale = tune_scale(now.scale, now.row_scale, row_inverse);
            inverse = 1 / scale;
            a.latents[now.index * 32 + lane] = now.latent;
            a.first[now.index * 32 + lane] = now.first;
            a.second[now.index * 32 + lane] = now.second;
            if (lane == 0) {
                a.scales[now.index] = now.scale;
                a.scale_first[now.index] = now.scale_first;
                a.scale_second[now.index] = now.scale_second;
            }
        }
        // Each channel is one thread's: its gradient has been read.
        const bool stays = is_outlier || !(scale > 0);
        if (!is_padding) row[now.channel] = stays ? now.latent : scale * nearest_level(now.latent * inverse, top);
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
