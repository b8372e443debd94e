// matvec_* against loops in double, and argmax.
#include "harness.cuh"

#include "../argmax.cu"
#include "../matvec.cu"
#include "matvec_rolled.cu"

namespace {
using Kernel = void (*)(const crumb_matvec_args);
Kernel kernel(uint32_t storage, bool rolled = false) {
    if (rolled) {
        return storage == CRUMB_TABLE_F16 ? matvec_rolled_f16
            : storage == CRUMB_TABLE_Q8   ? matvec_rolled_q8
                                          : matvec_rolled_q4;
    }
    return storage == CRUMB_TABLE_F16 ? matvec_f16 : storage == CRUMB_TABLE_Q8 ? matvec_q8 : matvec_q4;
}
uint32_t bits(uint32_t storage) { return storage == CRUMB_TABLE_F16 ? 16 : storage == CRUMB_TABLE_Q8 ? 8 : 4; }
const char *storage_name(uint32_t s) { return s == CRUMB_TABLE_F16 ? "f16" : s == CRUMB_TABLE_Q8 ? "q8" : "q4"; }

size_t shared_bytes(uint32_t storage, uint32_t tokens, uint32_t k, uint32_t stages) {
    return crumb_matvec_shared_bytes(bits(storage), k, tokens, CRUMB_MATVEC_THREADS, stages);
}

uint32_t stages_for(uint32_t storage, uint32_t tokens, uint32_t k) {
    return shared_bytes(storage, tokens, k, 3) <= 210 * 1024 ? 3 : 2;
}

struct ChoiceBuffers {
    DeviceBuffer<int32_t> tokens, positions;
    DeviceBuffer<uint32_t> steps, arrivals;
    DeviceBuffer<uint64_t> ring, best;
    explicit ChoiceBuffers(uint32_t m) : tokens(m), positions(m), steps(m), arrivals(m), ring(4 * m), best(m) {
        positions.set(std::vector<int32_t>(m, 7));
        steps.clear(), arrivals.clear(), best.clear();
    }
    crumb_choice choice() {
        return {tokens.data, positions.data, steps.data, ring.data,
                best.data,   arrivals.data,  4,          uint32_t(tokens.count)};
    }
};

void check(
    uint32_t storage, uint32_t n, uint32_t k, uint32_t tokens, uint32_t k_split, bool normed, bool accumulate,
    bool rolled = false) {
    size_t count = size_t(n) * k;
    std::vector<uint8_t> table(count * bits(storage) / 8);
    std::vector<uint16_t> scales = random_halves(count / 32, 0.01f);
    for (uint8_t &b : table) b = static_cast<uint8_t>(random_bits());
    if (storage == CRUMB_TABLE_F16) {
        std::vector<uint16_t> halves = random_halves(count, 0.02f);
        std::memcpy(table.data(), halves.data(), table.size());
    }
    std::vector<float> x = random_floats(size_t(tokens) * k, 2), norm = random_floats(k),
                       y = random_floats(size_t(tokens) * n), bias = random_floats(n);
    std::vector<uint16_t> halves(x.size());
    for (size_t i = 0; i < x.size(); i++) halves[i] = to_half(x[i]);
    DeviceBuffer<uint8_t> device_table(table);
    DeviceBuffer<uint16_t> device_scales(scales), device_halves(halves);
    DeviceBuffer<float> device_x(x), device_norm(norm), device_y(y), device_bias(bias);
    if (!accumulate) device_y.poison();
    ChoiceBuffers choice(tokens);
    uint32_t stages = random_bits() % 2 ? stages_for(storage, tokens, k) : 2;
    crumb_matvec_args args = {
        device_table.data,
        device_scales.data,
        normed ? static_cast<const void *>(device_x.data) : device_halves.data,
        normed ? device_norm.data : nullptr,
        accumulate ? device_bias.data : nullptr,
        device_y.data,
        n,
        k,
        tokens,
        k_split,
        1e-5f,
        accumulate,
        1,
        stages,
        choice.choice()};
    launch(kernel(storage, rolled), dim3(132), CRUMB_MATVEC_THREADS, shared_bytes(storage, tokens, k, stages), args);
    std::vector<float> out = device_y.get();
    std::vector<double> expected;
    std::vector<float> got;
    bool greedy = true;
    std::vector<int32_t> chosen = choice.tokens.get(), positions = choice.positions.get();
    std::vector<uint64_t> ring = choice.ring.get();
    for (uint32_t m = 0; m < tokens; m++) {
        std::vector<double> in(k);
        double sum = 0;
        for (uint32_t i = 0; i < k; i++) sum += double(x[size_t(m) * k + i]) * x[size_t(m) * k + i];
        double scale = 1 / std::sqrt(sum / k + 1e-5);
        for (uint32_t i = 0; i < k; i++)
            in[i] = normed ? x[size_t(m) * k + i] * scale * norm[i] : from_half(halves[size_t(m) * k + i]);
        // Every row of small matrices, a sample of large ones.
        uint32_t step = n > 3000 ? 37 : 1;
        for (uint32_t r = 0; r < n; r = r + step < n || r == n - 1 ? r + step : n - 1) {
            double total = accumulate ? double(y[size_t(m) * n + r]) + bias[r] : 0;
            for (uint32_t i = 0; i < k; i++) {
                size_t at = size_t(r) * k + i;
                double w;
                if (storage == CRUMB_TABLE_F16) {
                    uint16_t half;
                    std::memcpy(&half, &table[2 * at], 2);
                    w = from_half(half);
                } else if (storage == CRUMB_TABLE_Q8) {
                    w = double(from_half(scales[at / 32])) * static_cast<int8_t>(table[at]);
                } else {
                    w = double(from_half(scales[at / 32])) * ((table[at / 2] >> 4 * (at % 2) & 15) - 8);
                }
                total += w * in[i];
            }
            expected.push_back(total);
            got.push_back(out[size_t(m) * n + r]);
        }
        auto row = out.begin() + size_t(m) * n;
        int best = static_cast<int>(std::max_element(row, row + n) - row);
        greedy = greedy && chosen[m] == best && positions[m] == 8 && ring[m] == (1ull << 32 | uint32_t(best));
    }
    std::string name = std::string(rolled ? "matvec_rolled_" : "matvec_") + storage_name(storage) + " "
        + std::to_string(n) + " x " + std::to_string(k) + " M " + std::to_string(tokens) + " split "
        + std::to_string(k_split);
    compare(name, expected, got);
    if (!greedy) report(false, name, "the most likely token is wrong");
    // The separate argmax agrees, ties go to the lowest id.
    if (tokens == 1) {
        out[n / 3] = out[n - 1] = 1e9f;
        device_y.set(out);
        crumb_argmax_args arg = {device_y.data, n, 0, choice.choice()};
        launch(argmax_f32, dim3(9, 1), CRUMB_ARGMAX_THREADS, 0, arg);
        int token = choice.tokens.get()[0];
        report(token == int(n / 3) && choice.steps.get()[0] == 2, name + ": argmax", std::to_string(token));
    }
}

void time_one(
    uint32_t storage, uint32_t n, uint32_t k, uint32_t tokens, uint32_t k_split, bool greedy = false,
    bool normed = true, bool early = true, uint32_t stages = 0, bool rolled = false) {
    if (stages == 0) stages = stages_for(storage, tokens, k);
    size_t bytes = size_t(n) * k * bits(storage) / 8, scale_bytes = storage == CRUMB_TABLE_F16 ? 0 : size_t(n) * k / 16;
    size_t one = (bytes + scale_bytes + 255) / 256 * 256, copies = std::max<size_t>(1, arena_bytes / one);
    DeviceBuffer<float> x(random_floats(size_t(tokens) * k)), norm(random_floats(k)), y(size_t(tokens) * n);
    DeviceBuffer<uint16_t> halves(random_halves(size_t(tokens) * k));
    ChoiceBuffers choice(tokens);
    uint8_t *memory = arena();
    double us = graph_time(32, [&](int i) {
        uint8_t *weights = memory + size_t(i) % copies * one;
        crumb_matvec_args args = {
            weights,
            reinterpret_cast<uint16_t *>(weights + bytes),
            normed ? static_cast<const void *>(x.data) : halves.data,
            normed ? norm.data : nullptr,
            nullptr,
            y.data,
            n,
            k,
            tokens,
            k_split,
            1e-5f,
            0,
            greedy,
            stages,
            choice.choice()};
        launch(
            kernel(storage, rolled), dim3(132), CRUMB_MATVEC_THREADS, shared_bytes(storage, tokens, k, stages), args,
            early);
    });
    print_time(
        std::string("matvec_") + storage_name(storage) + " " + std::to_string(n) + " x " + std::to_string(k) + " M "
            + std::to_string(tokens) + " split " + std::to_string(k_split) + (greedy ? " greedy" : "") + " stages "
            + std::to_string(stages) + (rolled ? " rolled" : "") + (early ? "" : " plain"),
        us, bytes + scale_bytes);
}
} // namespace

