// The packed products on a CPU against the fp64 reference, at small shapes. Needs no GPU; see run.sh.
#include "packed_matvec.cu"

#include "packed_matmul.cu"

#include "packed_reference.h"

struct input_case {
    crumb_packed_shape shape;
    uint32_t pad; // channels of each segment that are padding
    uint32_t blocks, tokens;
};

static std::mt19937 generator(5);
static uint32_t few_slots = 0;
static std::normal_distribution<float> normal(0, 1);

struct random_matrix {
    crumb_packed_shape shape;
    std::vector<uint8_t> bytes;
    std::vector<float> bias;

    explicit random_matrix(const crumb_packed_shape &s) : shape(s), bias(s.rows) {
        static uint64_t seed = 1;
        const uint32_t count = 7;
        std::vector<uint8_t> templates = record_templates(s, seed++, count);
        bytes.resize(matrix_bytes(s) + 16);
        for (uint32_t r = 0; r < s.segments * s.row_tiles; r++) {
            uint8_t *record = bytes.data() + static_cast<size_t>(r) * s.record_bytes;
            std::memcpy(record, templates.data() + r % count * s.record_bytes, s.record_bytes);
            for (uint32_t i = 0; i < s.row_scales_offset; i++) record[i] = static_cast<uint8_t>(generator());
        }
        for (float &b : bias) b = normal(generator);
    }
};

// The fp16 input of a product and its numbers.
struct random_input {
    uint32_t positions;
    std::vector<uint16_t> half_bits;
    std::vector<float> values;
    std::vector<float> squares; // [3][M]
    std::vector<double> factors;

    random_input(const input_case &c, float magnitude, bool norm) {
        const crumb_packed_shape &s = c.shape;
        positions = s.segments * s.segment_channels;
        half_bits.resize(c.tokens * positions), values.resize(half_bits.size());
        squares.resize(3 * c.tokens), factors.assign(c.tokens, 1);
        for (uint32_t i = 0; i < half_bits.size(); i++) {
            bool padding = i % positions % s.segment_channels >= s.segment_channels - c.pad;
            float value = normal(generator) * magnitude * (generator() % 400 == 0 ? 50 : 1);
            half h = __float2half(padding ? 0 : value);
            std::memcpy(&half_bits[i], &h, 2);
            values[i] = __half2float(h);
        }
        for (uint32_t token = 0; norm && token < c.tokens; token++) {
            double sum = 0;
            for (uint32_t i = 0; i < 3; i++) sum += squares[i * c.tokens + token] = 100.0f + generator() % 1000;
            factors[token] = 64 / std::sqrt(sum / s.columns + 1e-5);
        }
    }
};

static int report(
    const char *name, int m, const input_case &c, const std::vector<double> &expected, const std::vector<double> &got) {
    double error = 0, power = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        error += (got[i] - expected[i]) * (got[i] - expected[i]), power += expected[i] * expected[i];
    }
    bool good = error / power <= 5e-6;
    std::printf(
        "%s %s N %u S %u P %u F %u outliers %u M %u/%d blocks %u: NSE %.2e\n", good ? "ok  " : "FAIL", name,
        c.shape.rows, c.shape.segments, c.shape.segment_channels, c.shape.four_bit_channels, c.shape.outliers_per_tile,
        c.tokens, m, c.blocks, error / power);
    return good ? 0 : 1;
}

// packed_matmul_* for what more than 8 tokens want done.
template <class Output> struct batch_output;
template <> struct batch_output<packed_store> {
    using type = matmul_store;
};
template <> struct batch_output<packed_residual> {
    using type = matmul_residual;
};
template <> struct batch_output<packed_silu> {
    using type = matmul_silu;
};

template <int tokens, class Output> static void launch_batch(crumb_packed_matvec_args product, uint32_t clusters) {
    std::vector<uint16_t> ordered(static_cast<size_t>(product.positions) * tokens, 0x7E00);
    crumb_packed_matmul_input_args input = {product.input, ordered.data(), product.positions, product.tokens};
    uint32_t threads = CRUMB_MATMUL_INPUT_THREADS;
    emulated_launch((product.positions / 2 * (tokens / 8) + threads - 1) / threads, threads, [&] {
        packed_matmul_input<tokens>(input);
    });
    product.input = ordered.data();
    crumb_packed_matmul_args args = {product};
    uint64_t bytes = crumb_packed_matmul_plan(&args, tokens, clusters, Output::paired);
    if (bytes > CRUMB_MATMUL_SHARED_BYTES)
        std::printf("%llu bytes do not fit\n", (unsigned long long)bytes), std::exit(1);
    // Fewer slots than fit, so that they are used again.
    if (few_slots) args.slots = std::min(args.slots, few_slots);
    emulated_launch(
        clusters * CRUMB_MATMUL_CLUSTER, crumb_packed_matmul_threads(tokens),
        [&] { packed_matmul<tokens, typename batch_output<Output>::type>(args); }, CRUMB_MATMUL_CLUSTER);
}

