// What the quantizing kernels share: the grid of levels, and where a group stands.
#pragma once

#include "crumb_quantize_kernels.h"
#include "device.cuh"

#define CRUMB_QUANTIZE_KERNEL CRUMB_KERNEL __launch_bounds__(CRUMB_QUANTIZE_THREADS)

// The level nearest to x: one of -top, -top + 1, ... top, where top is half an odd number.
CRUMB_INLINE float nearest_level(float x, float top) { return rintf(fminf(fmaxf(x, -top), top) - 0.5f) + 0.5f; }

// A positive number rounded to half precision, kept away from zero so that it can be divided by.
CRUMB_INLINE float rounded_scale(float value) {
    return fmaxf(half_value(half_bits(fminf(value, 65504.0f))), 5.9604645e-8f);
}

struct quantize_place {
    uint32_t item, row;
};

// Of a thread in a grid of ceil(N / threads) x items blocks; rows of N and above have no work.
CRUMB_INLINE quantize_place place_in_grid(uint32_t rows) {
    const uint32_t blocks = (rows + CRUMB_QUANTIZE_THREADS - 1) / CRUMB_QUANTIZE_THREADS;
    return {blockIdx.x / blocks, blockIdx.x % blocks * CRUMB_QUANTIZE_THREADS + threadIdx.x};
}

struct quantize_group {
    uint32_t index, first; // its first position
    uint32_t slot;         // of its row scales
    float top;

    CRUMB_INLINE quantize_group(const crumb_quantize_matrix &matrix, uint32_t index)
        : index(index), first(index * CRUMB_GROUP) {
        const bool four = first % matrix.segment_channels < matrix.four_bit_channels;
        set(matrix, four);
    }

    // The group as row `row` has it.
    CRUMB_INLINE quantize_group(const crumb_quantize_matrix &matrix, uint32_t index, uint32_t row)
        : quantize_group(matrix, index) {
        if (matrix.wide) set(matrix, matrix.wide[static_cast<size_t>(index) * matrix.rows + row]);
    }

private:
    CRUMB_INLINE void set(const crumb_quantize_matrix &matrix, bool four) {
        slot = first / matrix.segment_channels * 2 + (four ? 0 : 1);
        top = four ? 7.5f : matrix.narrow_top;
    }
};

// The place of channel `channel` of a group, row `row`, in a [P][N] array.
CRUMB_INLINE size_t place_of(const crumb_quantize_matrix &matrix, const quantize_group &group, uint32_t channel, uint32_t row) {
    return static_cast<size_t>(group.first + channel) * matrix.rows + row;
}

// The scale code, 1 ... 16, with the smallest sum of importance x (target - q)^2 at nearest levels; outliers do not count.
CRUMB_INLINE float best_scale_code(
    const float (&targets)[CRUMB_GROUP], uint32_t outliers, const float *importance, float row_scale, float top) {
    float lowest = INFINITY, best = CRUMB_SCALE_BIAS;
    for (int code = CRUMB_SCALE_BIAS; code < CRUMB_SCALE_BIAS + 16; code++) {
        const float scale = row_scale * static_cast<float>(code), inverse = 1 / scale;
        float error = 0;
#pragma unroll
        for (int channel = 0; channel < CRUMB_GROUP; channel++) {
            const float lost = targets[channel] - scale * nearest_level(targets[channel] * inverse, top);
            if (!(outliers >> channel & 1)) error += importance[channel] * lost * lost;
        }
        if (error < lowest) lowest = error, best = static_cast<float>(code);
    }
    return best;
}

// Likewise a scale of the group's own, in half precision.
CRUMB_INLINE float best_own_scale(const float (&targets)[CRUMB_GROUP], uint32_t outliers, const float *importance, float top) {
    float largest = 0;
#pragma unroll
    for (int channel = 0; channel < CRUMB_GROUP; channel++) {
        if (!(outliers >> channel & 1)) largest = fmaxf(largest, fabsf(targets[channel]));
    }
    // As crumb_quantize_scales_args has the trials.
    float lowest = INFINITY, trial = 1.08f * largest / top, best = rounded_scale(trial);
    for (int i = 0; i < CRUMB_QUANTIZE_TRIALS; i++, trial *= 0.94f) {
        const float scale = rounded_scale(trial), inverse = 1 / scale;
        float error = 0;
#pragma unroll
        for (int channel = 0; channel < CRUMB_GROUP; channel++) {
            const float lost = targets[channel] - scale * nearest_level(targets[channel] * inverse, top);
            if (!(outliers >> channel & 1)) error += importance[channel] * lost * lost;
        }
        if (error < lowest) lowest = error, best = scale;
    }
    return best;
}

// What stands in `scale_codes` for targets at their nearest levels.
CRUMB_INLINE float best_code(const crumb_quantize_matrix &matrix, const quantize_group &group, const float (&targets)[CRUMB_GROUP],
                             uint32_t outliers, float row_scale) {
    const float *importance = matrix.importance + group.first;
    return matrix.first_order ? best_own_scale(targets, outliers, importance, group.top)
                              : best_scale_code(targets, outliers, importance, row_scale, group.top);
}
