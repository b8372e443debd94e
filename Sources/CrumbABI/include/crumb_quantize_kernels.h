// Argument structs of the kernels that quantize matrices, shared by Swift and CUDA. They do what CrumbQuant does on the
// CPU, step by step, with the same formulas; sums come in other orders. Letters: N rows, P positions (permuted
// channels, padding included), K source channels. Arrays of a matrix are channel-major, so that neighbouring threads,
// which take neighbouring rows, touch neighbouring numbers.
#ifndef CRUMB_QUANTIZE_KERNELS_H
#define CRUMB_QUANTIZE_KERNELS_H

#include "crumb_kernels.h"

enum {
    CRUMB_QUANTIZE_THREADS = 128,
    CRUMB_QUANTIZE_TRIALS = 20, // scales tried for a group
    // Rows and columns of the blocks in which H is factorized.
    CRUMB_QUANTIZE_FACTOR_BLOCK = 64,
    CRUMB_QUANTIZE_PARTIALS = 512, // of a sum over a matrix
};

// A matrix in work.
typedef struct {
    CRUMB_DEVICE(const float) weights;    // [P][N], zero for padding
    CRUMB_DEVICE(float) quantized;        // [P][N]: what the numbers below stand for
    CRUMB_DEVICE(float) levels;           // [P][N]: -7.5 ... 7.5 or -1.5 ... 1.5
    CRUMB_DEVICE(uint32_t) outliers;      // [P / 32][N]: bit c for channel c of the group
    CRUMB_DEVICE(float) scale_codes;      // [P / 32][N]: 1 ... 16; first-order scales themselves where there are those
    CRUMB_DEVICE(float) row_scales;       // [segments][2][N]: 4-bit region, 2-bit region
    CRUMB_DEVICE(const float) importance; // [P]: D of the factor; zero for padding
    // The rest as CrumbQuant's StorageVariant has it.
    CRUMB_DEVICE(const uint8_t) wide; // [P / 32][N], nullable: 1 where a row's group has 4 bits, whatever its channels
    uint32_t rows;
    uint32_t positions;
    uint32_t segment_channels;
    uint32_t four_bit_channels;
    float narrow_top;     // largest level of a group without 4 bits
    uint32_t first_order; // whether a group's scale is its own number; row scales are 1 then
} crumb_quantize_matrix;

// scaled = input x |input|^(-compression) x sqrt(weight), token by token.
typedef struct {
    CRUMB_DEVICE(const float) input;   // [M][K]
    CRUMB_DEVICE(const float) weights; // [M], nullable: all 1
    CRUMB_DEVICE(float) scaled;        // [M][K]
    uint32_t columns;
    float compression;
} crumb_quantize_compress_args;

// diagonal[k] = hessian[k][k]
typedef struct {
    CRUMB_DEVICE(const float) hessian; // [K][K]
    CRUMB_DEVICE(float) diagonal;      // [K]
    uint32_t columns;
    uint32_t reserved;
} crumb_quantize_diagonal_args;

// H in the order of a matrix, shrunk to its diagonal and damped; and the same from the last position to the first.
typedef struct {
    CRUMB_DEVICE(const float) hessian;  // [K][K]
    CRUMB_DEVICE(const uint16_t) order; // [P]
    CRUMB_DEVICE(float) permuted;       // [P][P]
    CRUMB_DEVICE(float) reversed;       // [P][P]
    uint32_t columns;
    uint32_t positions;
    float keep;    // 1 - shrinkage, of what is not on the diagonal
    float damping; // added to the diagonal
    float padding; // the diagonal there
    uint32_t reserved;
} crumb_quantize_permute_args;

// The lower Cholesky factor of one block on the diagonal, in place, and its inverse, transposed. One block of threads.
typedef struct {
    CRUMB_DEVICE(float) matrix;   // [P][P]
    CRUMB_DEVICE(float) inverse;  // [factor block][factor block]
    CRUMB_DEVICE(uint32_t) fails; // counts what is not positive
    uint32_t positions;
    uint32_t first;
    uint32_t count; // at most CRUMB_QUANTIZE_FACTOR_BLOCK
    uint32_t reserved;
} crumb_quantize_cholesky_args;

// Copies a panel into the factor: matrix[first_row + i][first_column + j] = panel[i][j].
typedef struct {
    CRUMB_DEVICE(const float) panel; // [rows][columns]
    CRUMB_DEVICE(float) matrix;      // [P][P]
    uint32_t positions;
    uint32_t first_row;
    uint32_t first_column;
    uint32_t rows;
    uint32_t columns;
    uint32_t reserved;
} crumb_quantize_panel_args;

