// The CPU kernels of Crumb: what is worth writing for each instruction set, and nothing else.
//
// Letters: M tokens, N output features (rows of W), K input features (channels). y = x W^T. All matrices are
// row-major; `ld...` is the distance of two rows in elements.
//
// Every kernel exists at the levels below and is chosen at run time. A kernel works on the caller's memory alone: it
// allocates nothing, knows no threads and keeps no state, so several threads may call it on disjoint outputs.
// Pointers need the alignment of their element only (records, codes and scratch: none), but 64 bytes is fastest.
// Shapes are trusted: whoever loads a file checks them once.
#ifndef CRUMB_SIMD_H
#define CRUMB_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crumb_packed.h"

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

// MARK: levels and types

/// Instruction sets, in rising order.
typedef enum {
    CRUMB_PORTABLE = 0, // plain C, any machine
    CRUMB_AVX2 = 1,     // x86-64 with AVX2, FMA, F16C
    CRUMB_AVX512 = 2,   // AVX-512 F, BW, VL, DQ, VNNI
} crumb_level;

/// The level in use. At first the best one of this machine.
crumb_level crumb_simd_level(void);

/// The best level this machine has.
crumb_level crumb_simd_best_level(void);

/// Forces a level, for tests and measurements; one that the machine lacks is lowered. Returns the level now in use.
/// Process wide: not while kernels run elsewhere.
crumb_level crumb_set_simd_level(crumb_level level);

/// How the elements of a dense matrix are stored: plain numbers and the block types of GGUF.
typedef enum {
    CRUMB_F32,
    CRUMB_F16,
    CRUMB_BF16,
    CRUMB_Q4_0,
    CRUMB_Q4_1,
    CRUMB_Q5_0,
    CRUMB_Q5_1,
    CRUMB_Q8_0,
    CRUMB_Q2_K,
    CRUMB_Q3_K,
    CRUMB_Q4_K,
    CRUMB_Q5_K,
    CRUMB_Q6_K,
} crumb_type;

/// Weights in one block of the type: 1, 32 or 256.
size_t crumb_block_weights(crumb_type type);

/// Bytes of one block of the type.
size_t crumb_block_bytes(crumb_type type);

/// `count` weights (a multiple of the block) to fp32.
void crumb_dequantize_row(crumb_type type, const void *source, float *destination, size_t count);

// MARK: packed 2/4/16-bit matrices, M = 1

/// Bytes of a prepared input of a packed matrix.
size_t crumb_packed_input_bytes(const crumb_packed_shape *shape);

/// Makes the input of `crumb_packed_gemv` from `x` (K values in source order): puts it into the matrix's channel
/// order, keeps it in fp32 for the outliers, and rounds it to int8 in groups of 32 channels (absmax / 127).
/// `order` has segments x segment_channels entries, each below K or CRUMB_PADDING_CHANNEL.
/// `out`: crumb_packed_input_bytes(shape), to be read by kernels of any level.
void crumb_prepare_packed_input(const crumb_packed_shape *shape, const uint16_t *order, const float *x, void *out);

/// y[n] = or += row n of W . x for the rows n of the row tiles first_tile ..< last_tile, below N.
/// `records`: all records of the matrix, segment by segment. `y`: N values (the pointer is that of row 0).
/// Moves record_bytes x segments for each row tile; meant to be limited by memory.
void crumb_packed_gemv(
    const crumb_packed_shape *shape, const void *records, size_t first_tile, size_t last_tile, const void *prepared,
    float *y, bool accumulate);

// MARK: matrix products, any M
//
// W is expanded to fp32, 32 output features at a time, into a *panel* P[k][32] of at most CRUMB_PANEL_DEPTH channels,
// and multiplied with X. An output is one chain of fused multiply-adds over k within a panel, and the panels'
// sums are added in order: its bits depend neither on M nor on how rows are spread over threads.
//
// For weights, X is first cut into *slabs*: 12 tokens, channel by channel, S[slab][k][12], the last slab padded with
// zeros. One set of slabs serves every row tile of every matrix with the same input (and channel order). The panels of
// CRUMB_GEMM_TILES row tiles are expanded together and meet each slab in turn, so X is read from memory once for all
// of them; give each call that many tiles where there are enough for all threads.

enum {
    CRUMB_PANEL_WIDTH = 32,
    CRUMB_PANEL_DEPTH = 256,
    CRUMB_SLAB_TOKENS = 12,
    CRUMB_GEMM_TILES = 8,
};

/// Floats of the slabs of X (M, channels): ceil(M / 12) x 12 x channels.
size_t crumb_slab_floats(size_t m, size_t channels);

/// Cuts X (M, K) into slabs; fills slabs first_slab ..< last_slab of the ceil(M / 12).
/// With `order` (segments x segment_channels = `channels` entries, as for packed matrices) channel k of the slabs is
/// channel order[k] of X, zero for padding; with NULL, channels = K and nothing moves.
void crumb_fill_slabs(
    const float *x, size_t ldx, size_t m, size_t channels, const uint16_t *_Nullable order, size_t first_slab,
    size_t last_slab, float *slabs);

/// Bytes of scratch memory of one thread for the products and panels below.
size_t crumb_gemm_scratch_bytes(void);

/// y[0 ..< M][32 first_tile ..< 32 last_tile, below N] = or += X W^T for a packed matrix.
/// `slabs`: of X in the matrix's channel order. `y`: (M, ldy), the pointer is that of output feature 0.
void crumb_gemm_packed(
    const crumb_packed_shape *shape, const void *records, size_t first_tile, size_t last_tile, const float *slabs,
    size_t m, void *scratch, float *y, size_t ldy, bool accumulate);

