// The tuning kernels on a CPU: gradients against differences of what the forward kernels give, a step against a plain
// one. Needs no GPU; see run.sh.
#include "tune_attention.cu"
#include "tune_importance.cu"
#include "tune_loss.cu"
#include "tune_norm.cu"
#include "tune_silu.cu"
#include "tune_step.cu"

#include <random>

alignas(128) uint8_t packed_memory[232448];
// The same bytes.
extern float tune_memory[] __attribute__((alias("packed_memory")));

using numbers = std::vector<float>;

static std::mt19937 generator(7);

static numbers random_numbers(size_t count, float spread = 1, float middle = 0) {
    std::normal_distribution<float> normal(middle, spread);
    numbers out(count);
    for (float &x : out) x = normal(generator);
    return out;
}

static double dot(const numbers &a, const numbers &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += static_cast<double>(a[i]) * b[i];
    return sum;
}

static numbers moved(const numbers &x, const numbers &along, double by) {
    numbers out = x;
    for (size_t i = 0; i < x.size(); i++) out[i] += static_cast<float>(by * along[i]);
    return out;
}

template <typename Arguments>
static void launch(void (*kernel)(Arguments), size_t blocks, const Arguments &a, size_t row = 0) {
    emulated_launch(blocks, CRUMB_TUNE_THREADS, CRUMB_TUNE_SCRATCH_BYTES + 4 * row, [&] { kernel(a); });
}

static int failures = 0;

static void report(const char *name, double expected, double got, double bound) {
    const bool good = std::fabs(got - expected) <= bound * std::fmax(std::fabs(expected), 1e-6);
    failures += !good;
    std::printf("%s %-44s %12.6g %12.6g\n", good ? "ok  " : "FAIL", name, expected, got);
}

// Whether `gradient` is that of `value` at x: along a random direction, and along itself.
static void check(
    const char *name, const numbers &x, const numbers &gradient, const std::function<double(const numbers &)> &value) {
    for (const numbers &along : {random_numbers(x.size()), gradient}) {
        const double step = 2e-3 / std::sqrt(dot(along, along) / x.size());
        const double difference = (value(moved(x, along, step)) - value(moved(x, along, -step))) / (2 * step);
        const double size = std::sqrt(dot(gradient, gradient) * dot(along, along));
        report(name, 1, 1 + (dot(gradient, along) - difference) / size, 5e-3);
    }
}

static void check_norm() {
    const uint32_t tokens = 1031, columns = 72;
    const numbers x = random_numbers(tokens * columns), weight = random_numbers(columns, 0.2f, 1), r = random_numbers(x.size());
    numbers scales(tokens);
    auto forward = [&](const numbers &x, const numbers &weight) {
        numbers y(x.size());
        launch(
            tune_norm_f32, tokens, crumb_tune_norm_args{x.data(), weight.data(), y.data(), scales.data(), columns, 1e-5f});
        return dot(y, r);
    };
    forward(x, weight);
    numbers gradient = random_numbers(x.size()), copy(x.size()), sums(columns), partials(CRUMB_TUNE_NORM_BLOCKS * columns);
    const numbers before = gradient;
    launch(
        tune_norm_backward_f32, CRUMB_TUNE_NORM_BLOCKS,
        crumb_tune_norm_backward_args{
            x.data(), weight.data(), scales.data(), r.data(), gradient.data(), copy.data(), partials.data(), tokens,
            columns},
        columns);
    report("a copy of the stream's gradient", dot(gradient, gradient), dot(gradient, copy), 0);
    launch(
        tune_column_sums_f32, 3,
        crumb_tune_column_sums_args{partials.data(), sums.data(), CRUMB_TUNE_NORM_BLOCKS, columns, 1, 0},
        CRUMB_TUNE_THREADS);
    for (size_t i = 0; i < gradient.size(); i++) gradient[i] -= before[i];
    check("norm by its input", x, gradient, [&](const numbers &x) { return forward(x, weight); });
    check("norm by its weight", weight, sums, [&](const numbers &weight) { return forward(x, weight); });
}

static void check_sums() {
    const uint32_t rows = 37, columns = 300, parts = 5;
    const numbers x = random_numbers(rows * columns);
    numbers partials(parts * columns), expected(columns), got(columns);
    launch(
        tune_column_sums_f32, 10 * parts,
        crumb_tune_column_sums_args{x.data(), partials.data(), rows, columns, parts, 0}, CRUMB_TUNE_THREADS);
    for (uint32_t i = 0; i < rows * columns; i++) expected[i % columns] += x[i];
    for (uint32_t i = 0; i < parts * columns; i++) got[i % columns] += partials[i];
    report("sums of columns", dot(expected, expected), dot(got, expected), 1e-5);
}

