// dequantize_packed against the formulas of Docs/Format.md; its times.
#include "harness.cuh"

#include "../dequantize_packed.cu"
#include "dequantize_rolled.cu"

namespace {
using Kernel = void (*)(const crumb_dequantize_args);
crumb_packed_shape make_shape(uint32_t n, uint32_t k, uint32_t segments, uint32_t four, uint32_t outliers) {
    crumb_packed_shape s = {};
    s.rows = n, s.columns = k, s.segments = segments, s.four_bit_channels = four, s.outliers_per_tile = outliers;
    uint32_t tiles2 = (k / segments - four + 63) / 64, tiles4 = four / 32;
    s.segment_channels = four + 64 * tiles2;
    s.row_tiles = (n + 31) / 32;
    s.codes2_offset = tiles4 * 512;
    s.scales4_offset = s.codes2_offset + tiles2 * 512;
    s.scales2_offset = s.scales4_offset + tiles4 * 16;
    s.row_scales_offset = s.scales2_offset + tiles2 * 32;
    s.outliers_offset = s.row_scales_offset + 128;
    s.record_bytes = (s.outliers_offset + tiles2 * outliers * 4 + 15) / 16 * 16;
    return s;
}

void check(uint32_t n, uint32_t k, uint32_t segments, uint32_t four, uint32_t outliers) {
    crumb_packed_shape s = make_shape(n, k, segments, four, outliers);
    std::vector<uint8_t> records(size_t(segments) * s.row_tiles * s.record_bytes);
    for (uint8_t &b : records) b = static_cast<uint8_t>(random_bits());
    size_t stride = size_t(segments) * s.segment_channels;
    std::vector<double> expected(size_t(n) * stride);
    for (uint32_t segment = 0; segment < segments; segment++) {
        for (uint32_t tile = 0; tile < s.row_tiles; tile++) {
            uint8_t *record = &records[(size_t(segment) * s.row_tiles + tile) * s.record_bytes];
            uint16_t *row_scales = reinterpret_cast<uint16_t *>(record + s.row_scales_offset);
            for (int i = 0; i < 64; i++) row_scales[i] = to_half(0.001f * (1 + std::fabs(random_normal())));
            uint32_t tiles2 = (s.segment_channels - four) / 64, tiles_of_pool;
            crumb_outlier *entries = reinterpret_cast<crumb_outlier *>(record + s.outliers_offset);
            // Rising rows and channels, so that no place is named twice; every fifth entry is unused.
            for (uint32_t first = 0; first < tiles2; first += 32) {
                tiles_of_pool = std::min(tiles2 - first, 32u);
                uint32_t count = tiles_of_pool * outliers;
                for (uint32_t e = 0; e < count; e++) {
                    crumb_outlier &entry = entries[first * outliers + e];
                    uint32_t channel = uint32_t(size_t(e) * tiles_of_pool * 64 / count), row = random_bits() % 32;
                    bool used = e % 5 != 4 && tile * 32 + row < n;
                    entry = {uint16_t(used ? row | channel << 5 : 0), uint16_t(used ? to_half(random_normal()) : 0)};
                }
            }
            for (uint32_t row = 0; row < 32 && tile * 32 + row < n; row++) {
                uint32_t g = row % 8, i = row / 8;
                double *out = &expected[size_t(tile * 32 + row) * stride + size_t(segment) * s.segment_channels];
                for (uint32_t c = 0; c < s.segment_channels; c++) {
                    bool is4 = c < four;
                    uint32_t in = is4 ? c : c - four, width = is4 ? 32 : 64, per = is4 ? 8 : 16, t_ = in / width,
                             b = in % width;
                    uint32_t t = b / per, at = b % per, word, code, scale;
                    std::memcpy(&word, record + (is4 ? 0 : s.codes2_offset) + t_ * 512 + (4 * g + t) * 16 + 4 * i, 4);
                    if (is4) {
                        code = word >> (4 * (at / 2) + 16 * (at % 2)) & 15;
                        uint16_t half;
                        std::memcpy(&half, record + s.scales4_offset + t_ * 16 + 2 * g, 2);
                        scale = half >> 4 * i & 15;
                    } else {
                        code = word >> (2 * (at / 2) + 16 * (at % 2)) & 3;
                        uint32_t w;
                        std::memcpy(&w, record + s.scales2_offset + t_ * 32 + 4 * g, 4);
                        scale = w >> 4 * (4 * (b / 32) + i) & 15;
                    }
                    out[c] =
                        double(from_half(row_scales[(is4 ? 0 : 32) + row])) * (scale + 1) * (code - (is4 ? 7.5 : 1.5));
                }
                for (uint32_t e = 0; e < tiles2 * outliers; e++) {
                    if (entries[e].delta == 0 || entries[e].position % 32u != row) continue;
                    uint32_t pool = e / (32 * outliers);
                    out[four + pool * 2048 + entries[e].position / 32] += from_half(entries[e].delta);
                }
            }
        }
    }
    DeviceBuffer<uint8_t> device_records(records);
    DeviceBuffer<uint16_t> output(size_t(n) * stride);
    uint32_t blocks = ((s.segment_channels - four) / 64 + 31) / 32 + (four / 32 + 31) / 32, half_way = s.row_tiles / 2;
    crumb_dequantize_args args = {device_records.data, output.data, s, 0};
    if (half_way > 0)
        launch(dequantize_packed_f16, dim3(half_way, blocks, segments), CRUMB_DEQUANTIZE_THREADS, 0, args);
    args.first_tile = half_way, args.output += size_t(half_way) * 32 * stride;
    launch(dequantize_packed_f16, dim3(s.row_tiles - half_way, blocks, segments), CRUMB_DEQUANTIZE_THREADS, 0, args);
    std::vector<float> shipped = to_floats(output.get());
    output.poison();
    args.first_tile = 0, args.output = output.data;
    launch(dequantize_packed_rolled_f16, dim3(s.row_tiles, blocks, segments), CRUMB_DEQUANTIZE_THREADS, 0, args);
    compare("dequantize_packed rolled", expected, to_floats(output.get()), 2e-7);
    compare(
        "dequantize_packed " + std::to_string(n) + " x " + std::to_string(k) + " segments " + std::to_string(segments)
            + " four " + std::to_string(four) + " outliers " + std::to_string(outliers),
        expected, shipped, 2e-7);
}

void time_one(uint32_t n, uint32_t k, uint32_t four) {
    crumb_packed_shape s = make_shape(n, k, 1, four, 4);
    size_t bytes = size_t(s.row_tiles) * s.record_bytes, out_bytes = size_t(n) * s.segment_channels * 2;
    std::vector<uint8_t> one(bytes);
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t r = random_bits();
        std::memcpy(&one[i], &r, 8);
    }
    for (uint32_t tile = 0; tile < s.row_tiles; tile++) {
        uint32_t tiles2 = (s.segment_channels - four) / 64;
        uint8_t *record = &one[size_t(tile) * s.record_bytes];
        for (uint32_t e = 0; e < tiles2 * 4; e++) {
            crumb_outlier entry = {uint16_t(random_bits() % 32 | (e * 16 % 2048) << 5), to_half(0.1f)};
            std::memcpy(record + s.outliers_offset + 4 * e, &entry, 4);
        }
    }
    size_t copies = 300'000'000 / bytes + 1, out_copies = 400'000'000 / out_bytes + 1;
    DeviceBuffer<uint8_t> records(bytes * copies);
    for (size_t i = 0; i < copies; i++)
        CUDA_CHECK(cudaMemcpy(records.data + i * bytes, one.data(), bytes, cudaMemcpyHostToDevice));
    DeviceBuffer<uint16_t> output(out_bytes / 2 * out_copies);
    uint32_t blocks = ((s.segment_channels - four) / 64 + 31) / 32 + (four / 32 + 31) / 32;
    for (bool rolled : {false, true}) {
        Kernel kernel = rolled ? dequantize_packed_rolled_f16 : dequantize_packed_f16;
        double us = graph_time(32, [&](int i) {
            crumb_dequantize_args args = {
                records.data + i % copies * bytes, output.data + i % out_copies * (out_bytes / 2), s, 0};
            launch(kernel, dim3(s.row_tiles, blocks, 1), CRUMB_DEQUANTIZE_THREADS, 0, args);
        });
        print_time(
            "dequantize_packed " + std::to_string(n) + " x " + std::to_string(k) + (rolled ? " rolled" : ""), us, bytes,
            out_bytes);
    }
}
} // namespace

void check_dequantize() {
    check(64, 576, 1, 192, 4);
    check(100, 4096, 1, 1024, 4);
    check(33, 11008, 8, 320, 2);
    check(40, 512, 2, 0, 0);
    check(32, 256, 1, 256, 0);
    check(70, 2752, 1, 704, 3);
}

void time_dequantize() {
    time_one(12288, 4096, 1024);
    time_one(4096, 4096, 1024);
    time_one(22016, 4096, 1024);
    time_one(4096, 11008, 2752);
}
