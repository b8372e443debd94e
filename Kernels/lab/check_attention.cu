// attention_decode and attention_prefill against softmax(q k^T / sqrt(D)) v in double.
#include "harness.cuh"

#include "../attention_decode.cu"
#include "../attention_prefill.cu"

namespace {
using DecodeKernel = void (*)(const crumb_attention_decode_args);
using PrefillKernel = void (*)(const crumb_attention_prefill_args);

DecodeKernel decode_kernel(uint32_t d, bool clustered) {
    if (clustered) {
        return d == 32 ? attention_decode_cluster_f16_d32
            : d == 64  ? attention_decode_cluster_f16_d64
            : d == 80  ? attention_decode_cluster_f16_d80
            : d == 96  ? attention_decode_cluster_f16_d96
                       : attention_decode_cluster_f16_d128;
    }
    return d == 32 ? attention_decode_f16_d32
        : d == 64  ? attention_decode_f16_d64
        : d == 80  ? attention_decode_f16_d80
        : d == 96  ? attention_decode_f16_d96
                   : attention_decode_f16_d128;
}

PrefillKernel prefill_kernel(uint32_t d) {
    return d == 32 ? attention_prefill_f16_d32
        : d == 64  ? attention_prefill_f16_d64
        : d == 80  ? attention_prefill_f16_d80
        : d == 96  ? attention_prefill_f16_d96
                   : attention_prefill_f16_d128;
}

struct Shape {
    uint32_t heads, kv_heads, d;
    uint32_t head_blocks() const { return (heads / kv_heads + CRUMB_DECODE_HEADS - 1) / CRUMB_DECODE_HEADS; }
    std::string name() const {
        return std::to_string(heads) + "/" + std::to_string(kv_heads) + " heads x " + std::to_string(d);
    }
};

std::vector<float> frequencies(uint32_t d) {
    std::vector<float> f(d / 2);
    for (uint32_t i = 0; i < d / 2; i++) f[i] = 1 / std::pow(10000.0f, float(2 * i) / float(d));
    return f;
}

std::vector<uint16_t> random_places(uint32_t count, uint32_t positions) {
    std::vector<uint16_t> places(positions);
    for (uint32_t i = 0; i < positions; i++) places[i] = static_cast<uint16_t>(i);
    for (uint32_t i = positions; i > 1; i--) std::swap(places[i - 1], places[random_bits() % i]);
    places.resize(count);
    return places;
}

// One head's output for a rotated query, keys and values from `at(position)`.
void attend(
    const std::vector<double> &q, uint32_t d, int first, int last, const std::function<const uint16_t *(int)> &key,
    const std::function<const uint16_t *(int)> &value, double *out) {
    std::vector<double> scores;
    double highest = -1e300, total = 0;
    for (int p = first; p <= last; p++) {
        double sum = 0;
        const uint16_t *k = key(p);
        for (uint32_t i = 0; i < d; i++) sum += q[i] * from_half(k[i]);
        scores.push_back(sum / std::sqrt(double(d)));
        highest = std::max(highest, scores.back());
    }
    for (double &s : scores) total += s = std::exp(s - highest);
    for (uint32_t i = 0; i < d; i++) out[i] = 0;
    for (int p = first; p <= last; p++) {
        const uint16_t *v = value(p);
        for (uint32_t i = 0; i < d; i++) out[i] += scores[p - first] / total * from_half(v[i]);
    }
}

std::vector<double> rotated(const float *x, const float *bias, uint32_t d, int position, const std::vector<float> &f) {
    std::vector<double> y(d);
    for (uint32_t i = 0; i < d / 2; i++) {
        double a = x[i] + (bias ? double(bias[i]) : 0), b = x[i + d / 2] + (bias ? double(bias[i + d / 2]) : 0);
        double angle = float(position) * f[i], c = std::cos(angle), s = std::sin(angle);
        y[i] = a * c - b * s;
        y[i + d / 2] = b * c + a * s;
    }
    return y;
}

void check_decode(
    Shape s, std::vector<int32_t> positions, uint32_t splits, uint32_t window, bool half_input, bool biased,
    bool clustered = false) {
    uint32_t m_count = static_cast<uint32_t>(positions.size()), capacity = 0, d = s.d;
    for (int32_t p : positions) capacity = std::max(capacity, uint32_t(std::max(p, 0)) + 3);
    uint32_t features = (s.heads + 2 * s.kv_heads) * d, stride = s.heads * d + 64;
    std::vector<float> qkv = random_floats(size_t(m_count) * features, 1.5f), bias = random_floats(features),
                       f = frequencies(d);
    std::vector<uint16_t> qkv_halves(qkv.size());
    for (size_t i = 0; i < qkv.size(); i++) {
        qkv_halves[i] = to_half(qkv[i]);
        if (half_input) qkv[i] = from_half(qkv_halves[i]);
    }
    uint32_t slots = m_count + 1;
    size_t cached = size_t(slots) * s.kv_heads * capacity * d;
    std::vector<uint16_t> keys = random_halves(cached), values = random_halves(cached);
    std::vector<int32_t> slot(m_count);
    for (uint32_t m = 0; m < m_count; m++) slot[m] = static_cast<int32_t>(m_count - m);
    // What nobody may read is poisoned: positions from the new one on.
    for (uint32_t m = 0; m < m_count; m++) {
        for (uint32_t h = 0; h < s.kv_heads; h++) {
            for (uint32_t p = uint32_t(std::max(positions[m], 0)); p < capacity; p++) {
                size_t row = ((size_t(slot[m]) * s.kv_heads + h) * capacity + p) * d;
                for (uint32_t i = 0; i < d; i++) keys[row + i] = values[row + i] = 0xFFFF;
            }
        }
    }
    std::vector<uint16_t> places = random_places(s.heads * d, stride);
    DeviceBuffer<float> device_qkv(qkv), device_bias(bias), device_f(f);
    DeviceBuffer<uint16_t> device_halves(qkv_halves), device_keys(keys), device_values(values), device_places(places);
    DeviceBuffer<uint16_t> output(size_t(m_count) * stride);
    DeviceBuffer<int32_t> device_positions(positions), device_slots(slot);
    uint32_t blocks = s.kv_heads * s.head_blocks();
    DeviceBuffer<float> partials(crumb_decode_partials(m_count, blocks, splits, d));
    DeviceBuffer<uint32_t> arrivals(m_count * blocks);
    arrivals.clear();
    crumb_attention_decode_args args = {
        half_input ? static_cast<const void *>(device_halves.data) : device_qkv.data,
        biased ? device_bias.data : nullptr,
        device_f.data,
        device_positions.data,
        device_slots.data,
        device_places.data,
        output.data,
        partials.data,
        arrivals.data,
        {device_keys.data, device_values.data, capacity, s.kv_heads},
        s.heads,
        half_input,
        stride,
        window};
    launch(decode_kernel(d, clustered), dim3(splits, blocks, m_count), CRUMB_DECODE_THREADS, 0, args);
    std::vector<uint16_t> out = output.get();
    bool same = true;
    for (int run = 0; run < 3; run++) {
        output.poison();
        launch(decode_kernel(d, clustered), dim3(splits, blocks, m_count), CRUMB_DECODE_THREADS, 0, args);
        same = same && output.get() == out;
    }
    std::vector<uint16_t> new_keys = device_keys.get(), new_values = device_values.get();
    std::vector<double> expected, expected_kv;
    std::vector<float> got, got_kv;
    size_t changed = 0, expected_changed = 0;
    for (uint32_t m = 0; m < m_count; m++) {
        if (positions[m] < 0) continue;
        const float *x = &qkv[size_t(m) * features];
        int p = positions[m], first = window > 0 && int(window) <= p ? p - int(window) + 1 : 0;
        for (uint32_t h = 0; h < s.kv_heads; h++) {
            size_t row = (size_t(slot[m]) * s.kv_heads + h) * capacity * d, offset = (s.heads + h) * d;
            std::vector<double> k = rotated(x + offset, biased ? &bias[offset] : nullptr, d, p, f);
            for (uint32_t i = 0; i < d; i++) {
                expected_kv.push_back(k[i]);
                got_kv.push_back(from_half(new_keys[row + size_t(p) * d + i]));
                size_t feature = (s.heads + s.kv_heads + h) * d + i;
                expected_kv.push_back(double(x[feature]) + (biased ? bias[feature] : 0));
                got_kv.push_back(from_half(new_values[row + size_t(p) * d + i]));
                expected_changed += 2;
            }
            uint32_t group = s.heads / s.kv_heads;
            for (uint32_t q = h * group; q < (h + 1) * group; q++) {
                std::vector<double> one(d);
                attend(
                    rotated(x + q * d, biased ? &bias[q * d] : nullptr, d, p, f), d, first, p,
                    [&](int at) { return &new_keys[row + size_t(at) * d]; },
                    [&](int at) { return &new_values[row + size_t(at) * d]; }, one.data());
                for (uint32_t i = 0; i < d; i++) {
                    expected.push_back(one[i]);
                    got.push_back(from_half(out[size_t(m) * stride + places[q * d + i]]));
                }
            }
        }
    }
    for (size_t i = 0; i < cached; i++) changed += (keys[i] != new_keys[i]) + (values[i] != new_values[i]);
    std::string name = "attention_decode " + s.name() + " position " + std::to_string(positions[0]) + " x "
        + std::to_string(m_count) + ", " + std::to_string(splits) + (clustered ? " clustered" : "") + " splits, window "
        + std::to_string(window);
    compare(name, expected, got);
    compare(name + ": appended", expected_kv, got_kv, 2e-7);
    bool clean = true;
    for (uint32_t a : arrivals.get()) clean = clean && a == 0;
    if (!same || !clean || changed != expected_changed) {
        report(
            false, name,
            std::string(same ? "" : "other bits in another run; ") + (clean ? "" : "arrivals left; ")
                + std::to_string(changed) + " cache entries changed of " + std::to_string(expected_changed));
    }
}

void check_prefill(Shape s, uint32_t tokens, uint32_t start, uint32_t window) {
    uint32_t capacity = start + tokens + 5, d = s.d, stride = s.heads * d + 32;
    size_t cached = size_t(2) * s.kv_heads * capacity * d;
    std::vector<uint16_t> keys = random_halves(cached), values = random_halves(cached),
                          queries = random_halves(size_t(tokens) * s.heads * d, 0.3f);
    for (uint32_t h = 0; h < 2 * s.kv_heads; h++) {
        for (size_t i = (size_t(h) * capacity + start + tokens) * d; i < size_t(h + 1) * capacity * d; i++)
            keys[i] = values[i] = 0xFFFF;
    }
    std::vector<uint16_t> places = random_places(s.heads * d, stride);
    DeviceBuffer<uint16_t> device_keys(keys), device_values(values), device_queries(queries), device_places(places);
    DeviceBuffer<uint16_t> output(size_t(tokens) * stride);
    crumb_attention_prefill_args args = {
        device_queries.data,
        device_places.data,
        output.data,
        {device_keys.data, device_values.data, capacity, s.kv_heads},
        s.heads,
        tokens,
        start,
        1,
        stride,
        window};
    launch(prefill_kernel(d), dim3((tokens + 127) / 128, s.heads), CRUMB_PREFILL_THREADS, 4 * 64 * (d + 8) * 2, args);
    std::vector<uint16_t> out = output.get();
    std::vector<double> expected;
    std::vector<float> got;
    uint32_t group = s.heads / s.kv_heads;
    for (uint32_t m = 0; m < tokens; m += 1 + tokens / 40) {
        for (uint32_t h = 0; h < s.heads; h++) {
            size_t row = (size_t(s.kv_heads) + h / group) * capacity * d;
            std::vector<double> q(d), one(d);
            // Queries carry log2(e) / sqrt(D) already; attend divides by sqrt(D).
            for (uint32_t i = 0; i < d; i++) {
                q[i] =
                    from_half(queries[(size_t(m) * s.heads + h) * d + i]) * std::sqrt(double(d)) / 1.4426950408889634;
            }
            int p = int(start + m), first = window > 0 && int(window) <= p ? p - int(window) + 1 : 0;
            attend(
                q, d, first, p, [&](int at) { return &keys[row + size_t(at) * d]; },
                [&](int at) { return &values[row + size_t(at) * d]; }, one.data());
            for (uint32_t i = 0; i < d; i++) {
                expected.push_back(one[i]);
                got.push_back(from_half(out[size_t(m) * stride + places[h * d + i]]));
            }
        }
    }
    compare(
        "attention_prefill " + s.name() + " tokens " + std::to_string(tokens) + " from " + std::to_string(start)
            + " window " + std::to_string(window),
        expected, got);
}

void time_decode(
    const std::string &model, Shape s, uint32_t m_count, uint32_t length, uint32_t splits, bool early,
    bool clustered = false) {
    uint32_t capacity = (length + 64) / 64 * 64, d = s.d, features = (s.heads + 2 * s.kv_heads) * d;
    size_t layer = size_t(m_count) * s.kv_heads * capacity * d, layers = std::max<size_t>(2, 600'000'000 / (4 * layer));
    layers = std::min<size_t>(layers, 512);
    DeviceBuffer<float> qkv(random_floats(size_t(m_count) * features)), f(frequencies(d));
    DeviceBuffer<uint16_t> cache(2 * layer * layers), output(size_t(m_count) * s.heads * d);
    CUDA_CHECK(cudaMemset(cache.data, 0x35, cache.count * 2));
    std::vector<uint16_t> noise = random_halves(1 << 20);
    for (size_t i = 0; i + noise.size() <= cache.count; i += noise.size()) {
        CUDA_CHECK(cudaMemcpy(cache.data + i, noise.data(), noise.size() * 2, cudaMemcpyHostToDevice));
    }
    DeviceBuffer<int32_t> positions(std::vector<int32_t>(m_count, int32_t(length - 1)));
    uint32_t blocks = s.kv_heads * s.head_blocks();
    DeviceBuffer<float> partials(crumb_decode_partials(m_count, blocks, splits, d));
    DeviceBuffer<uint32_t> arrivals(m_count * blocks);
    arrivals.clear();
    double us = graph_time(64, [&](int i) {
        uint16_t *base = cache.data + size_t(i) % layers * 2 * layer;
        crumb_attention_decode_args args = {qkv.data,      nullptr,
                                            f.data,        positions.data,
                                            nullptr,       nullptr,
                                            output.data,   partials.data,
                                            arrivals.data, {base, base + layer, capacity, s.kv_heads},
                                            s.heads,       0,
                                            s.heads * d,   0};
        launch(decode_kernel(d, clustered), dim3(splits, blocks, m_count), CRUMB_DECODE_THREADS, 0, args, early);
    });
    print_time(
        "attention_decode " + model + " M " + std::to_string(m_count) + " length " + std::to_string(length) + " splits "
            + std::to_string(splits) + (clustered ? " clustered" : "") + (early ? "" : " plain"),
        us, size_t(m_count) * s.kv_heads * length * d * 4);
}
void time_prefill(Shape s, uint32_t tokens, uint32_t start) {
    uint32_t capacity = start + tokens, d = s.d;
    size_t cached = size_t(s.kv_heads) * capacity * d;
    DeviceBuffer<uint16_t> keys(random_halves(cached)), values(random_halves(cached));
    DeviceBuffer<uint16_t> queries(random_halves(size_t(tokens) * s.heads * d, 0.3f)), output(queries.count);
    crumb_attention_prefill_args args = {
        queries.data, nullptr, output.data, {keys.data, values.data, capacity, s.kv_heads}, s.heads, tokens, start, 0,
        s.heads * d,  0};
    double us = graph_time(16, [&](int) {
        launch(
            prefill_kernel(d), dim3((tokens + 127) / 128, s.heads), CRUMB_PREFILL_THREADS, 4 * 64 * (d + 8) * 2, args);
    });
    double flop = 4.0 * s.heads * d * (double(tokens) * start + 0.5 * tokens * tokens);
    std::printf(
        "time attention_prefill %s tokens %u from %u: %.1f us, %.0f TFLOP/s\n", s.name().c_str(), tokens, start, us,
        flop / us / 1e6);
}
} // namespace

