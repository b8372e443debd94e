// dequantize_packed_f16 with its tiles in a loop, two ahead, in place of four tiles at once: a third of the code. To be
// timed beside the shipped kernel, of which a block lives about 20 us where its memory traffic needs 5.
#include "../include/expand_packed.cuh"

CRUMB_KERNEL __launch_bounds__(CRUMB_DEQUANTIZE_THREADS)
    dequantize_packed_rolled_f16(const __grid_constant__ crumb_dequantize_args a) {
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
    auto load_codes = [&](uint32_t tile) {
        return load_streaming(codes_from + min(tile, count - 1) * CRUMB_TILE_BYTES);
    };
    auto load_scales = [&](uint32_t tile) -> uint32_t {
        tile = min(tile, count - 1);
        return two_bits ? *reinterpret_cast<const uint32_t *>(scales_from + tile * CRUMB_TILE2_SCALE_BYTES)
                        : *reinterpret_cast<const uint16_t *>(scales_from + tile * CRUMB_TILE4_SCALE_BYTES);
    };
    uint4 codes = load_codes(warp), next_codes = load_codes(warp + dequantize_warps);
    uint32_t scales = load_scales(warp), next_scales = load_scales(warp + dequantize_warps);
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
    uint32_t tile_channels = two_bits ? CRUMB_TILE2_CHANNELS : CRUMB_TILE4_CHANNELS;
    target.out += (two_bits ? shape.four_bit_channels : 0) + first * tile_channels;
#pragma unroll 1
    for (uint32_t tile = warp; tile < count; tile += dequantize_warps) {
        uint4 later_codes = load_codes(tile + 2 * dequantize_warps);
        uint32_t later_scales = load_scales(tile + 2 * dequantize_warps);
        Target place = {target.out + tile * tile_channels, stride, target.rows};
        if (two_bits) {
            expand_tile2(codes, scales, row_scales, place);
        } else {
            expand_tile4(codes, scales, row_scales, place);
        }
        codes = next_codes;
        scales = next_scales;
        next_codes = later_codes;
        next_scales = later_scales;
    }
    if (outliers == 0) return;
    __syncthreads();
    if (patch.used) target.out[patch.row * stride + patch.channel] = half_bits(patch.weight);
    for (uint32_t index = threadIdx.x + CRUMB_DEQUANTIZE_THREADS; index < outliers; index += CRUMB_DEQUANTIZE_THREADS) {
        patch = make_patch(record, shape, first, entries[index], target.rows, count);
        if (patch.used) target.out[patch.row * stride + patch.channel] = half_bits(patch.weight);
    }
}
