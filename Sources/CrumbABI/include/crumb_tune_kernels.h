// Argument structs of the kernels that tune a quantized model, shared by Swift and CUDA. Letters: M tokens, N output
// features, K input features, D head dimension, L tokens of a text: M is a whole number of texts. `Element` is bf16, or
// fp32 in the kernels that gradients are checked with.
#ifndef CRUMB_TUNE_KERNELS_H
#define CRUMB_TUNE_KERNELS_H

#include "crumb_kernels.h"

enum {
    CRUMB_TUNE_THREADS = 256,
    CRUMB_TUNE_SCRATCH_BYTES = 32, // at the start of a block's dynamic shared memory
    // Blocks whose partial sums of a norm's gradient are added afterwards, and parts of the tokens for a bias's:
    // numbers that do not depend on the card, so that neither do the sums.
    CRUMB_TUNE_NORM_BLOCKS = 512,
    CRUMB_TUNE_BIAS_PARTS = 16,
};

// output = input x scale x weight, scale = 1 / sqrt(mean(input^2) + epsilon).
typedef struct {
    CRUMB_DEVICE(const float) input;  // [M][K]
    CRUMB_DEVICE(const float) weight; // [K]
    CRUMB_DEVICE(void) output;        // Element [M][K]
    CRUMB_DEVICE(float) scales;       // [M]
    uint32_t columns;
    float epsilon;
} crumb_tune_norm_args;

// stream_gradient += d input, partials = shares of d weight, from the gradient of the output; narrow = stream_gradient.
typedef struct {
    CRUMB_DEVICE(const float) input;     // [M][K]
    CRUMB_DEVICE(const float) weight;    // [K]
    CRUMB_DEVICE(const float) scales;    // [M]
    CRUMB_DEVICE(const void) gradient;   // Element [M][K]
    CRUMB_DEVICE(float) stream_gradient; // [M][K]
    CRUMB_DEVICE(void) narrow;           // Element [M][K]
    CRUMB_DEVICE(float) partials;        // [CRUMB_TUNE_NORM_BLOCKS][K]
    uint32_t tokens;
    uint32_t columns;
} crumb_tune_norm_backward_args;

// output[p] = sums of the columns over the p-th share of the rows.
typedef struct {
    CRUMB_DEVICE(const void) input; // Element or fp32 [rows][columns]
    CRUMB_DEVICE(float) output;     // [parts][columns]
    uint32_t rows;
    uint32_t columns;
    uint32_t parts;
    uint32_t reserved;
} crumb_tune_column_sums_args;

// Queries, keys and values of each head one after the other, queries and keys rotated; or, backward, their gradients
// back.
typedef struct {
    CRUMB_DEVICE(void) rows;               // Element [M][(heads + 2 x kv heads) x D]
    CRUMB_DEVICE(const float) bias;        // [(heads + 2 x kv heads) x D], nullable; not backward
    CRUMB_DEVICE(const float) frequencies; // [D / 2]
    CRUMB_DEVICE(void) queries;            // Element [texts][heads][L][D]
    CRUMB_DEVICE(void) keys;               // Element [texts][kv heads][L][D]
    CRUMB_DEVICE(void) values;
    uint32_t length; // L
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t backward;
    uint32_t reserved;
} crumb_tune_rope_args;

// [texts][heads][L][D] to [M][heads x D], or back.
typedef struct {
    CRUMB_DEVICE(const void) input;
    CRUMB_DEVICE(void) output;
    uint32_t length;
    uint32_t heads;
    uint32_t head_dim;
    uint32_t to_heads;
} crumb_tune_heads_args;

// probabilities = softmax of scale x scores over positions up to a row's own.
typedef struct {
    CRUMB_DEVICE(const float) scores; // [texts x heads][L][L]
    CRUMB_DEVICE(void) probabilities; // Element, the same shape
    uint32_t length;
    float scale; // 1 / sqrt(D)
} crumb_tune_softmax_args;

// The gradient of the probabilities becomes that of queries x keys.
typedef struct {
    CRUMB_DEVICE(const float) gradient;     // [texts x heads][L][L]
    CRUMB_DEVICE(const void) probabilities; // Element
    CRUMB_DEVICE(void) output;              // Element
    uint32_t length;
    float scale;
} crumb_tune_softmax_backward_args;