void check_attention() {
    check_decode({9, 3, 64}, {0, 15, 16, 63, 64, -1, 300}, 5, 0, false, false);
    check_decode({32, 32, 128}, {255}, 8, 0, false, false);
    check_decode({32, 8, 128}, {1000, 17, 4095}, 32, 0, true, false);
    check_decode({12, 2, 128}, {700, 701}, 64, 0, false, true);
    check_decode({4, 4, 80}, {33, 129}, 3, 0, false, true);
    check_decode({6, 1, 96}, {200, 5}, 7, 50, true, true);
    check_decode({24, 2, 32}, {100, 77}, 4, 0, false, false);
    check_decode({8, 1, 128}, {2000}, 1, 512, false, false);
    check_decode({9, 3, 64}, {0, 15, 16, 63, 64, -1, 300, 700}, 8, 0, false, false, true);
    check_decode({32, 32, 128}, {255}, 8, 0, false, false, true);
    check_decode({32, 8, 128}, {1000, 17, 4095, 575}, 16, 0, true, false, true);
    check_decode({12, 2, 128}, {7000, 701}, 64, 0, false, true, true);
    check_decode({4, 4, 80}, {333, 129}, 8, 0, false, true, true);
    check_decode({6, 1, 96}, {900, 5}, 8, 250, true, true, true);
    check_decode({24, 2, 32}, {100, 777}, 8, 0, false, false, true);
    check_prefill({9, 3, 64}, 1, 0, 0);
    check_prefill({9, 3, 64}, 300, 0, 0);
    check_prefill({8, 2, 128}, 257, 100, 0);
    check_prefill({4, 4, 80}, 129, 3, 40);
    check_prefill({4, 1, 96}, 64, 64, 0);
    check_prefill({4, 2, 32}, 500, 0, 130);
}