// H = M D M^T from the Cholesky factor of the reversed H: M unit upper triangular.
typedef struct {
    CRUMB_DEVICE(const float) factor;   // [P][P], lower
    CRUMB_DEVICE(const uint16_t) order; // [P]
    CRUMB_DEVICE(float) feedback;       // [P][P]: M
    CRUMB_DEVICE(float) importance;     // [P]: D, zero for padding
    uint32_t positions;
    uint32_t reserved;
} crumb_quantize_unit_args;

// weights[p][n] = source[n][order[p]], zero for padding.
typedef struct {
    CRUMB_DEVICE(const float) source;   // [N][K]
    CRUMB_DEVICE(const uint16_t) order; // [P]
    CRUMB_DEVICE(float) weights;        // [P][N]
    uint32_t rows;
    uint32_t columns;
    uint32_t positions;
    uint32_t reserved;
} crumb_quantize_load_args;

// The best scale of each group among the trials; and, of the widest group of each row and region, the row scale.
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(float) best;  // [P / 32][N]
    CRUMB_DEVICE(float) costs; // [P / 32][N], nullable: importance x (w - q)^2 there
    float trials[CRUMB_QUANTIZE_TRIALS];
} crumb_quantize_scales_args;

// Scale codes of a region's groups for the weights as they are, and the costliest weights of every pool as outliers. A
// block of threads a record and pool.
typedef struct {
    crumb_quantize_matrix matrix;
    uint32_t outliers_per_tile;
    uint32_t pools;    // of a segment
    uint32_t first;    // channel of the region in its segment
    uint32_t channels; // of the region
} crumb_quantize_outliers_args;

// Codes of one group for its targets, channel by channel with error feedback within the group.
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(const float) feedback; // [P][P]: M
    CRUMB_DEVICE(const float) targets;  // [P][N]
    CRUMB_DEVICE(float) errors;         // [32][N]: weight - quantized
    uint32_t group;
    uint32_t feeds; // whether there is feedback
} crumb_quantize_choose_args;

// Scale code, codes and outliers of one group, each set to its best given all others.
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(const float) hessian;  // [P][P]
    CRUMB_DEVICE(const float) gradient; // [P][N]: H (W - Q)
    CRUMB_DEVICE(float) changes;        // [32][N]: of the quantized weights
    uint32_t group;
    uint32_t reserved;
} crumb_quantize_descend_args;

// direction = level x scale code of the weights that move with a region's row scale, [channels of the region][N].
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(float) direction;
    uint32_t first; // position of the region's first channel
    uint32_t count; // channels
    uint32_t slot;  // the region's place in row_scales
    uint32_t reserved;
} crumb_quantize_direction_args;

// Moves a region's row scales to their best: r + (u . G) / (u . H u), u the direction; Q and G follow.
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(const float) direction; // [count][N]
    CRUMB_DEVICE(const float) image;     // [P][N]: H u
    CRUMB_DEVICE(float) gradient;        // [P][N]
    CRUMB_DEVICE(float) steps;           // [N]
    uint32_t first;
    uint32_t count;
    uint32_t slot; // the region's place in row_scales
    uint32_t reserved;
} crumb_quantize_move_args;

// difference = weights - quantized, zero for padding.
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(float) difference;
} crumb_quantize_difference_args;

// partials[i] = the i-th share of the sum of a x b.
typedef struct {
    CRUMB_DEVICE(const float) a;
    CRUMB_DEVICE(const float) b;
    CRUMB_DEVICE(double) partials; // [CRUMB_QUANTIZE_PARTIALS]
    uint64_t count;
} crumb_quantize_dot_args;

typedef struct {
    uint32_t row;
    uint32_t position;
    uint32_t delta; // half precision
} crumb_quantize_outlier;

// The result: codes as bytes, row by row; outliers in any order; and the weights as a reader of the packed matrix gets
// them, in the source's order of channels.
typedef struct {
    crumb_quantize_matrix matrix;
    CRUMB_DEVICE(const uint16_t) order;            // [P]
    CRUMB_DEVICE(uint8_t) codes;                   // [N][P]
    CRUMB_DEVICE(uint8_t) scale_codes;             // [N][P / 32]: 0 ... 15
    CRUMB_DEVICE(crumb_quantize_outlier) outliers; // [capacity]
    CRUMB_DEVICE(uint32_t) count;                  // of outliers; zero before
    CRUMB_DEVICE(float) dense;                     // [N][K]
    uint32_t capacity;
    uint32_t columns;
} crumb_quantize_store_args;

#endif