template <int tokens, class Output> static void launch(crumb_packed_matvec_args args, uint32_t blocks) {
    if constexpr (tokens > 8) {
        launch_batch<tokens, Output>(args, blocks);
    } else {
        uint64_t bytes = crumb_packed_matvec_plan(&args, tokens, blocks, Output::paired);
        if (bytes > 227 * 1024) std::printf("%llu bytes do not fit\n", (unsigned long long)bytes), std::exit(1);
        emulated_launch(blocks, CRUMB_PACKED_THREADS, [&] { packed_matvec<tokens, Output>(args); });
    }
}

static crumb_packed_matvec_args arguments(const input_case &c, const random_input &x, bool norm) {
    crumb_packed_matvec_args args = {};
    args.tokens = c.tokens, args.positions = x.positions, args.columns = c.shape.columns;
    args.input = x.half_bits.data(), args.squares = norm ? x.squares.data() : nullptr;
    args.square_count = 3, args.epsilon = 1e-5f;
    return args;
}

// Three matrices of different shares and rows side by side.
template <int tokens> static int check_store(const input_case &c, float magnitude) {
    random_input x(c, magnitude, true);
    crumb_packed_matvec_args args = arguments(c, x, true);
    const crumb_packed_shape &s = c.shape;
    uint32_t other = s.four_bit_channels ? 0 : s.segment_channels / 64 * 64;
    if ((s.segment_channels - other) % 64) other = s.segment_channels % 64;
    std::vector<random_matrix> parts = {
        random_matrix(s), random_matrix(make_shape(s.rows / 2 + 1, s.segments, s.segment_channels, other, 2)),
        random_matrix(make_shape(5, s.segments, s.segment_channels, s.four_bit_channels, s.outliers_per_tile))};
    uint32_t total = 0;
    for (const random_matrix &part : parts) {
        crumb_packed_part &to = args.parts[args.part_count++];
        to.shape = part.shape, to.records = part.bytes.data(), to.bias = part.bias.data(), to.first_feature = total;
        total += part.shape.rows;
    }
    std::vector<float> y(c.tokens * total, NAN);
    args.output = y.data(), args.output_stride = total;
    launch<tokens, packed_store>(args, c.blocks);
    std::vector<double> expected(y.size()), got(y.begin(), y.end());
    for (uint32_t p = 0; p < parts.size(); p++) {
        std::vector<double> product = reference(parts[p].shape, parts[p].bytes, x.values, c.tokens);
        for (uint32_t i = 0; i < product.size(); i++) {
            uint32_t token = i / parts[p].shape.rows, row = i % parts[p].shape.rows;
            expected[token * total + args.parts[p].first_feature + row] =
                product[i] * x.factors[token] + parts[p].bias[row];
        }
    }
    return report("store", tokens, c, expected, got);
}

template <int tokens> static int check_residual(const input_case &c) {
    random_input x(c, 1, false);
    random_matrix matrix(c.shape);
    crumb_packed_matvec_args args = arguments(c, x, false);
    const uint32_t n = c.shape.rows, positions = n + 7;
    args.part_count = 1, args.parts[0].shape = c.shape, args.parts[0].records = matrix.bytes.data();
    args.parts[0].bias = matrix.bias.data();
    std::vector<float> stream(c.tokens * n), weight(n), squares(c.blocks * c.tokens, NAN);
    std::vector<uint16_t> places(positions), next(c.tokens * positions, 0);
    for (float &v : stream) v = normal(generator);
    for (float &v : weight) v = normal(generator);
    for (uint32_t i = 0; i < positions; i++) places[i] = static_cast<uint16_t>(i);
    std::shuffle(places.begin(), places.end(), generator);
    std::vector<double> product = reference(c.shape, matrix.bytes, x.values, c.tokens), expected, got;
    std::vector<double> sums(c.tokens, 0);
    for (uint32_t i = 0; i < product.size(); i++) {
        double value = product[i] + matrix.bias[i % n] + stream[i];
        expected.push_back(value), sums[i / n] += value * value;
    }
    args.output = stream.data(), args.output_stride = n, args.next_input = next.data(), args.next_positions = positions;
    args.next_places = places.data(), args.next_norm = weight.data(), args.next_squares = squares.data();
    launch<tokens, packed_residual>(args, c.blocks);
    got.assign(stream.begin(), stream.end());
    for (uint32_t i = 0; i < product.size(); i++) {
        __half_raw raw;
        raw.x = next[i / n * positions + places[i % n]];
        expected.push_back(expected[i] * weight[i % n]), got.push_back(64 * __half2float(half(raw)));
    }
    for (uint32_t token = 0; token < c.tokens; token++) {
        double sum = 0;
        for (uint32_t block = 0; block < c.blocks; block++) sum += squares[block * c.tokens + token];
        expected.push_back(sums[token]), got.push_back(sum);
    }
    return report("residual", tokens, c, expected, got);
}