void check_matvec() {
    for (bool rolled : {false, true}) {
        for (uint32_t storage : {uint32_t(CRUMB_TABLE_F16), uint32_t(CRUMB_TABLE_Q8), uint32_t(CRUMB_TABLE_Q4)}) {
            check(storage, 1001, 576, 1, 1, true, false, rolled);
            check(storage, 5000, 1536, 1, 1, true, false, rolled);
            check(storage, 1000, 2048, 2, 1, true, false, rolled);
            check(storage, 1000, 1120, 4, 2, true, true, rolled);
            check(storage, 1000, 1120, 5, 1, false, true, rolled);
            check(storage, 4096, 4096, 1, 8, true, true, rolled);
            check(storage, 2304, 2048, 3, 2, false, false, rolled);
            check(storage, 333, 896, 8, 16, true, true, rolled);
            check(storage, 16, 32, 2, 4, false, false, rolled);
        }
    }
    check(CRUMB_TABLE_F16, 4096, 11008, 1, 16, false, true);
}

void time_matvec() {
    for (uint32_t storage : {uint32_t(CRUMB_TABLE_F16), uint32_t(CRUMB_TABLE_Q8), uint32_t(CRUMB_TABLE_Q4)}) {
        time_one(storage, 32000, 4096, 1, 1);
        time_one(storage, 32000, 4096, 1, 2);
        time_one(storage, 32000, 4096, 1, 8);
        time_one(storage, 32000, 4096, 1, 1, true);
        time_one(storage, 32000, 4096, 1, 1, false, true, false);
        time_one(storage, 32000, 4096, 1, 1, false, true, true, 2);
        for (uint32_t stages : {2u, 3u}) time_one(storage, 32000, 4096, 1, 1, false, true, true, stages, true);
        time_one(storage, 49152, 576, 1, 1, false, true, true, 2, true);
        time_one(storage, 128256, 4096, 1, 1, false, true, true, 2, true);
        time_one(storage, 128256, 4096, 1, 1, false, true, true, 2);
        time_one(storage, 32000, 4096, 8, 1, false, true, true, 2, true);
        time_one(storage, 32000, 4096, 2, 1);
        time_one(storage, 32000, 4096, 8, 1);
        time_one(storage, 128256, 4096, 1, 1);
        time_one(storage, 151936, 1536, 1, 1);
        time_one(storage, 49152, 576, 1, 1);
    }
    struct {
        uint32_t n, k;
    } shapes[] = {{12288, 4096}, {4096, 4096}, {22016, 4096}, {4096, 11008}};
    for (auto shape : shapes) {
        for (uint32_t split : {4u, 8u, 16u})
            time_one(CRUMB_TABLE_F16, shape.n, shape.k, 1, split, false, shape.k == 4096);
        if (shape.k == 4096) time_one(CRUMB_TABLE_F16, shape.n, shape.k, 8, 8);
    }
}
