// The quantizing kernels on a CPU, with plain products where CrumbTune's CardMatrix has cuBLAS's: whether what they leave is
// on the grid, and loses what each method and each variant of the storage should. Needs no GPU; see run.sh.

// One block runs at a time, and its threads share what is declared so.
#undef __shared__
#define __shared__ static
#include "quantize_codes.cu"
#include "quantize_scales.cu"
#include "quantize_store.cu"

#include <algorithm>
#include <random>

alignas(128) uint8_t packed_memory[232448];

using numbers = std::vector<float>;

// Two segments of 92 channels: 32 with 4 bits, 60 with 2, and 4 of padding.
constexpr uint32_t rows = 43, segments = 2, segment_columns = 92, four = 32, segment_channels = 96, span = 128;
constexpr uint32_t positions = segments * segment_channels, columns = segments * segment_columns;
constexpr uint32_t groups = positions / 32, per_tile = 4, threads = CRUMB_QUANTIZE_THREADS;

static int failures = 0;

static void report(const char *name, bool good, double value) {
    failures += !good;
    std::printf("%s %-52s %12.6g\n", good ? "ok  " : "FAIL", name, value);
}

template <typename Arguments> static void launch(void (*kernel)(Arguments), size_t blocks, const Arguments &a) {
    emulated_launch(static_cast<uint32_t>(blocks), threads, 0, [&] { kernel(a); });
}

// A matrix with its input's statistics.
struct layer {
    numbers source, hessian, feedback, importance;
    std::vector<uint16_t> order;

    layer() : source(rows * columns), hessian(positions * positions), feedback(hessian.size()), importance(positions) {
        std::mt19937 generator(5);
        std::normal_distribution<float> normal;
        for (float &w : source) w = normal(generator) * (generator() % 99 == 0 ? 6 : 1);
        for (uint32_t p = 0; p < positions; p++) {
            const uint32_t channel = p % segment_channels;
            order.push_back(
                channel < segment_columns ? static_cast<uint16_t>(p / segment_channels * segment_columns + channel)
                                          : CRUMB_PADDING_CHANNEL);
        }
        for (int token = 0; token < 400; token++) {
            const float common = normal(generator);
            numbers x(positions);
            for (uint32_t p = 0; p < positions; p++) {
                const float size = p % segment_channels < four ? 4 : 1;
                x[p] = order[p] == CRUMB_PADDING_CHANNEL ? 0 : (common + normal(generator)) * size;
            }
            for (size_t i = 0; i < hessian.size(); i++) hessian[i] += x[i / positions] * x[i % positions];
        }
        for (uint32_t p = 0; p < positions; p++) hessian[p * positions + p] += 10;
        // H = M D M^T, M unit upper triangular, from the last channel on.
        std::vector<double> m(hessian.begin(), hessian.end()), d(positions);
        for (uint32_t j = positions; j-- > 0;) {
            for (uint32_t i = 0; i <= j; i++) {
                double sum = hessian[i * positions + j];
                for (uint32_t k = j + 1; k < positions; k++) sum -= m[i * positions + k] * d[k] * m[j * positions + k];
                m[i * positions + j] = sum;
            }
            d[j] = m[j * positions + j];
            for (uint32_t i = 0; i <= j; i++) m[i * positions + j] /= d[j];
        }
        for (size_t i = 0; i < m.size(); i++) feedback[i] = i / positions <= i % positions ? static_cast<float>(m[i]) : 0;
        for (uint32_t p = 0; p < positions; p++) {
            importance[p] = order[p] == CRUMB_PADDING_CHANNEL ? 0 : static_cast<float>(d[p]);
        }
    }

    // Of (N, K) weights, tr(E H E^T).
    double loss(const numbers &weights) const {
        double sum = 0;
        for (uint32_t n = 0; n < rows; n++) {
            std::vector<double> error(positions);
            for (uint32_t p = 0; p < positions; p++) {
                if (order[p] == CRUMB_PADDING_CHANNEL) continue;
                error[p] = static_cast<double>(source[n * columns + order[p]]) - weights[n * columns + order[p]];
            }
            for (size_t i = 0; i < hessian.size(); i++) sum += error[i / positions] * hessian[i] * error[i % positions];
        }
        return sum;
    }
};

// CrumbQuant's StorageVariant, and how far the method goes.
struct variant {
    const char *name;
    bool first_order, everywhere, chooses;
    float narrow_top;
    bool feeds;
    int passes;
};

// What CardMatrix does, step by step.
struct matrix {
    const layer &own;
    const variant &kind;
    numbers weights, quantized, levels, scale_codes, row_scales, scratch, direction, image, best, costs, errors, steps;
    std::vector<uint32_t> outliers;
    std::vector<uint8_t> wide;
    numbers dense;
    uint32_t tiles = (rows + 31) / 32, row_blocks = (rows + threads - 1) / threads;