// output = silu(gate) x up; backward: gate_up becomes its own gradient.
typedef struct {
    CRUMB_DEVICE(void) gate_up; // Element [M][2 x features]
    CRUMB_DEVICE(void) output;  // Element [M][features]; backward: its gradient
    uint32_t features;
    uint32_t backward;
} crumb_tune_silu_args;

// losses[m] = sum over the vocabulary of p log(p / q), p of the teacher's logits, q of the student's; and the gradient
// of weight x loss by the student's logits.
typedef struct {
    CRUMB_DEVICE(const float) student; // [M][vocabulary]
    CRUMB_DEVICE(const float) teacher; // [M][vocabulary]
    CRUMB_DEVICE(void) gradient;       // Element [M][vocabulary]
    CRUMB_DEVICE(float) losses;        // [M]
    uint32_t vocabulary;
    float weight;
} crumb_tune_divergence_args;

// The gradient of -log q(label) by the logits, for labels drawn from q itself: the first token at which the sum of q
// from the vocabulary's beginning on passes draws[m].
typedef struct {
    CRUMB_DEVICE(const float) logits; // [M][vocabulary]
    CRUMB_DEVICE(const float) draws;  // [M]: 0 ... 1
    CRUMB_DEVICE(void) gradient;      // Element [M][vocabulary]
    uint32_t vocabulary;
    uint32_t reserved;
} crumb_tune_likelihood_args;

// output[m] = sum over features first ... first + count of gradient[m]^2.
typedef struct {
    CRUMB_DEVICE(const void) gradient; // Element [M][columns]
    CRUMB_DEVICE(float) output;        // [M]
    uint32_t columns;
    uint32_t first;
    uint32_t count;
    uint32_t reserved;
} crumb_tune_row_squares_args;

// output[k] += sum over rows of input[row][k]^2.
typedef struct {
    CRUMB_DEVICE(const void) input; // Element [rows][K]
    CRUMB_DEVICE(float) output;     // [K]
    uint32_t rows;
    uint32_t columns;
} crumb_tune_channel_squares_args;

// What Adam is told at a step.
typedef struct {
    float first_decay;
    float second_decay;
    float first_correction;  // 1 / (1 - first_decay^step)
    float second_correction; // 1 / (1 - second_decay^step)
} crumb_tune_adam;

// A step of a quantized matrix's numbers, and its weights anew.
//
// A weight is a latent number w that is rounded to the grid of its group, scale x level; an outlier is w itself. The
// gradient of the rounded weight is taken for that of w where w lies within the grid (straight-through), and for the
// scale's as sum of gradient x (level - w / scale), or x level outside (learned step size, arXiv 1902.08153). A group's
// scale is a latent number too, rounded to row scale x (1 ... 16).
typedef struct {
    CRUMB_DEVICE(float) latents; // [N][positions]
    CRUMB_DEVICE(float) first;   // Adam's means, of the gradient and of its square
    CRUMB_DEVICE(float) second;
    CRUMB_DEVICE(float) scales; // [N][positions / 32]
    CRUMB_DEVICE(float) scale_first;
    CRUMB_DEVICE(float) scale_second;
    CRUMB_DEVICE(const float) row_scales;  // [N][segments][2]: 4-bit region, 2-bit region
    CRUMB_DEVICE(const uint32_t) outliers; // [N][positions / 32]: bit c for channel c of the group
    CRUMB_DEVICE(const uint16_t) order;    // [positions]
    CRUMB_DEVICE(const float) gradient;    // [N][K]; null: nothing but the rounding is done
    CRUMB_DEVICE(void) weights;            // Element [N][K]
    uint32_t columns;                      // K
    uint32_t positions;
    uint32_t segment_channels;
    uint32_t four_bit_channels;
    // Of a step: in units of the weight's scale; in units of the scale itself.
    float code_rate;
    float scale_rate;
    crumb_tune_adam adam;
} crumb_tune_step_args;

// A step of plain numbers.
typedef struct {
    CRUMB_DEVICE(float) values; // [count]
    CRUMB_DEVICE(float) first;
    CRUMB_DEVICE(float) second;
    CRUMB_DEVICE(const float) gradient;
    uint32_t count;
    float rate;
    crumb_tune_adam adam;
} crumb_tune_adam_args;

#endif