// Both are linear: <r, A x> = <A^T r, x>.
static void check_rope_and_heads() {
    const uint32_t texts = 2, length = 9, heads = 4, kv_heads = 2, head_dim = 10, all = heads + 2 * kv_heads;
    const numbers frequencies = random_numbers(head_dim / 2), rows = random_numbers(texts * length * all * head_dim);
    numbers q(texts * heads * length * head_dim), k(q.size() / 2), v(k.size()), back(rows.size());
    auto rope = [&](const numbers &rows, numbers &q, numbers &k, numbers &v, const float *bias, bool backward) {
        launch(
            tune_rope_f32, texts * length,
            crumb_tune_rope_args{
                const_cast<float *>(rows.data()), bias, frequencies.data(), q.data(), k.data(), v.data(), length, heads,
                kv_heads, head_dim, backward, 0});
    };
    rope(rows, q, k, v, nullptr, false);
    numbers rq = random_numbers(q.size()), rk = random_numbers(k.size()), rv = random_numbers(v.size());
    const double forward = dot(q, rq) + dot(k, rk) + dot(v, rv);
    rope(back, rq, rk, rv, nullptr, true);
    report("rope and its transpose", forward, dot(back, rows), 1e-4);
    report("rope keeps lengths", dot(rows, rows), dot(q, q) + dot(k, k) + dot(v, v), 1e-4);
    const numbers bias = random_numbers(all * head_dim);
    numbers biased = rows, q2 = q, k2 = k, v2 = v;
    for (size_t i = 0; i < rows.size(); i++) biased[i] += bias[i % bias.size()];
    rope(biased, q, k, v, nullptr, false);
    rope(rows, q2, k2, v2, bias.data(), false);
    report("rope adds the bias first", dot(q, q) + dot(v, v), dot(q, q2) + dot(v, v2), 1e-5);

    numbers flat(q.size()), again(q.size());
    launch(tune_heads_f32, texts * length, crumb_tune_heads_args{q.data(), flat.data(), length, heads, head_dim, 0});
    launch(tune_heads_f32, texts * length, crumb_tune_heads_args{flat.data(), again.data(), length, heads, head_dim, 1});
    report("heads to rows and back", dot(q, q), dot(q, again), 0);
    // Text 1, head 2, position 3, feature 4.
    report(
        "a number's place in its row", q[((1 * heads + 2) * length + 3) * head_dim + 4],
        flat[(1 * length + 3) * heads * head_dim + 2 * head_dim + 4], 0);
}

static void check_softmax() {
    const uint32_t length = 24, squares = 3;
    const size_t count = squares * length * length;
    const numbers scores = random_numbers(count), r = random_numbers(count);
    auto forward = [&](const numbers &scores, numbers &p) {
        launch(
            tune_softmax_f32, squares * length / tune_warps,
            crumb_tune_softmax_args{scores.data(), p.data(), length, 0.7f});
        return dot(p, r);
    };
    numbers p(count), gradient(count), other(count);
    forward(scores, p);
    double sum = 0, ahead = 0;
    for (size_t i = 0; i < count; i++) sum += p[i], ahead += i % length > i / length % length ? p[i] : 0;
    report("probabilities add up to one", squares * length, sum, 1e-5);
    report("nothing is seen of what comes", 0, ahead, 0);
    launch(
        tune_softmax_backward_f32, squares * length / tune_warps,
        crumb_tune_softmax_backward_args{r.data(), p.data(), gradient.data(), length, 0.7f});
    check("softmax", scores, gradient, [&](const numbers &scores) { return forward(scores, other); });
}

static void check_silu(uint32_t features) {
    const uint32_t tokens = 5;
    const numbers gate_up = random_numbers(2 * tokens * features, 2), r = random_numbers(tokens * features);
    auto forward = [&](numbers gate_up) {
        numbers y(r.size());
        launch(tune_silu_f32, tokens, crumb_tune_silu_args{gate_up.data(), y.data(), features, 0});
        return dot(y, r);
    };
    numbers gradient = gate_up, output = r;
    launch(tune_silu_f32, tokens, crumb_tune_silu_args{gradient.data(), output.data(), features, 1});
    check("silu", gate_up, gradient, forward);
}

