// Elementwise kernels, and the streaming read that measures the memory.
#include "lanes.h"

#define CRUMB_BODY "elementwise_body.h"
#include "each_level.h"

void crumb_rmsnorm(const float *x, const float *weight, size_t count, float epsilon, float *out) {
    CRUMB_PICK(rmsnorm)(x, weight, count, epsilon, out);
}

void crumb_silu_multiply(const float *gate, const float *up, size_t count, float *out) {
    CRUMB_PICK(silu_multiply)(gate, up, count, out);
}

void crumb_exp(const float *x, size_t count, float *out) { CRUMB_PICK(exp_row)(x, count, out); }

void crumb_softmax(float *x, size_t count, float scale) { CRUMB_PICK(softmax)(x, count, scale); }

void crumb_add(float *y, const float *x, size_t count) { CRUMB_PICK(add_scaled)(y, 1, x, count); }

void crumb_add_scaled(float *y, float a, const float *x, size_t count) { CRUMB_PICK(add_scaled)(y, a, x, count); }

float crumb_dot(const float *a, const float *b, size_t count) { return CRUMB_PICK(dot)(a, b, count); }

double crumb_sum_of_squares(const float *a, size_t count) { return CRUMB_PICK(sum_of_squares)(a, count); }

void crumb_to_half(const float *x, size_t count, uint16_t *out) { CRUMB_PICK(to_half)(x, count, out); }

void crumb_from_half(const uint16_t *x, size_t count, float *out) { CRUMB_PICK(from_half)(x, count, out); }

uint64_t crumb_read_bandwidth(const void *buffer, size_t bytes) { return CRUMB_PICK(read)(buffer, bytes); }