    matrix(const layer &own, const variant &kind)
        : own(own), kind(kind), weights(positions * rows), quantized(weights), levels(weights), scale_codes(groups * rows),
          row_scales(segments * 2 * rows), scratch(weights), direction(weights), image(weights), best(scale_codes),
          costs(scale_codes), errors(span * rows), steps(rows), outliers(groups * rows), wide(groups * rows),
          dense(rows * columns) {
        launch(
            quantize_load, row_blocks * positions,
            crumb_quantize_load_args{own.source.data(), own.order.data(), weights.data(), rows, columns, positions, 0});
        if (kind.chooses) choose_groups();
        choose_row_scales();
        if (!kind.chooses) {
            choose_outliers(four, segment_channels - four);
            if (kind.everywhere) choose_outliers(0, four);
            choose_row_scales();
        }
        choose_codes();
        descend();
        store();
    }

    crumb_quantize_matrix arguments() {
        return {weights.data(), quantized.data(), levels.data(), outliers.data(), scale_codes.data(), row_scales.data(),
                own.importance.data(), kind.chooses ? wide.data() : nullptr, rows, positions, segment_channels, four,
                kind.narrow_top, kind.first_order};
    }

    crumb_quantize_scales_args find_scales(float *costs) {
        crumb_quantize_scales_args a{arguments(), best.data(), costs, {}};
        float trial = 1.08f;
        for (float &share : a.trials) share = trial, trial *= 0.94f;
        launch(quantize_best_scales, row_blocks * groups, a);
        return a;
    }

    void choose_row_scales() { launch(quantize_row_scales, row_blocks * 2 * segments, find_scales(nullptr)); }

    void choose_groups() {
        numbers gains(groups * rows);
        for (int is_wide = 0; is_wide < 2; is_wide++) {
            std::fill(wide.begin(), wide.end(), is_wide);
            find_scales(costs.data());
            for (size_t i = 0; i < gains.size(); i++) gains[i] += is_wide ? -costs[i] : costs[i];
        }
        numbers sorted = gains;
        std::sort(sorted.begin(), sorted.end(), std::greater<float>());
        const float last = sorted[segments * four / 32 * rows - 1];
        for (size_t i = 0; i < gains.size(); i++) wide[i] = gains[i] >= last;
    }

    void choose_outliers(uint32_t first, uint32_t channels) {
        launch(
            quantize_outliers, tiles * segments,
            crumb_quantize_outliers_args{arguments(), per_tile, 1, first, channels});
    }

    // c (M, N) += alpha a (M, K) b (K, N); a's numbers lie `down` and `right` of each other.
    static void add(float *c, const float *a, size_t down, size_t right, const float *b, uint32_t m, uint32_t k, float alpha) {
        for (uint32_t i = 0; i < m; i++) {
            for (uint32_t j = 0; j < k; j++) {
                const float share = alpha * a[i * down + j * right];
                for (uint32_t n = 0; n < rows; n++) c[i * rows + n] += share * b[j * rows + n];
            }
        }
    }

    // Adds to channels `from` ... `to` what `count` channels from `done` on lost, whose errors lie in `errors` from `start`.
    void feed(uint32_t done, uint32_t count, uint32_t from, uint32_t to, uint32_t start) {
        add(scratch.data() + from * rows, own.feedback.data() + done * positions + from, 1, positions,
            errors.data() + (done - start) * rows, to - from, count, 1);
    }

    void spread(uint32_t changed, uint32_t count, uint32_t from, uint32_t to, uint32_t start) {
        add(scratch.data() + from * rows, own.hessian.data() + from * positions + changed, positions, 1,
            errors.data() + (changed - start) * rows, to - from, count, -1);
    }

    void choose_codes() {
        scratch = weights;
        for (uint32_t start = 0; start < positions; start += span) {
            const uint32_t end = std::min(start + span, positions);
            for (uint32_t first = start; first < end; first += 32) {
                launch(
                    quantize_choose, row_blocks,
                    crumb_quantize_choose_args{arguments(), own.feedback.data(), scratch.data(),
                                               errors.data() + (first - start) * rows, first / 32, kind.feeds});
                if (kind.feeds) feed(first, 32, first + 32, end, start);
            }
            if (kind.feeds) feed(start, end - start, end, positions, start);
        }
    }

