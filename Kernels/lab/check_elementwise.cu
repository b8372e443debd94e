// embed, rmsnorm, rope_append, silu_multiply, residual_add against loops in double.
#include "harness.cuh"

#include "../embed.cu"
#include "../rmsnorm.cu"
#include "../rope_append.cu"
#include "../silu.cu"

namespace {
// A random order with padding: positions > channels.
std::vector<uint16_t> random_order(uint32_t channels, uint32_t positions) {
    std::vector<uint16_t> order(positions, CRUMB_PADDING_CHANNEL);
    for (uint32_t i = 0; i < channels; i++) order[i] = static_cast<uint16_t>(i);
    for (uint32_t i = positions; i > 1; i--) std::swap(order[i - 1], order[random_bits() % i]);
    return order;
}

void check_embed(uint32_t storage, uint32_t k, uint32_t tokens) {
    uint32_t vocabulary = 1001;
    std::vector<int32_t> ids(tokens);
    for (int32_t &id : ids) id = static_cast<int32_t>(random_bits() % vocabulary);
    size_t count = size_t(vocabulary) * k;
    std::vector<uint8_t> table(count * 4);
    for (uint8_t &b : table) b = static_cast<uint8_t>(random_bits());
    std::vector<uint16_t> scales = random_halves(count / 32, 0.01f);
    std::vector<float> weights(count);
    for (size_t i = 0; i < count; i++) {
        uint16_t half = to_half(random_normal());
        float plain = random_normal();
        uint32_t bits;
        switch (storage) {
        case CRUMB_TABLE_F16: std::memcpy(&table[2 * i], &half, 2), weights[i] = from_half(half); break;
        case CRUMB_TABLE_F32: std::memcpy(&table[4 * i], &plain, 4), weights[i] = plain; break;
        case CRUMB_TABLE_BF16:
            std::memcpy(&bits, &plain, 4);
            half = static_cast<uint16_t>(bits >> 16), bits &= 0xFFFF0000u;
            std::memcpy(&table[2 * i], &half, 2), std::memcpy(&weights[i], &bits, 4);
            break;
        case CRUMB_TABLE_Q8: weights[i] = from_half(scales[i / 32]) * static_cast<int8_t>(table[i]); break;
        default: weights[i] = from_half(scales[i / 32]) * ((table[i / 2] >> 4 * (i % 2) & 15) - 8);
        }
    }
    DeviceBuffer<int32_t> device_ids(ids);
    DeviceBuffer<uint8_t> device_table(table);
    DeviceBuffer<uint16_t> device_scales(scales);
    DeviceBuffer<float> output(size_t(tokens) * k);
    crumb_embed_args args = {device_ids.data, device_table.data, device_scales.data, output.data, storage, k,
                             vocabulary};
    launch(embed, dim3((k + 1023) / 1024, tokens), CRUMB_EMBED_THREADS, 0, args);
    std::vector<double> expected;
    for (int32_t id : ids) expected.insert(expected.end(), &weights[size_t(id) * k], &weights[size_t(id) * k] + k);
    compare("embed storage " + std::to_string(storage) + " K " + std::to_string(k), expected, output.get(), 1e-13);
}

void check_norm(uint32_t k, uint32_t positions, uint32_t tokens, bool ordered) {
    std::vector<float> x = random_floats(size_t(tokens) * k, 3), w = random_floats(k);
    std::vector<uint16_t> order = random_order(k, positions);
    DeviceBuffer<float> device_x(x), device_w(w);
    DeviceBuffer<uint16_t> device_order(order), output(size_t(tokens) * positions);
    crumb_rmsnorm_args args = {device_x.data, device_w.data, ordered ? device_order.data : nullptr, output.data, k,
                               positions,     1e-5f};
    launch(rmsnorm_gather_f16, dim3(tokens), CRUMB_NORM_THREADS, 4 * k, args);
    std::vector<double> expected;
    for (uint32_t m = 0; m < tokens; m++) {
        double sum = 0;
        for (uint32_t i = 0; i < k; i++) sum += double(x[size_t(m) * k + i]) * x[size_t(m) * k + i];
        double scale = 1 / std::sqrt(sum / k + 1e-5);
        for (uint32_t i = 0; i < positions; i++) {
            uint32_t c = ordered ? order[i] : i;
            expected.push_back(c == CRUMB_PADDING_CHANNEL && ordered ? 0 : x[size_t(m) * k + c] * scale * w[c]);
        }
    }
    compare(
        "rmsnorm K " + std::to_string(k) + " -> " + std::to_string(positions), expected, to_floats(output.get()), 2e-7);
}

void check_silu(uint32_t features, uint32_t positions, uint32_t tokens, bool ordered, bool half_input, bool biased) {
    std::vector<float> gate_up = random_floats(size_t(tokens) * 2 * features, 3), bias = random_floats(2 * features);
    std::vector<uint16_t> halves(gate_up.size());
    for (size_t i = 0; i < halves.size(); i++) {
        halves[i] = to_half(gate_up[i]);
        if (half_input) gate_up[i] = from_half(halves[i]);
    }
    std::vector<uint16_t> order = random_order(features, positions);
    DeviceBuffer<float> device_floats(gate_up), device_bias(bias);
    DeviceBuffer<uint16_t> device_halves(halves), device_order(order), output(size_t(tokens) * positions);
    crumb_silu_multiply_args args = {
        half_input ? static_cast<const void *>(device_halves.data) : device_floats.data,
        biased ? device_bias.data : nullptr,
        ordered ? device_order.data : nullptr,
        output.data,
        features,
        positions,
        half_input};
    launch(silu_multiply_f16, dim3(tokens), CRUMB_SILU_THREADS, 2 * features, args);
    std::vector<double> expected;
    for (uint32_t m = 0; m < tokens; m++) {
        for (uint32_t i = 0; i < positions; i++) {
            uint32_t c = ordered ? order[i] : i;
            if (ordered && c == CRUMB_PADDING_CHANNEL) {
                expected.push_back(0);
                continue;
            }
            double g = gate_up[size_t(m) * 2 * features + c], u = gate_up[size_t(m) * 2 * features + features + c];
            if (biased) g += bias[c], u += bias[features + c];
            expected.push_back(g / (1 + std::exp(-g)) * u);
        }
    }
    compare("silu_multiply " + std::to_string(features), expected, to_floats(output.get()), 2e-7);
}

void check_residual(uint32_t n, uint32_t tokens, bool half_input) {
    std::vector<float> s = random_floats(size_t(n) * tokens), y = random_floats(size_t(n) * tokens),
                       b = random_floats(n);
    std::vector<uint16_t> halves(y.size());
    for (size_t i = 0; i < y.size(); i++) {
        halves[i] = to_half(y[i]);
        if (half_input) y[i] = from_half(halves[i]);
    }
    DeviceBuffer<float> device_s(s), device_y(y), device_b(b);
    DeviceBuffer<uint16_t> device_halves(halves);
    crumb_residual_add_args args = {
        half_input ? static_cast<const void *>(device_halves.data) : device_y.data,
        device_b.data,
        device_s.data,
        tokens,
        n,
        half_input};
    launch(residual_add, dim3(uint32_t((size_t(n) * tokens + 1023) / 1024)), CRUMB_SILU_THREADS, 0, args);
    std::vector<double> expected;
    for (size_t i = 0; i < s.size(); i++) expected.push_back(double(s[i]) + y[i] + b[i % n]);
    compare("residual_add " + std::to_string(n), expected, device_s.get(), 1e-13);
}

void check_rope(uint32_t heads, uint32_t kv_heads, uint32_t d, bool half_input) {
    uint32_t tokens = 5, capacity = 70000, slots = 2, features = (heads + 2 * kv_heads) * d;
    std::vector<int32_t> positions = {0, 1, 517, 8191, 69999}, slot = {0, 1, 1, 0, 1};
    std::vector<float> qkv = random_floats(size_t(tokens) * features), bias = random_floats(features), frequency(d / 2);
    std::vector<uint16_t> halves(qkv.size());
    for (size_t i = 0; i < qkv.size(); i++) {
        halves[i] = to_half(qkv[i]);
        if (half_input) qkv[i] = from_half(halves[i]);
    }
    for (uint32_t i = 0; i < d / 2; i++) frequency[i] = 1 / std::pow(10000.0f, float(2 * i) / float(d));
    DeviceBuffer<float> device_qkv(qkv), device_bias(bias), device_frequency(frequency);
    DeviceBuffer<uint16_t> device_halves(halves), queries(size_t(tokens) * heads * d);
    size_t cached = size_t(slots) * kv_heads * capacity * d;
    DeviceBuffer<uint16_t> keys(cached), values(cached);
    DeviceBuffer<int32_t> device_positions(positions), device_slots(slot);
    crumb_rope_append_args args = {
        half_input ? static_cast<const void *>(device_halves.data) : device_qkv.data,
        device_bias.data,
        device_frequency.data,
        device_positions.data,
        device_slots.data,
        queries.data,
        {keys.data, values.data, capacity, kv_heads},
        heads,
        d,
        half_input,
        0};
    launch(rope_append_f16, dim3(tokens), CRUMB_ROPE_THREADS, 4 * d, args);
    std::vector<double> expected;
    std::vector<float> got;
    std::vector<uint16_t> q = queries.get(), k = keys.get(), v = values.get();
    for (uint32_t m = 0; m < tokens; m++) {
        for (uint32_t h = 0; h < heads + 2 * kv_heads; h++) {
            for (uint32_t i = 0; i < d; i++) {
                uint32_t pair = i % (d / 2);
                size_t row = size_t(m) * features + h * d;
                double x = qkv[row + pair] + double(bias[h * d + pair]);
                double y = qkv[row + pair + d / 2] + double(bias[h * d + pair + d / 2]);
                double angle = float(positions[m]) * frequency[pair], c = std::cos(angle), s = std::sin(angle);
                double turned = i < d / 2 ? x * c - y * s : y * c + x * s;
                if (h < heads) turned *= 1.4426950408889634 / std::sqrt(double(d));
                if (h >= heads + kv_heads) turned = i < d / 2 ? x : y;
                expected.push_back(turned);
                size_t kv = (h - heads) % kv_heads;
                size_t place = ((size_t(slot[m]) * kv_heads + kv) * capacity + positions[m]) * d + i;
                got.push_back(from_half(
                    h < heads                  ? q[(size_t(m) * heads + h) * d + i]
                        : h < heads + kv_heads ? k[place]
                                               : v[place]));
            }
        }
    }
    compare("rope_append D " + std::to_string(d), expected, got, 2e-7);
}
} // namespace

