// sample_f32 against the rules of CrumbEngine's Sampler, written down again here.
#include "harness.cuh"

#include "../sample.cu"

namespace {
struct Host {
    crumb_sampling options;
    std::vector<bool> seen;

    double uniform() {
        uint64_t *s = options.random;
        auto turn = [](uint64_t v, int n) { return v << n | v >> (64 - n); };
        uint64_t result = turn(s[1] * 5, 7) * 9, shifted = s[1] << 17;
        s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= shifted, s[3] = turn(s[3], 45);
        return double(result >> 11) * 0x1p-53;
    }

    // The token, and how near the drawn point came to a border between tokens.
    int next(std::vector<float> logits, double &margin) {
        struct Candidate {
            int token;
            double weight;
        };
        margin = 1;
        size_t count = logits.size();
        if (options.repetition_penalty != 1) {
            for (size_t i = 0; i < count; i++) {
                if (seen[i])
                    logits[i] =
                        logits[i] > 0 ? logits[i] / options.repetition_penalty : logits[i] * options.repetition_penalty;
            }
        }
        int best = int(std::max_element(logits.begin(), logits.end()) - logits.begin()), token = best;
        if (options.inverse_temperature > 0) {
            auto before = [](const Candidate &a, const Candidate &b) {
                return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
            };
            std::vector<Candidate> c(count);
            for (size_t i = 0; i < count; i++) c[i] = {int(i), logits[i]};
            if (options.top_k > 0 && size_t(options.top_k) < count) {
                std::sort(c.begin(), c.end(), before);
                c.resize(size_t(options.top_k));
            }
            double total = 0;
            for (Candidate &x : c)
                total += x.weight = std::exp((x.weight - double(logits[best])) * options.inverse_temperature);
            if (options.top_p < 1) {
                std::sort(c.begin(), c.end(), before);
                double sum = 0;
                for (size_t i = 0; i < c.size(); i++) {
                    sum += c[i].weight;
                    if (sum >= options.top_p * total) {
                        margin = std::min(
                            margin,
                            std::min(sum - options.top_p * total, options.top_p * total - (sum - c[i].weight)) / total);
                        c.resize(i + 1);
                        break;
                    }
                }
            }
            std::vector<Candidate> left;
            for (const Candidate &x : c) {
                if (!(options.min_p > 0 && x.weight < options.min_p)) left.push_back(x);
            }
            double kept = 0, sum = 0, point = uniform();
            for (const Candidate &x : left) kept += x.weight;
            token = left.back().token;
            for (const Candidate &x : left) {
                double border = sum + x.weight / kept;
                if (point < border) {
                    token = x.token;
                    margin = std::min(margin, std::min(point - sum, border - point));
                    break;
                }
                sum = border;
            }
        }
        if (options.repetition_penalty != 1) seen[size_t(token)] = true;
        return token;
    }
};

void check(
    const std::string &name, uint32_t vocabulary, double temperature, int top_k, double top_p, double min_p,
    float penalty, float spread, bool ties) {
    uint32_t rows = 3, words = (vocabulary + 31) / 32;
    int steps = 12;
    DeviceBuffer<float> logits(size_t(rows) * vocabulary);
    std::vector<crumb_sampling> options(rows);
    std::vector<Host> hosts(rows);
    std::vector<uint32_t> seen(size_t(rows) * words, 0);
    for (uint32_t m = 0; m < rows; m++) {
        options[m] = {
            temperature > 0 ? 1 / temperature : 0,
            top_p,
            min_p,
            penalty,
            top_k,
            {random_bits(), random_bits(), random_bits(), random_bits()}};
        hosts[m].options = options[m];
        hosts[m].seen.assign(vocabulary, false);
        for (uint32_t i = 0; i < vocabulary / 8; i++) {
            uint32_t token = uint32_t(random_bits() % vocabulary);
            hosts[m].seen[token] = true;
            seen[size_t(m) * words + token / 32] |= 1u << token % 32;
        }
    }
    DeviceBuffer<crumb_sampling> device_options(options);
    DeviceBuffer<uint32_t> device_seen(seen), counts(rows);
    DeviceBuffer<int32_t> tokens(rows), positions(std::vector<int32_t>{5, 6, 7});
    DeviceBuffer<uint64_t> ring(8 * rows);
    counts.clear();
    int wrong = 0, near = 0;
    for (int step = 0; step < steps; step++) {
        std::vector<float> values = random_floats(size_t(rows) * vocabulary, spread);
        if (ties) {
            for (float &x : values) x = std::round(x * 2) / 2;
        }
        logits.set(values);
        crumb_sample_args args = {
            logits.data,
            device_options.data,
            device_seen.data,
            vocabulary,
            0,
            {tokens.data, positions.data, counts.data, ring.data, nullptr, nullptr, 8, rows}};
        launch(sample_f32, dim3(rows), CRUMB_SAMPLE_THREADS, 0, args);
        std::vector<int32_t> got = tokens.get();
        std::vector<uint64_t> entries = ring.get();
        for (uint32_t m = 0; m < rows; m++) {
            double margin;
            std::vector<float> row(
                values.begin() + size_t(m) * vocabulary, values.begin() + size_t(m + 1) * vocabulary);
            int token = hosts[m].next(row, margin);
            bool same =
                token == got[m] && entries[size_t(step % 8) * rows + m] == (uint64_t(step + 1) << 32 | uint32_t(token));
            // The slow way has weights in fp32: a point closer than that to a border may fall on its other side.
            if (!same && margin < 1e-6) {
                near++;
                // Keep the two histories together.
                if (penalty != 1) {
                    std::vector<uint32_t> bits = device_seen.get();
                    for (uint32_t i = 0; i < vocabulary; i++)
                        hosts[m].seen[i] = bits[size_t(m) * words + i / 32] >> i % 32 & 1;
                }
            } else if (!same) {
                wrong++;
            }
        }
    }
    report(
        wrong == 0 && near <= 4, "sample " + name,
        std::to_string(wrong) + " of " + std::to_string(rows * uint32_t(steps)) + " differ, " + std::to_string(near)
            + " within 1e-6 of a border");
}
} // namespace