template <int tokens> static int check_silu(const input_case &c) {
    random_input x(c, 1, true);
    const crumb_packed_shape &s = c.shape;
    // Batches: gate and up of different shares.
    uint32_t share = tokens > 8 && s.four_bit_channels >= 64 ? s.four_bit_channels - 64 : s.four_bit_channels;
    random_matrix gate(s), up(make_shape(s.rows, s.segments, s.segment_channels, share, 3));
    crumb_packed_matvec_args args = arguments(c, x, true);
    const uint32_t n = c.shape.rows;
    args.part_count = 2, args.parts[0].shape = c.shape, args.parts[1].shape = up.shape;
    args.parts[0].records = gate.bytes.data(), args.parts[1].records = up.bytes.data();
    std::vector<uint16_t> places(n), output(c.tokens * n);
    for (uint32_t i = 0; i < n; i++) places[i] = static_cast<uint16_t>(i);
    std::shuffle(places.begin(), places.end(), generator);
    std::vector<double> g = reference(c.shape, gate.bytes, x.values, c.tokens);
    std::vector<double> u = reference(up.shape, up.bytes, x.values, c.tokens), expected, got;
    args.output = output.data(), args.output_stride = n, args.places = places.data();
    launch<tokens, packed_silu>(args, c.blocks);
    for (uint32_t i = 0; i < g.size(); i++) {
        double a = g[i] * x.factors[i / n], b = u[i] * x.factors[i / n];
        __half_raw raw;
        raw.x = output[i / n * n + places[i % n]];
        expected.push_back(std::min(std::max(a / (1 + std::exp(-a)) * b, -65504.0), 65504.0));
        got.push_back(__half2float(half(raw)));
    }
    return report("silu", tokens, c, expected, got);
}

template <int tokens> static int check_all() {
    const uint32_t few = tokens == 8 ? 5 : tokens == 4 ? 3 : tokens;
    const input_case cases[] = {
        {make_shape(37, 1, 576, 192, 4), 13, 3, tokens}, {make_shape(101, 2, 736, 224, 3), 9, 4, few},
        {make_shape(70, 8, 288, 96, 5), 0, 2, tokens},   {make_shape(33, 1, 128, 0, 0), 0, 2, tokens},
        {make_shape(32, 1, 128, 128, 0), 0, 1, tokens},  {make_shape(300, 1, 1024, 384, 4), 0, 7, tokens},
        {make_shape(64, 1, 4224, 64, 6), 5, 2, few},
    };
    int failures = 0;
    for (const input_case &c : cases) {
        failures += check_store<tokens>(c, 1) + check_store<tokens>(c, 1e-3f) + check_store<tokens>(c, 100);
        failures += check_residual<tokens>(c) + check_silu<tokens>(c);
    }
    return failures;
}

template <int tokens> static int check_batches() {
    const input_case cases[] = {
        {make_shape(37, 1, 576, 192, 4), 13, 1, tokens},
        {make_shape(101, 2, 736, 224, 3), 9, 2, tokens == 16 ? 9u : tokens / 2 + 1},
        {make_shape(70, 8, 288, 96, 5), 0, 2, tokens - 3},
        {make_shape(33, 1, 128, 0, 0), 0, 1, tokens - 1},
        {make_shape(32, 1, 128, 128, 0), 0, 3, tokens},
        {make_shape(1255, 1, 1024, 384, 4), 0, 3, tokens},
        {make_shape(64, 1, 4224, 64, 6), 5, 1, tokens - 5},
        {make_shape(128, 8, 1376, 480, 4), 0, 1, tokens},
    };
    int failures = 0;
    for (uint32_t slots : {0u, crumb_packed_matmul_warps(tokens)}) {
        few_slots = slots;
        for (const input_case &c : cases) {
            // Where slots are used again.
            if (slots && (c.shape.segment_channels + 63) / 64 * c.shape.segments <= 4 * slots) continue;
            failures += check_store<tokens>(c, 1) + check_residual<tokens>(c) + check_silu<tokens>(c);
            if (c.shape.columns < 700) failures += check_store<tokens>(c, 1e-3f) + check_store<tokens>(c, 100);
        }
    }
    return failures;
}

int main(int count, char **) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    int failures = check_batches<16>() + check_batches<32>() + check_batches<64>();
    if (count == 1) failures += check_all<1>() + check_all<2>() + check_all<4>() + check_all<8>();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