void check_elementwise() {
    for (uint32_t storage = 0; storage < 5; storage++) check_embed(storage, storage % 2 ? 576 : 4096, 7);
    check_norm(576, 640, 3, true);
    check_norm(4096, 4096, 17, true);
    check_norm(8192, 8192, 2, false);
    check_silu(1536, 1600, 3, true, false, true);
    check_silu(11008, 11072, 5, true, true, false);
    check_silu(8960, 8960, 2, false, true, true);
    check_residual(576, 3, true);
    check_residual(4096, 5, false);
    check_rope(9, 3, 64, false);
    check_rope(8, 2, 128, true);
    check_rope(4, 4, 80, false);
}

void time_elementwise() {
    uint32_t tokens = 512, k = 4096, features = 11008, heads = 32, d = 128;
    DeviceBuffer<float> x(random_floats(size_t(tokens) * 3 * k)), w(random_floats(k));
    DeviceBuffer<uint16_t> order(random_order(k, k)), down_order(random_order(features, features));
    DeviceBuffer<uint16_t> gate_up(random_halves(size_t(tokens) * 2 * features)), out(size_t(tokens) * features);
    DeviceBuffer<uint16_t> keys(size_t(heads) * 1024 * d), values(size_t(heads) * 1024 * d);
    std::vector<int32_t> ids(tokens);
    for (uint32_t m = 0; m < tokens; m++) ids[m] = int32_t(m);
    DeviceBuffer<int32_t> positions(ids);
    crumb_rmsnorm_args norm = {x.data, w.data, order.data, out.data, k, k, 1e-5f};
    print_time(
        "rmsnorm 512 x 4096 (L2 warm)",
        graph_time(32, [&](int) { launch(rmsnorm_gather_f16, dim3(tokens), CRUMB_NORM_THREADS, 4 * k, norm); }),
        size_t(tokens) * k * 4, size_t(tokens) * k * 2);
    print_time(
        "rmsnorm 1 x 4096 (L2 warm)",
        graph_time(32, [&](int) { launch(rmsnorm_gather_f16, dim3(1), CRUMB_NORM_THREADS, 4 * k, norm); }),
        size_t(k) * 4, size_t(k) * 2);
    crumb_silu_multiply_args silu = {gate_up.data, nullptr, down_order.data, out.data, features, features, 1};
    print_time(
        "silu_multiply 512 x 11008 (L2 warm)",
        graph_time(32, [&](int) { launch(silu_multiply_f16, dim3(tokens), CRUMB_SILU_THREADS, 2 * features, silu); }),
        size_t(tokens) * features * 4, size_t(tokens) * features * 2);
    crumb_rope_append_args rope = {
        x.data, nullptr, w.data, positions.data, nullptr, out.data, {keys.data, values.data, 1024, heads}, heads,
        d,      0,       0};
    print_time(
        "rope_append 512 x 32 heads x 128 (L2 warm)",
        graph_time(32, [&](int) { launch(rope_append_f16, dim3(tokens), CRUMB_ROPE_THREADS, 4 * d, rope); }),
        size_t(tokens) * 3 * k * 4, size_t(tokens) * 3 * k * 2);
    crumb_residual_add_args add = {gate_up.data, nullptr, x.data, tokens, k, 1};
    print_time(
        "residual_add 512 x 4096 (L2 warm)",
        graph_time(32, [&](int) { launch(residual_add, dim3(tokens * k / 1024), CRUMB_SILU_THREADS, 0, add); }),
        size_t(tokens) * k * 6, size_t(tokens) * k * 4);
}