    void descend() {
        if (kind.passes == 0) return;
        launch(
            quantize_difference, (positions * rows + threads - 1) / threads,
            crumb_quantize_difference_args{arguments(), direction.data()});
        std::fill(scratch.begin(), scratch.end(), 0);
        add(scratch.data(), own.hessian.data(), positions, 1, direction.data(), positions, positions, 1);
        for (int pass = 0; pass < kind.passes; pass++) {
            for (uint32_t start = 0; start < positions; start += span) {
                const uint32_t end = std::min(start + span, positions);
                for (uint32_t first = start; first < end; first += 32) {
                    launch(
                        quantize_descend, row_blocks,
                        crumb_quantize_descend_args{arguments(), own.hessian.data(), scratch.data(),
                                                    errors.data() + (first - start) * rows, first / 32, 0});
                    spread(first, 32, start, end, start);
                }
                spread(start, end - start, 0, start, start);
                spread(start, end - start, end, positions, start);
            }
            if (pass + 1 < kind.passes && !kind.first_order) improve_row_scales();
        }
    }

    void improve_row_scales() {
        for (uint32_t slot = 0; slot < 2 * segments; slot++) {
            const bool two = slot % 2 == 1;
            const uint32_t first = slot / 2 * segment_channels + (two && !kind.chooses ? four : 0);
            const uint32_t count = kind.chooses ? segment_channels : two ? segment_channels - four : four;
            launch(
                quantize_direction, row_blocks * count,
                crumb_quantize_direction_args{arguments(), direction.data(), first, count, slot, 0});
            std::fill(image.begin(), image.end(), 0);
            add(image.data(), own.hessian.data() + first, positions, 1, direction.data(), positions, count, 1);
            const crumb_quantize_move_args a{arguments(), direction.data(), image.data(), scratch.data(), steps.data(),
                                             first, count, slot, 0};
            launch(quantize_row_steps, (rows + 31) / 32, a);
            launch(quantize_move, row_blocks * positions, a);
        }
    }

    void store() {
        std::vector<uint8_t> codes(rows * positions), scales(rows * groups);
        std::vector<crumb_quantize_outlier> found(rows * positions);
        uint32_t count = 0;
        launch(
            quantize_store, row_blocks * groups,
            crumb_quantize_store_args{arguments(), own.order.data(), codes.data(), scales.data(), found.data(), &count,
                                      dense.data(), static_cast<uint32_t>(found.size()), columns});
    }

    // The largest distance of a stored weight from row scale x scale code x level where there is no outlier, and whether the
    // levels are those of its group's bits.
    double off_grid() const {
        double worst = 0;
        for (uint32_t p = 0; p < positions; p++) {
            for (uint32_t n = 0; n < rows; n++) {
                const size_t group = p / 32 * rows + n, place = p * rows + n;
                const bool is_wide = kind.chooses ? wide[group] : p % segment_channels < four;
                if (std::fabs(levels[place]) > (is_wide ? 7.5f : kind.narrow_top)) return INFINITY;
                if (outliers[group] >> p % 32 & 1 || own.order[p] == CRUMB_PADDING_CHANNEL) continue;
                const float row_scale = row_scales[(p / segment_channels * 2 + !is_wide) * rows + n];
                const double value = static_cast<double>(row_scale) * scale_codes[group] * levels[place];
                worst = std::fmax(worst, std::fabs(value - dense[n * columns + own.order[p]]));
            }
        }
        return worst;
    }

    uint32_t outlier_count() const {
        uint32_t count = 0;
        for (uint32_t bits : outliers) count += static_cast<uint32_t>(__builtin_popcount(bits));
        return count;
    }
};

int main() {
    const layer own;
    const variant kinds[] = {
        {"rtn", false, false, false, 1.5f, false, 0},
        {"gptq", false, false, false, 1.5f, true, 0},
        {"full", false, false, false, 1.5f, true, 4},
        {"full, first-order scales", true, false, false, 1.5f, true, 4},
        {"full, outliers everywhere", false, true, false, 1.5f, true, 4},
        {"full, 3 bits", false, false, false, 3.5f, true, 4},
        {"full, 3 bits, rows choose", false, false, true, 3.5f, true, 4},
    };
    std::vector<double> losses;
    for (const variant &kind : kinds) {
        const matrix done(own, kind);
        losses.push_back(own.loss(done.dense));
        const size_t at = losses.size() - 1;
        // Descent ends in a valley near where it began: finer scales need not lose less.
        report(kind.name, at == 0 || losses[at] < (at < 3 ? 1 : 1.02) * losses[std::min<size_t>(at - 1, 2)], losses[at]);
        report("  distance from the grid", done.off_grid() < 1e-5, done.off_grid());
        // 4 for each 32 x 64 weights of 2 bits, 2 for each 32 x 32 of 4 bits; segments and tiles of rows are two each.
        const uint32_t expected = kind.chooses ? 0 : 4 * (per_tile + (kind.everywhere ? per_tile / 2 : 0));
        report("  outliers", done.outlier_count() == expected, done.outlier_count());
    }
    std::printf("%d failures\n", failures);
    return failures != 0;
}
