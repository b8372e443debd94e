// Shapes, records and products of packed matrices on the host, straight from Docs/Format.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <cuda_fp16.h>

#include "crumb_kernels.h"

// columns: K with padding, per segment P = segment_channels; `four` channels of each segment are 4-bit.
inline crumb_packed_shape make_shape(
    uint32_t rows, uint32_t segments, uint32_t segment_channels, uint32_t four, uint32_t outliers_per_tile) {
    crumb_packed_shape s = {};
    uint32_t tiles4 = four / 32, tiles2 = (segment_channels - four) / 64;
    if (four % 32 || (segment_channels - four) % 64) std::printf("bad shape\n"), std::exit(1);
    s.rows = rows, s.columns = segments * segment_channels, s.segments = segments;
    s.segment_channels = segment_channels, s.four_bit_channels = four, s.outliers_per_tile = outliers_per_tile;
    s.row_tiles = (rows + 31) / 32;
    s.codes2_offset = tiles4 * 512;
    s.scales4_offset = s.codes2_offset + tiles2 * 512;
    s.scales2_offset = s.scales4_offset + tiles4 * 16;
    s.row_scales_offset = s.scales2_offset + tiles2 * 32;
    s.outliers_offset = s.row_scales_offset + 128;
    s.record_bytes = (s.outliers_offset + tiles2 * outliers_per_tile * 4 + 15) / 16 * 16;
    return s;
}

inline size_t matrix_bytes(const crumb_packed_shape &s) {
    return static_cast<size_t>(s.segments) * s.row_tiles * s.record_bytes;
}

// A few records with row scales and outliers; their codes and scale codes are still zero.
inline std::vector<uint8_t> record_templates(const crumb_packed_shape &s, uint64_t seed, uint32_t count) {
    std::mt19937 random(static_cast<uint32_t>(seed * 7919 + 1));
    std::vector<uint8_t> templates(count * s.record_bytes, 0);
    uint32_t tiles2 = (s.segment_channels - s.four_bit_channels) / 64;
    for (uint32_t k = 0; k < count; k++) {
        uint8_t *record = templates.data() + k * s.record_bytes;
        std::uniform_real_distribution<float> scale(0.001f, 0.003f);
        for (int i = 0; i < 64; i++) {
            __half h = __float2half(scale(random) * (i < 32 ? 0.25f : 1.0f));
            std::memcpy(record + s.row_scales_offset + 2 * i, &h, 2);
        }
        std::normal_distribution<float> delta(0.0f, 0.1f);
        for (uint32_t tile = 0; tile < tiles2; tile += 32) {
            uint32_t pool_tiles = std::min(32u, tiles2 - tile), entries = pool_tiles * s.outliers_per_tile;
            uint32_t used = entries - entries / 10; // some entries unused
            std::vector<uint32_t> places;
            for (uint32_t e = 0; e < used; e++) {
                places.push_back((random() % 32) << 11 | random() % (pool_tiles * 64));
            }
            std::sort(places.begin(), places.end());
            places.erase(std::unique(places.begin(), places.end()), places.end());
            for (uint32_t e = 0; e < places.size(); e++) {
                float value = delta(random);
                crumb_outlier outlier;
                outlier.position = static_cast<uint16_t>(places[e] >> 11 | (places[e] & 2047) << 5);
                __half h = __float2half(value == 0 ? 0.1f : value);
                std::memcpy(&outlier.delta, &h, 2);
                std::memcpy(record + s.outliers_offset + 4 * (tile * s.outliers_per_tile + e), &outlier, 4);
            }
        }
    }
    return templates;
}

inline float half_at(const uint8_t *p) {
    __half h;
    std::memcpy(&h, p, 2);
    return __half2float(h);
}

// y[token][row] in fp64. x: [tokens][positions].
inline std::vector<double> reference(
    const crumb_packed_shape &s, const std::vector<uint8_t> &matrix, const std::vector<float> &x, uint32_t tokens) {
    std::vector<double> y(static_cast<size_t>(tokens) * s.rows, 0);
    uint32_t positions = s.segments * s.segment_channels, four = s.four_bit_channels;
    uint32_t tiles2 = (s.segment_channels - four) / 64;
    auto work = [&](uint32_t first, uint32_t step) {
        std::vector<double> w(s.segment_channels);
        for (uint32_t row = first; row < s.rows; row += step) {
            for (uint32_t segment = 0; segment < s.segments; segment++) {
                const uint8_t *record =
                    matrix.data() + (static_cast<size_t>(segment) * s.row_tiles + row / 32) * s.record_bytes;
                uint32_t r = row % 32, g = r % 8, i = r / 8;
                for (uint32_t channel = 0; channel < s.segment_channels; channel++) {
                    uint32_t word;
                    if (channel < four) {
                        uint32_t tile = channel / 32, c = channel % 8, t = channel % 32 / 8;
                        std::memcpy(&word, record + 512 * tile + 16 * (4 * g + t) + 4 * i, 4);
                        uint32_t code = word >> (4 * (c / 2) + 16 * (c % 2)) & 15;
                        uint16_t scales;
                        std::memcpy(&scales, record + s.scales4_offset + 16 * tile + 2 * g, 2);
                        w[channel] = half_at(record + s.row_scales_offset + 2 * r) * ((scales >> 4 * i & 15) + 1.0)
                            * (code - 7.5);
                    } else {
                        uint32_t k = channel - four, tile = k / 64, c = k % 16, t = k % 64 / 16, b = k % 64 / 32;
                        std::memcpy(&word, record + s.codes2_offset + 512 * tile + 16 * (4 * g + t) + 4 * i, 4);
                        uint32_t code = word >> (2 * (c / 2) + 16 * (c % 2)) & 3, scales;
                        std::memcpy(&scales, record + s.scales2_offset + 32 * tile + 4 * g, 4);
                        w[channel] = half_at(record + s.row_scales_offset + 64 + 2 * r)
                            * ((scales >> 4 * (4 * b + i) & 15) + 1.0) * (code - 1.5);
                    }
                }
                for (uint32_t e = 0; e < tiles2 * s.outliers_per_tile; e++) {
                    crumb_outlier outlier;
                    std::memcpy(&outlier, record + s.outliers_offset + 4 * e, 4);
                    if (outlier.delta == 0 || (outlier.position & 31) != r) continue;
                    uint32_t pool = e / (32 * s.outliers_per_tile);
                    w[four + pool * 2048 + (outlier.position >> 5)] +=
                        half_at(reinterpret_cast<uint8_t *>(&outlier.delta));
                }
                for (uint32_t token = 0; token < tokens; token++) {
                    const float *xs = x.data() + static_cast<size_t>(token) * positions + segment * s.segment_channels;
                    double sum = 0;
                    for (uint32_t channel = 0; channel < s.segment_channels; channel++) sum += w[channel] * xs[channel];
                    y[static_cast<size_t>(token) * s.rows + row] += sum;
                }
            }
        }
    };
    std::vector<std::thread> threads;
    uint32_t workers = std::max(1u, std::thread::hardware_concurrency());
    for (uint32_t k = 0; k < workers; k++) threads.emplace_back(work, k, workers);
    for (auto &thread : threads) thread.join();
    return y;
}