/// The same for a dense matrix W (N, K) of any type with rows `row_bytes` apart; `slabs` without order.
void crumb_gemm_dense(
    crumb_type type, const void *w, size_t row_bytes, size_t n, size_t k, size_t first_tile, size_t last_tile,
    const float *slabs, size_t m, void *scratch, float *y, size_t ldy, bool accumulate);

/// The same for grouped 8- or 4-bit rows (see below); `slabs` without order.
void crumb_gemm_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t n, size_t k, size_t first_tile, size_t last_tile,
    const float *slabs, size_t m, void *scratch, float *y, size_t ldy, bool accumulate);

/// y[0 ..< M][0 ..< width] = or += X P with X (M, depth) row-major as it is and any panel P[depth][32], width <= 32.
void crumb_gemm_panel(
    const float *x, size_t ldx, size_t m, const float *panel, size_t depth, float *y, size_t ldy, size_t width,
    bool accumulate);

/// Panel of a packed matrix: P[k][j] = W[32 tile + j][first_channel + k] in the matrix's channel order, k < depth,
/// outliers included. The channels lie in one segment; first_channel and depth are multiples of 32.
void crumb_fill_panel_packed(
    const crumb_packed_shape *shape, const void *records, size_t tile, size_t first_channel, size_t depth,
    float *panel);

/// Panel of dense rows: P[k][j] = row j at channel first_channel + k, zero for j >= width.
/// `rows`: row 0 of the panel, others `row_bytes` apart. Block types: first_channel and depth in whole blocks.
/// `scratch`: crumb_gemm_scratch_bytes() for block types, may be NULL for plain ones. Also makes the panel of Q K^T:
/// rows are keys, channels the head's.
void crumb_fill_panel_dense(
    crumb_type type, const void *rows, size_t row_bytes, size_t width, size_t first_channel, size_t depth,
    void *_Nullable scratch, float *panel);

/// Panel from grouped 8- or 4-bit rows; `codes` and `scales` are those of row 0 of the panel.
void crumb_fill_panel_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t k, size_t width, size_t first_channel, size_t depth,
    void *scratch, float *panel);

/// Panel from a half precision matrix that is already (depth, width): P[k][j] = source[k * stride + j], zero for
/// j >= width. Makes the panel of P V: k runs over keys, j over 32 of the head's channels.
void crumb_fill_panel_halves(const uint16_t *source, size_t stride, size_t width, size_t depth, float *panel);

// MARK: dense rows, M = 1

/// y[n] = or += row n of W . x for first_row <= n < last_row; W (N, K) with rows `row_bytes` apart.
void crumb_gemv_dense(
    crumb_type type, const void *w, size_t row_bytes, size_t first_row, size_t last_row, size_t k, const float *x,
    float *y, bool accumulate);

// MARK: grouped 8 and 4 bits
//
// Embedding and output head: codes int8 (N, K), or nibbles (N, K / 2) with value = nibble - 8 and the even channel in
// the low nibble; scales half precision (N, K / 32); weight = scale x value. K is a multiple of 32.

/// One row to fp32; `codes` and `scales` are the row's.
void crumb_dequantize_grouped_row(int bits, const void *codes, const uint16_t *scales, float *destination, size_t k);

/// Bytes of a prepared input of a grouped matrix.
size_t crumb_grouped_input_bytes(int bits, size_t k);

/// Rounds x (K) to int8 in groups of 32 channels and lays it out for `crumb_gemv_grouped` with the same `bits`.
void crumb_prepare_grouped_input(int bits, const float *x, size_t k, void *out);

/// y[n] = or += row n . x for first_row <= n < last_row.
void crumb_gemv_grouped(
    int bits, const void *codes, const uint16_t *scales, size_t first_row, size_t last_row, size_t k,
    const void *prepared, float *y, bool accumulate);

// MARK: elementwise and attention

/// out[i] = x[i] / sqrt(mean(x^2) + epsilon) x weight[i]. `out` may be `x`.
void crumb_rmsnorm(const float *x, const float *weight, size_t count, float epsilon, float *out);

/// out[i] = silu(gate[i]) x up[i], silu(a) = a / (1 + exp(-a)). `out` may be either input.
void crumb_silu_multiply(const float *gate, const float *up, size_t count, float *out);

/// out[i] = exp(x[i]), relative error below 4e-7; 0 below -87.3, infinity above 88.7. `out` may be `x`.
void crumb_exp(const float *x, size_t count, float *out);

/// x = softmax(scale x x), in place; scale > 0. Needs one finite value.
void crumb_softmax(float *x, size_t count, float scale);

/// y += x.
void crumb_add(float *y, const float *x, size_t count);

/// y += a x.
void crumb_add_scaled(float *y, float a, const float *x, size_t count);

/// Inner product.
float crumb_dot(const float *a, const float *b, size_t count);

/// Sum of a^2 in double precision, for norms and statistics.
double crumb_sum_of_squares(const float *a, size_t count);

/// To half precision, to nearest even; too large becomes infinity.
void crumb_to_half(const float *x, size_t count, uint16_t *out);

/// From half precision, exact.
void crumb_from_half(const uint16_t *x, size_t count, float *out);

/// out[j] = q . key j for j < count; q fp32 (d), key j in half precision at keys + j * stride.
void crumb_attention_scores(const float *q, const uint16_t *keys, size_t stride, size_t count, size_t d, float *out);

/// out[i] = sum over j < count of weights[j] x value j [i], i < d; value j in half precision at values + j * stride.
void crumb_attention_values(
    const float *weights, const uint16_t *values, size_t stride, size_t count, size_t d, float *out);

// MARK: measurement

/// Reads the buffer once with the widest loads and returns a sum of it; time it to learn the read bandwidth.
uint64_t crumb_read_bandwidth(const void *buffer, size_t bytes);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
