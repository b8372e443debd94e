// Statistics of a matrix's input and their factorization H = M D M^T; the products in between are cuBLAS's.
//
// quantize_compress: a block a token. quantize_cholesky: one block. The others: a thread a number.
// targets: sm_80 sm_90a compute_80 compute_90
#include "include/quantize.cuh"

constexpr int quantize_warps = CRUMB_QUANTIZE_THREADS / 32;

CRUMB_QUANTIZE_KERNEL quantize_compress(const __grid_constant__ crumb_quantize_compress_args a) {
    __shared__ float scratch[quantize_warps];
    const size_t row = static_cast<size_t>(blockIdx.x) * a.columns;
    float square = 0;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_QUANTIZE_THREADS) square += a.input[row + k] * a.input[row + k];
    square = block_reduce<quantize_warps>(square, scratch, Sum());
    const float weight = a.weights ? sqrtf(a.weights[blockIdx.x]) : 1;
    const float factor = square > 0 ? weight * powf(square, -0.5f * a.compression) : 0;
    for (uint32_t k = threadIdx.x; k < a.columns; k += CRUMB_QUANTIZE_THREADS) a.scaled[row + k] = factor * a.input[row + k];
}

CRUMB_QUANTIZE_KERNEL quantize_diagonal(const __grid_constant__ crumb_quantize_diagonal_args a) {
    const uint32_t k = blockIdx.x * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    if (k < a.columns) a.diagonal[k] = a.hessian[static_cast<size_t>(k) * a.columns + k];
}

CRUMB_QUANTIZE_KERNEL quantize_permute(const __grid_constant__ crumb_quantize_permute_args a) {
    const size_t index = static_cast<size_t>(blockIdx.x) * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    const size_t count = static_cast<size_t>(a.positions) * a.positions;
    if (index >= count) return;
    const uint32_t i = static_cast<uint32_t>(index / a.positions), j = static_cast<uint32_t>(index % a.positions);
    const uint32_t row = a.order[i], column = a.order[j];
    float value = 0;
    if (row != CRUMB_PADDING_CHANNEL && column != CRUMB_PADDING_CHANNEL) {
        const float own = a.hessian[static_cast<size_t>(row) * a.columns + column];
        value = i == j ? own + a.damping : a.keep * own;
    } else if (i == j) {
        value = a.padding;
    }
    a.permuted[index] = value;
    a.reversed[count - 1 - index] = value;
}

// Column by column; a thread has a row of the block, and then a column of the inverse.
CRUMB_QUANTIZE_KERNEL quantize_cholesky(const __grid_constant__ crumb_quantize_cholesky_args a) {
    constexpr int size = CRUMB_QUANTIZE_FACTOR_BLOCK;
    __shared__ float block[size][size + 1], inverse[size][size + 1];
    static_assert(size <= CRUMB_QUANTIZE_THREADS, "a thread a row");
    const uint32_t row = threadIdx.x;
    float *matrix = a.matrix + static_cast<size_t>(a.first) * a.positions + a.first;
    for (uint32_t i = threadIdx.x; i < a.count * a.count; i += CRUMB_QUANTIZE_THREADS) {
        block[i / a.count][i % a.count] = matrix[static_cast<size_t>(i / a.count) * a.positions + i % a.count];
    }
    __syncthreads();
    for (uint32_t column = 0; column < a.count; column++) {
        float sum = 0;
        if (row >= column && row < a.count) {
            for (uint32_t k = 0; k < column; k++) sum += block[row][k] * block[column][k];
            sum = block[row][column] - sum;
        }
        __syncthreads();
        if (row == column) {
            if (!(sum > 0)) atomicAdd(a.fails, 1);
            block[column][column] = sqrtf(sum);
        }
        __syncthreads();
        if (row > column && row < a.count) block[row][column] = sum / block[column][column];
        __syncthreads();
    }
    // Column `row` of the inverse, by substitution.
    if (row < a.count) {
        for (uint32_t i = 0; i < a.count; i++) {
            float sum = i == row ? 1 : 0;
            for (uint32_t k = row; k < i; k++) sum -= block[i][k] * inverse[k][row];
            inverse[i][row] = i < row ? 0 : sum / block[i][i];
        }
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < a.count * a.count; i += CRUMB_QUANTIZE_THREADS) {
        const uint32_t y = i / a.count, x = i % a.count;
        matrix[static_cast<size_t>(y) * a.positions + x] = y >= x ? block[y][x] : 0;
        a.inverse[y * size + x] = inverse[x][y];
    }
}

CRUMB_QUANTIZE_KERNEL quantize_panel(const __grid_constant__ crumb_quantize_panel_args a) {
    const size_t index = static_cast<size_t>(blockIdx.x) * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    if (index >= static_cast<size_t>(a.rows) * a.columns) return;
    const size_t row = a.first_row + index / a.columns, column = a.first_column + index % a.columns;
    a.matrix[row * a.positions + column] = a.panel[index];
}

CRUMB_QUANTIZE_KERNEL quantize_unit(const __grid_constant__ crumb_quantize_unit_args a) {
    const size_t index = static_cast<size_t>(blockIdx.x) * CRUMB_QUANTIZE_THREADS + threadIdx.x;
    const size_t size = a.positions;
    if (index >= size * size) return;
    const size_t i = index / size, j = index % size;
    const float diagonal = a.factor[(size - 1 - j) * size + (size - 1 - j)];
    a.feedback[index] = i <= j ? a.factor[(size - 1 - i) * size + (size - 1 - j)] / diagonal : 0;
    if (i == j) a.importance[j] = a.order[j] == CRUMB_PADDING_CHANNEL ? 0 : diagonal * diagonal;
}