static void check_divergence() {
    const uint32_t tokens = 4, vocabulary = 700;
    const numbers student = random_numbers(tokens * vocabulary, 2), teacher = random_numbers(tokens * vocabulary, 2);
    numbers gradient(student.size()), losses(tokens);
    auto forward = [&](const numbers &student) {
        launch(
            tune_divergence_f32, tokens,
            crumb_tune_divergence_args{
                student.data(), teacher.data(), gradient.data(), losses.data(), vocabulary, 1});
        double sum = 0;
        for (float loss : losses) sum += loss;
        return sum;
    };
    double expected = 0;
    for (uint32_t t = 0; t < tokens; t++) {
        double p = 0, q = 0;
        for (uint32_t i = 0; i < vocabulary; i++) {
            p += std::exp(double(teacher[t * vocabulary + i])), q += std::exp(double(student[t * vocabulary + i]));
        }
        for (uint32_t i = 0; i < vocabulary; i++) {
            const double log_p = teacher[t * vocabulary + i] - std::log(p), log_q = student[t * vocabulary + i] - std::log(q);
            expected += std::exp(log_p) * (log_p - log_q);
        }
    }
    report("divergence", expected, forward(student), 1e-5);
    const numbers own = gradient;
    check("divergence by the student's logits", student, own, forward);
}

static void check_likelihood() {
    const uint32_t tokens = 6, vocabulary = 300;
    const numbers logits = random_numbers(tokens * vocabulary, 2), draws = {0, 0.999999f, 0.25f, 0.5f, 0.03f, 0.9f};
    numbers gradient(logits.size());
    launch(
        tune_likelihood_f32, tokens,
        crumb_tune_likelihood_args{logits.data(), draws.data(), gradient.data(), vocabulary, 0}, CRUMB_TUNE_THREADS + 1);
    std::vector<uint32_t> labels;
    for (uint32_t t = 0; t < tokens; t++) {
        double all = 0, sum = 0;
        for (uint32_t i = 0; i < vocabulary; i++) all += std::exp(double(logits[t * vocabulary + i]));
        uint32_t label = 0;
        while (label + 1 < vocabulary && (sum += std::exp(double(logits[t * vocabulary + label])) / all) <= draws[t]) label++;
        labels.push_back(label);
        uint32_t found = 0;
        for (uint32_t i = 0; i < vocabulary; i++) {
            if (gradient[t * vocabulary + i] < gradient[t * vocabulary + found]) found = i;
        }
        report("a label that is drawn", label, found, 0);
    }
    check("likelihood by the logits", logits, gradient, [&](const numbers &logits) {
        double loss = 0;
        for (uint32_t t = 0; t < tokens; t++) {
            double q = 0;
            for (uint32_t i = 0; i < vocabulary; i++) q += std::exp(double(logits[t * vocabulary + i]));
            loss += std::log(q) - logits[t * vocabulary + labels[t]];
        }
        return loss;
    });
}

static void check_importance() {
    const uint32_t tokens = 21, columns = 300, first = 37, count = 205;
    const numbers x = random_numbers(tokens * columns);
    numbers rows(tokens), channels(columns, 2);
    launch(
        tune_row_squares_f32, tokens,
        crumb_tune_row_squares_args{x.data(), rows.data(), columns, first, count, 0});
    launch(
        tune_channel_squares_f32, 2,
        crumb_tune_channel_squares_args{x.data(), channels.data(), tokens, columns});
    for (uint32_t t : {0u, 20u}) {
        double sum = 0;
        for (uint32_t n = first; n < first + count; n++) sum += double(x[t * columns + n]) * x[t * columns + n];
        report("squares of a token", sum, rows[t], 1e-5);
    }
    for (uint32_t k : {0u, 299u}) {
        double sum = 2;
        for (uint32_t t = 0; t < tokens; t++) sum += double(x[t * columns + k]) * x[t * columns + k];
        report("squares of a channel", sum, channels[k], 1e-5);
    }
}

// A plain step of Adam; the means begin at zero and have taken in `gradients` gradients of the same value.
static double adam(double value, double gradient, double rate, double &first, double &second, int step) {
    first = 0.9 * first + 0.1 * gradient, second = 0.95 * second + 0.05 * gradient * gradient;
    const double size = std::sqrt(second / (1 - std::pow(0.95, step)));
    return size > 0 ? value - rate * first / (1 - std::pow(0.9, step)) / size : value;
}