void time_attention() {
    const Shape llama2 = {32, 32, 128}, llama3 = {32, 8, 128}, qwen = {12, 2, 128}, smol = {9, 3, 64};
    for (uint32_t splits : {4u, 8u}) time_decode("llama2-7b", llama2, 1, 256, splits, true);
    for (uint32_t splits : {8u, 16u}) time_decode("llama2-7b", llama2, 1, 256, splits, true, true);
    time_decode("llama2-7b", llama2, 1, 256, 8, false, true);
    for (uint32_t splits : {4u, 8u, 12u}) time_decode("llama2-7b", llama2, 1, 4096, splits, true);
    for (uint32_t splits : {8u, 16u}) time_decode("llama2-7b", llama2, 1, 4096, splits, true, true);
    time_decode("llama3-8b", llama3, 1, 256, 8, true);
    for (uint32_t splits : {8u, 32u}) time_decode("llama3-8b", llama3, 1, 256, splits, true, true);
    for (uint32_t splits : {16u, 32u}) time_decode("llama3-8b", llama3, 1, 4096, splits, true);
    for (uint32_t splits : {8u, 16u, 32u}) time_decode("llama3-8b", llama3, 1, 4096, splits, true, true);
    for (uint32_t splits : {16u, 64u}) time_decode("qwen2.5-1.5b", qwen, 1, 4096, splits, true);
    for (uint32_t splits : {8u, 32u, 64u}) time_decode("qwen2.5-1.5b", qwen, 1, 4096, splits, true, true);
    for (uint32_t splits : {8u, 64u}) time_decode("qwen2.5-1.5b", qwen, 1, 256, splits, true, true);
    for (uint32_t splits : {8u, 32u}) time_decode("smollm2-135m", smol, 1, 256, splits, true, true);
    for (uint32_t splits : {1u, 2u}) time_decode("llama2-7b", llama2, 8, 256, splits, true);
    time_decode("llama2-7b", llama2, 8, 256, 8, true, true);
    for (uint32_t splits : {1u, 2u}) time_decode("llama2-7b", llama2, 16, 1024, splits, true);
    time_decode("llama2-7b", llama2, 16, 1024, 8, true, true);
    time_prefill({32, 32, 128}, 512, 0);
    time_prefill({32, 32, 128}, 4096, 0);
    time_prefill({32, 8, 128}, 512, 3584);
    time_prefill({12, 2, 128}, 512, 0);
    time_prefill({9, 3, 64}, 512, 0);
}