void check_sample() {
    check("defaults", 32000, 0.8, 40, 0.95, 0.05, 1.0f, 3, false);
    check("with penalty", 49152, 0.7, 50, 0.9, 0, 1.15f, 3, false);
    check("greedy with penalty", 32000, 0, 0, 1, 0, 1.3f, 3, false);
    check("ties", 32000, 1, 40, 0.95, 0, 1.0f, 3, true);
    check("top-p alone", 32000, 0.7, 0, 0.9, 0, 1.0f, 4, false);
    check("top-p of a flat row", 32000, 1.5, 0, 0.95, 0, 1.0f, 1, false);
    check("top-p of a flat row with ties and min-p", 32001, 1.5, 0, 0.95, 0.01, 1.0f, 1, true);
    check("top-k of 3000", 32000, 1.5, 3000, 1, 0, 1.0f, 1, false);
    check("top-k of 3000, top-p, min-p", 32000, 1.5, 3000, 0.7, 0.1, 1.0f, 1, true);
    check("min-p alone", 151936, 1, 0, 1, 0.1, 1.0f, 3, false);
    check("min-p of a flat row", 32000, 3, 0, 1, 0.01, 1.0f, 1, false);
    check("ancestral", 151936, 1, 0, 1, 0, 1.0f, 2, false);
    check("tiny vocabulary", 17, 1, 5, 0.9, 0.01, 1.1f, 2, false);
}

void time_sample() {
    struct {
        const char *name;
        uint32_t vocabulary;
        double top_p, min_p;
        int top_k;
        float penalty, spread;
    } cases[] = {
        {"32000 defaults", 32000, 0.95, 0.05, 40, 1, 3},
        {"151936 defaults", 151936, 0.95, 0.05, 40, 1, 3},
        {"151936 penalty 1.1", 151936, 0.95, 0, 40, 1.1f, 3},
        {"151936 ancestral", 151936, 1, 0, 0, 1, 3},
        {"32000 top-p, flat", 32000, 0.95, 0, 0, 1, 1}};
    for (auto &c : cases) {
        DeviceBuffer<float> logits(random_floats(c.vocabulary, c.spread));
        DeviceBuffer<crumb_sampling> options(
            std::vector<crumb_sampling>{{1.25, c.top_p, c.min_p, c.penalty, c.top_k, {1, 2, 3, 4}}});
        DeviceBuffer<uint32_t> seen(c.vocabulary / 32 + 1), counts(1);
        DeviceBuffer<int32_t> tokens(1), positions(std::vector<int32_t>{1});
        DeviceBuffer<uint64_t> ring(8);
        seen.clear(), counts.clear();
        double us = graph_time(8, [&](int) {
            crumb_sample_args args = {
                logits.data, options.data,
                seen.data,   c.vocabulary,
                0,           {tokens.data, positions.data, counts.data, ring.data, nullptr, nullptr, 8, 1}};
            launch(sample_f32, dim3(1), CRUMB_SAMPLE_THREADS, 0, args);
        });
        std::printf("time sample %-50s %8.2f us\n", c.name, us);
    }
}