// Two segments with a region of each width, padding, outliers, a row of no scale.
static void check_step() {
    const uint32_t rows = 3, segment_channels = 96, positions = 192, columns = 170, groups = 6;
    numbers latents = random_numbers(rows * positions), row_scales(rows * 4), scales(rows * groups);
    for (float &x : row_scales) x = 0.05f + 0.001f * static_cast<float>(generator() % 20);
    for (int i = 0; i < 4; i++) row_scales[4 + i] = 0;
    std::vector<uint32_t> outliers(rows * groups);
    for (uint32_t &x : outliers) x = generator() & generator() & generator();
    for (uint32_t i = 0; i < rows * groups; i++) {
        scales[i] = row_scales[i / groups * 4 + i % groups / 3 * 2 + (i % 3 > 0)] * static_cast<float>(1 + generator() % 16);
    }
    std::vector<uint16_t> order(positions, CRUMB_PADDING_CHANNEL);
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < 85; i++) order[s * segment_channels + i] = static_cast<uint16_t>(s * 85 + (i * 31 + 7) % 85);
    }
    numbers first(latents.size()), second(first), scale_first(scales.size()), scale_second(scale_first);
    numbers weights(rows * columns);
    const numbers before = latents, scales_before = scales, gradient = random_numbers(rows * columns);
    crumb_tune_step_args a{
        latents.data(), first.data(), second.data(), scales.data(), scale_first.data(), scale_second.data(),
        row_scales.data(), outliers.data(), order.data(), nullptr, weights.data(), columns, positions, segment_channels, 32,
        0.01f, 0.02f, crumb_tune_adam{0.9f, 0.95f, 10, 20}};
    launch(tune_step_f32, rows, a, columns);
    double unmoved = 0;
    for (size_t i = 0; i < latents.size(); i++) unmoved += std::fabs(latents[i] - before[i]);
    report("rounding alone moves nothing", 0, unmoved, 0);
    a.gradient = gradient.data();
    launch(tune_step_f32, rows, a, columns);
    numbers expected(latents.size()), expected_scales(scales.size()), expected_weights(weights.size());
    for (uint32_t g = 0; g < rows * groups; g++) {
        const uint32_t row = g / groups;
        const bool four = g % 3 == 0;
        const double top = four ? 7.5 : 1.5, row_scale = row_scales[row * 4 + g % groups / 3 * 2 + !four];
        auto rounded = [&](double s) { return row_scale > 0 ? row_scale * std::fmin(std::fmax(std::nearbyint(s / row_scale), 1), 16) : 0; };
        auto level = [&](double x) { return std::nearbyint(std::fmin(std::fmax(x, -top), top) - 0.5) + 0.5; };
        const double scale = rounded(scales_before[g]);
        double share = 0;
        for (uint32_t c = 0; c < 32; c++) {
            const size_t i = static_cast<size_t>(g) * 32 + c;
            const uint16_t channel = order[i % positions];
            const bool outlier = outliers[g] >> c & 1;
            const double slope = channel == CRUMB_PADDING_CHANNEL ? 0 : gradient[row * columns + channel];
            const double x = before[i] / scale;
            const bool inside = std::fabs(x) <= top + 0.5;
            double one = 0, two = 0;
            expected[i] = static_cast<float>(
                scale > 0 ? adam(before[i], outlier || inside ? slope : 0, 0.01 * scale, one, two, 1) : before[i]);
            if (scale > 0 && !outlier) share += slope * (inside ? level(x) - x : level(x));
        }
        double one = 0, two = 0;
        expected_scales[g] = static_cast<float>(
            scale > 0 ? std::fmin(std::fmax(adam(scales_before[g], share, 0.02 * scale, one, two, 1), row_scale), 16 * row_scale)
                      : scales_before[g]);
        const double next = rounded(expected_scales[g]);
        for (uint32_t c = 0; c < 32; c++) {
            const size_t i = static_cast<size_t>(g) * 32 + c;
            const uint16_t channel = order[i % positions];
            if (channel == CRUMB_PADDING_CHANNEL) continue;
            const bool outlier = outliers[g] >> c & 1;
            expected_weights[row * columns + channel] =
                static_cast<float>(outlier || next == 0 ? expected[i] : next * level(expected[i] / next));
        }
    }
    auto distance = [](const numbers &a, const numbers &b) {
        double sum = 0;
        for (size_t i = 0; i < a.size(); i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
        return std::sqrt(sum);
    };
    report("latent weights after a step", 1, 1 + distance(latents, expected), 1e-5);
    report("latent scales after a step", 1, 1 + distance(scales, expected_scales), 1e-5);
    report("weights after a step", 1, 1 + distance(weights, expected_weights), 1e-5);
}

int main() {
    check_norm();
    check_sums();
    check_rope_and_heads();
    check_softmax();
    check_silu(300);
    check_silu(304);
    check_divergence();
    check_likelihood();
    check_importance();
    check_step();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
