// A packed matrix (crumb_packed.h) as fp16, row-major, channels in permuted order: the operand of a library product.
//
// Grid (row tiles, chunks + pools, segments), 256 threads: chunks = ceil(4-bit tiles / 32), pools = ceil(2-bit tiles /
// 32). Block (r, c, s) expands 32 4-bit tiles of record (s, r), or 32 2-bit tiles with their pool's outliers. A warp
// takes every eighth tile, its codes asked for at once: lane 4 g + t has the codes of rows g + 8 i, i = 0 ... 3. Of a
// 2-bit tile it has 32 bytes of output a row; neighbours swap halves so that a pair writes whole sectors.
//
// A weight is row scale x exact small integers and halves, so it is rounded once; a weight with an outlier is computed
// once more and written last. Bytes: the records, and 2 x N x positions written. Limit: memory, mostly its writes.
#include "include/expand_packed.cuh"

CRUMB_KERNEL __launch_bounds__(CRUMB_DEQUANTIZE_THREADS)
    dequantize_packed_f16(const __grid_constant__ crumb_dequantize_args a) {
    const crumb_packed_shape &shape = a.shape;
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, segment = blockIdx.z;
    uint32_t row_tile = a.first_tile + blockIdx.x;
    const uint8_t *record =
        a.records + (static_cast<size_t>(segment) * shape.row_tiles + row_tile) * shape.record_bytes;
    size_t stride = static_cast<size_t>(shape.segments) * shape.segment_channels;
    Target target = {
        a.output + static_cast<size_t>(blockIdx.x) * CRUMB_TILE_ROWS * stride
            + static_cast<size_t>(segment) * shape.segment_channels,
        stride, min(shape.rows - row_tile * CRUMB_TILE_ROWS, (uint32_t)CRUMB_TILE_ROWS)};
    uint32_t tiles4 = shape.four_bit_channels / CRUMB_TILE4_CHANNELS;
    uint32_t tiles2 = (shape.segment_channels - shape.four_bit_channels) / CRUMB_TILE2_CHANNELS;
    uint32_t chunks = (tiles4 + block_tiles - 1) / block_tiles;
    bool two_bits = blockIdx.y >= chunks;
    uint32_t first = (two_bits ? blockIdx.y - chunks : blockIdx.y) * block_tiles;
    uint32_t count = min((two_bits ? tiles2 : tiles4) - first, (uint32_t)block_tiles);
    const uint8_t *codes_from = record + (two_bits ? shape.codes2_offset : 0) + first * CRUMB_TILE_BYTES + 16 * lane;
    const uint8_t *scales_from = record
        + (two_bits ? shape.scales2_offset + first * CRUMB_TILE2_SCALE_BYTES + 4 * g
                    : shape.scales4_offset + first * CRUMB_TILE4_SCALE_BYTES + 2 * g);
    const uint16_t *row_halves =
        reinterpret_cast<const uint16_t *>(record + shape.row_scales_offset) + (two_bits ? CRUMB_TILE_ROWS : 0);
    uint4 codes[warp_tiles];
    uint32_t scales[warp_tiles];
#pragma unroll
    for (uint32_t n = 0; n < warp_tiles; n++) {
        uint32_t tile = min(n * dequantize_warps + warp, count - 1);
        codes[n] = load_streaming(codes_from + tile * CRUMB_TILE_BYTES);
        scales[n] = two_bits ? *reinterpret_cast<const uint32_t *>(scales_from + tile * CRUMB_TILE2_SCALE_BYTES)
                             : *reinterpret_cast<const uint16_t *>(scales_from + tile * CRUMB_TILE4_SCALE_BYTES);
    }
    half2 row_scales[4];
#pragma unroll
    for (int i = 0; i < 4; i++) row_scales[i] = both_halves(row_halves[g + 8 * i]);
    const crumb_outlier *entries = reinterpret_cast<const crumb_outlier *>(record + shape.outliers_offset)
        + static_cast<size_t>(first) * shape.outliers_per_tile;
    uint32_t outliers = two_bits ? count * shape.outliers_per_tile : 0;
    // A thread's first outlier, whose loads are under way with the rest; more than 256 a pool are rare.
    Patch patch = {false, 0, 0, 0};
    if (threadIdx.x < outliers) patch = make_patch(record, shape, first, entries[threadIdx.x], target.rows, count);
    wait_for_previous();
    release_next();
    if (two_bits) {
        target.out += shape.four_bit_channels + first * CRUMB_TILE2_CHANNELS;
#pragma unroll
        for (uint32_t n = 0; n < warp_tiles; n++) {
            uint32_t tile = n * dequantize_warps + warp;
            if (tile >= count) break;
            expand_tile2(
                codes[n], scales[n], row_scales, {target.out + tile * CRUMB_TILE2_CHANNELS, stride, target.rows});
        }
    } else {
        target.out += first * CRUMB_TILE4_CHANNELS;
#pragma unroll
        for (uint32_t n = 0; n < warp_tiles; n++) {
            uint32_t tile = n * dequantize_warps + warp;
            if (tile >= count) break;
            expand_tile4(
                codes[n], scales[n], row_scales, {target.out + tile * CRUMB_TILE4_CHANNELS, stride, target.rows});
        }
    }
    if (outliers == 0) return;
    __syncthreads();
    if (patch.used) target.out[patch.row * stride + patch.channel] = half_bits(patch.weight);
    for (uint32_t index = threadIdx.x + CRUMB_DEQUANTIZE_THREADS; index < outliers; index += CRUMB_DEQUANTIZE_THREADS) {
        patch = make_patch(record, shape, first, entries[index], target.rows, count);
        if (patch.used) target.out[patch.row * stride + patch.channel] = half_bits(patch.weight);
    }
}
