// The packed products on a CPU against the fp64 reference, at small shapes. Needs no GPU; see run.sh.
#include "packed_matmul.cu"
#include "packed_matmul_roles.cu"
#include "packed_product.cu"

#include "packed_reference.h"

#include <tuple>

alignas(128) uint8_t packed_memory[232448];

struct input_case {
    crumb_packed_shape shape;
    uint32_t pad; // channels of each segment that are padding
    uint32_t blocks, tokens;
    uint32_t tiles = 0, slices = 0, whole = 0; // of packed_matmul
};

static std::mt19937 generator(5);
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

static double squared_error(const std::vector<double> &expected, const std::vector<double> &got) {
    double error = 0, power = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        error += (got[i] - expected[i]) * (got[i] - expected[i]), power += expected[i] * expected[i];
    }
    return error / power;
}

// `fault`: what else is wrong.
static int report(
    const char *name, int m, const input_case &c, const std::vector<double> &errors, const char *fault = nullptr) {
    bool good = !fault;
    for (double error : errors) good &= error <= 5e-6;
    std::printf(
        "%s %s N %u S %u P %u F %u outliers %u M %u/%d blocks %u", good ? "ok  " : "FAIL", name, c.shape.rows,
        c.shape.segments, c.shape.segment_channels, c.shape.four_bit_channels, c.shape.outliers_per_tile, c.tokens, m,
        c.blocks);
    if (c.tiles) std::printf(" of %u x %u%s", c.tiles, c.slices, c.whole == 1 ? ", whole groups" : c.whole ? ", roles" : "");
    std::printf(": NSE");
    for (double error : errors) std::printf(" %.2e", error);
    std::printf("%s%s\n", fault ? ", " : "", fault ? fault : "");
    return good ? 0 : 1;
}

template <int tokens> static void launch(crumb_packed_args args, uint32_t blocks, uint32_t shared = 227 * 1024) {
    const uint64_t bytes = crumb_packed_plan(&args, tokens, blocks, shared);
    if (bytes == 0) emulated_fail("it does not fit");
    // Copies wait for each other in some shapes.
    if (args.product.parts[0].shape.rows == 101) args.window = 3000;
    uint32_t threads = 32 * (args.warps + CRUMB_PACKED_OTHER_WARPS);
    emulated_launch(blocks, threads, bytes, [&] { packed_product<tokens>(args); });
}

static crumb_packed_args launch_of(const crumb_packed_product &product, uint32_t tokens) {
    crumb_packed_args args = {};
    args.product = product, args.tokens = tokens, args.epsilon = 1e-5f;
    return args;
}

static crumb_packed_product arguments(const input_case &c, const random_input &x, bool norm) {
    crumb_packed_product args = {};
    args.positions = x.positions, args.columns = c.shape.columns;
    args.input = x.half_bits.data(), args.squares = norm ? x.squares.data() : nullptr;
    args.square_count = 3;
    return args;
}

// Three matrices of different shares and rows side by side.
template <int tokens> static int check_store(const input_case &c, float magnitude) {
    random_input x(c, magnitude, true);
    crumb_packed_product args = arguments(c, x, true);
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
    args.kind = CRUMB_PACKED_STORE;
    launch<tokens>(launch_of(args, c.tokens), c.blocks, c.shape.rows == 70 ? 50 * 1024 : 227 * 1024);
    std::vector<double> expected(y.size()), got(y.begin(), y.end());
    for (uint32_t p = 0; p < parts.size(); p++) {
        std::vector<double> product = reference(parts[p].shape, parts[p].bytes, x.values, c.tokens);
        for (uint32_t i = 0; i < product.size(); i++) {
            uint32_t token = i / parts[p].shape.rows, row = i % parts[p].shape.rows;
            expected[token * total + args.parts[p].first_feature + row] =
                product[i] * x.factors[token] + parts[p].bias[row];
        }
    }
    return report("store", tokens, c, {squared_error(expected, got)});
}

template <int tokens> static int check_residual(const input_case &c) {
    random_input x(c, 1, false);
    random_matrix matrix(c.shape);
    crumb_packed_product args = arguments(c, x, false);
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
    args.kind = CRUMB_PACKED_RESIDUAL;
    launch<tokens>(launch_of(args, c.tokens), c.blocks);
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
    return report("residual", tokens, c, {squared_error(expected, got)});
}

template <int tokens> static int check_silu(const input_case &c) {
    random_input x(c, 1, true);
    random_matrix gate(c.shape), up(c.shape);
    crumb_packed_product args = arguments(c, x, true);
    const uint32_t n = c.shape.rows;
    args.part_count = 2, args.parts[0].shape = args.parts[1].shape = c.shape;
    args.parts[0].records = gate.bytes.data(), args.parts[1].records = up.bytes.data();
    std::vector<uint16_t> places(n), output(c.tokens * n);
    for (uint32_t i = 0; i < n; i++) places[i] = static_cast<uint16_t>(i);
    std::shuffle(places.begin(), places.end(), generator);
    std::vector<double> g = reference(c.shape, gate.bytes, x.values, c.tokens);
    std::vector<double> u = reference(c.shape, up.bytes, x.values, c.tokens), expected, got;
    args.next_input = output.data(), args.next_positions = n, args.next_places = places.data();
    args.kind = CRUMB_PACKED_SILU;
    launch<tokens>(launch_of(args, c.tokens), c.blocks, c.shape.rows == 300 ? 120 * 1024 : 227 * 1024);
    for (uint32_t i = 0; i < g.size(); i++) {
        double a = g[i] * x.factors[i / n], b = u[i] * x.factors[i / n];
        __half_raw raw;
        raw.x = output[i / n * n + places[i % n]];
        expected.push_back(std::min(std::max(a / (1 + std::exp(-a)) * b, -65504.0), 65504.0));
        got.push_back(__half2float(half(raw)));
    }
    return report("silu", tokens, c, {squared_error(expected, got)});
}

template <int tokens> static int check_all() {
    const uint32_t few = tokens == 4 ? 3 : tokens;
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

// What a launch of packed_matmul_mM reads and writes. Padding tokens of the input are not numbers.
template <int width> struct wide_case {
    const input_case &c;
    random_input x;
    std::vector<uint16_t> input;
    std::vector<random_matrix> matrices;
    crumb_packed_product product;
    const char *fault = nullptr;

    wide_case(const input_case &c, bool norm, const std::vector<crumb_packed_shape> &shapes)
        : c(c), x(c, 1, norm), input(static_cast<size_t>(x.positions) * width, 0x7E00), product(arguments(c, x, norm)) {
        for (uint32_t i = 0; i < x.half_bits.size(); i++) {
            input[crumb_wide_index(i % x.positions, i / x.positions, width)] = x.half_bits[i];
        }
        for (const crumb_packed_shape &shape : shapes) matrices.emplace_back(shape);
        for (const random_matrix &matrix : matrices) {
            crumb_packed_part &to = product.parts[product.part_count++];
            to.shape = matrix.shape, to.records = matrix.bytes.data();
        }
        product.input = input.data();
    }

    std::vector<double> expected(uint32_t part) const {
        return reference(matrices[part].shape, matrices[part].bytes, x.values, c.tokens);
    }

    // Twice, as blocks and warps come in different orders: the same results are wanted.
    template <class... Outputs> void launch(Outputs &...outputs) {
        crumb_matmul_args args = {};
        args.product = product, args.tokens = c.tokens, args.epsilon = 1e-5f, args.tiles = c.tiles,
        args.slices = c.slices, args.whole = c.whole;
        const uint64_t bytes =
            crumb_matmul_plan(&args, width, c.blocks, 227 * 1024 / (c.whole ? 1 : crumb_matmul_blocks(width)) - (c.whole ? 0 : 1024));
        if (bytes == 0) emulated_fail("it does not fit");
        uint32_t groups = 0;
        for (uint32_t cut = 0; cut < args.cut_count; cut++) groups += args.cuts[cut].groups;
        std::vector<float> partials(static_cast<size_t>(c.blocks) * 2 * width * 32 * c.tiles);
        std::vector<uint32_t> arrivals(groups, 0);
        args.partials = partials.data(), args.arrivals = arrivals.data();
        auto run = [&](const Outputs &...before) {
            ((outputs = before), ...);
            std::fill(partials.begin(), partials.end(), NAN);
            if (c.whole == CRUMB_MATMUL_ROLES) {
                if constexpr (width > 8) {
                    emulated_launch(
                        c.blocks, CRUMB_ROLES_THREADS, bytes, [&] { packed_matmul_roles<(width > 32 ? 32 : width) / 8>(args); });
                }
            } else {
                emulated_launch(c.blocks, 32 * c.tiles * c.slices, bytes, [&] { packed_matmul<width / 8>(args); });
            }
            return std::make_tuple(outputs...);
        };
        const std::tuple<Outputs...> before(outputs...);
        const std::tuple<Outputs...> first = std::apply(run, before), second = std::apply(run, before);
        if (first != second) fault = "not the same twice";
        for (uint32_t arrival : arrivals) {
            if (arrival != 0) fault = "arrivals left";
        }
    }
};

// What a place of the next input holds that nobody has written.
constexpr uint16_t untouched = 0x7C01;

// The numbers of features at their places in a wide input, token after token; other places are to be untouched.
static std::vector<double> wide_numbers(
    const std::vector<uint16_t> &input, const std::vector<uint16_t> &places, uint32_t tokens, uint32_t width,
    double factor, const char *&fault) {
    std::vector<double> numbers;
    std::vector<bool> is_place(input.size(), false);
    for (uint32_t token = 0; token < width; token++) {
        for (uint16_t place : places) {
            const uint64_t index = crumb_wide_index(place, token, width);
            if (token < tokens) numbers.push_back(factor * half_value(input[index]));
            is_place[index] = true;
        }
    }
    for (uint32_t i = 0; i < input.size(); i++) {
        if (!is_place[i] && input[i] != untouched) fault = "a padding place is written";
    }
    return numbers;
}

// The places of n features among some more.
static std::vector<uint16_t> random_places(uint32_t n, uint32_t positions, bool in_order) {
    std::vector<uint16_t> places(positions);
    for (uint32_t i = 0; i < positions; i++) places[i] = static_cast<uint16_t>(i);
    if (!in_order) std::shuffle(places.begin(), places.end(), generator);
    places.resize(n);
    return places;
}

// Two matrices side by side, of different rows and outliers.
template <int width> static int check_wide_store(const input_case &c) {
    const crumb_packed_shape &s = c.shape;
    wide_case<width> test(
        c, true,
        {s,
         make_shape(s.rows / 2 + 1, s.segments, s.segment_channels, s.four_bit_channels, s.outliers_per_tile ? 2 : 0)});
    const uint32_t second = s.rows, total = s.rows + s.rows / 2 + 1;
    test.product.parts[1].first_feature = second, test.product.parts[1].bias = test.matrices[1].bias.data();
    std::vector<float> y(c.tokens * total, NAN);
    test.product.kind = CRUMB_PACKED_STORE, test.product.output = y.data(), test.product.output_stride = total;
    test.launch(y);
    std::vector<double> expected(y.size()), got(y.begin(), y.end());
    for (uint32_t p = 0; p < 2; p++) {
        const std::vector<double> product = test.expected(p);
        const uint32_t rows = test.matrices[p].shape.rows;
        for (uint32_t i = 0; i < product.size(); i++) {
            expected[i / rows * total + p * second + i % rows] =
                product[i] * test.x.factors[i / rows] + (p ? test.matrices[p].bias[i % rows] : 0);
        }
    }
    return report("wide store", width, c, {squared_error(expected, got)}, test.fault);
}

template <int width> static int check_wide_residual(const input_case &c) {
    wide_case<width> test(c, false, {c.shape});
    const uint32_t n = c.shape.rows, row_tiles = c.shape.row_tiles, positions = (n + 7 + 31) / 32 * 32;
    const bool in_order = c.shape.segments == 8;
    const std::vector<uint16_t> places = random_places(n, positions, in_order);
    std::vector<float> stream(c.tokens * n), weight(n), squares(row_tiles * c.tokens, NAN);
    std::vector<uint16_t> next(positions * width, untouched);
    for (float &v : stream) v = normal(generator);
    for (float &v : weight) v = normal(generator);
    const std::vector<double> product = test.expected(0);
    std::vector<double> values, scaled, sums(c.tokens, 0), got_sums(c.tokens, 0);
    for (uint32_t i = 0; i < product.size(); i++) {
        values.push_back(product[i] + test.matrices[0].bias[i % n] + stream[i]);
        scaled.push_back(values[i] * weight[i % n]), sums[i / n] += values[i] * values[i];
    }
    test.product.kind = CRUMB_PACKED_RESIDUAL, test.product.parts[0].bias = test.matrices[0].bias.data();
    test.product.output = stream.data(), test.product.output_stride = n;
    test.product.next_input = next.data(), test.product.next_positions = positions, test.product.next_width = width;
    test.product.next_places = in_order ? nullptr : places.data();
    test.product.next_norm = weight.data(), test.product.next_squares = squares.data();
    test.launch(stream, next, squares);
    const std::vector<double> got(stream.begin(), stream.end());
    for (uint32_t i = 0; i < row_tiles * c.tokens; i++) got_sums[i % c.tokens] += squares[i];
    const std::vector<double> got_scaled = wide_numbers(next, places, c.tokens, width, 64, test.fault);
    return report(
        "wide residual", width, c,
        {squared_error(values, got), squared_error(scaled, got_scaled), squared_error(sums, got_sums)}, test.fault);
}

template <int width> static int check_wide_silu(const input_case &c) {
    wide_case<width> test(c, true, {c.shape, c.shape});
    const uint32_t n = c.shape.rows, positions = (n + 3 + 31) / 32 * 32;
    const bool in_order = c.shape.segments == 2;
    const std::vector<uint16_t> places = random_places(n, positions, in_order);
    std::vector<uint16_t> next(positions * width, untouched);
    const std::vector<double> g = test.expected(0), u = test.expected(1);
    std::vector<double> values;
    for (uint32_t i = 0; i < g.size(); i++) {
        const double a = g[i] * test.x.factors[i / n], b = u[i] * test.x.factors[i / n];
        values.push_back(std::min(std::max(a / (1 + std::exp(-a)) * b, -65504.0), 65504.0));
    }
    test.product.kind = CRUMB_PACKED_SILU, test.product.next_input = next.data();
    test.product.next_positions = positions, test.product.next_width = width;
    test.product.next_places = in_order ? nullptr : places.data();
    test.launch(next);
    const std::vector<double> got = wide_numbers(next, places, c.tokens, width, 1, test.fault);
    return report("wide silu", width, c, {squared_error(values, got)}, test.fault);
}

template <int width> static int check_all_wide() {
    const uint32_t few = width / 2 + 1;
    // Blocks: groups of one, of two and of many, blocks with ends of two groups, and blocks without any work.
    const input_case cases[] = {
        {make_shape(37, 1, 576, 192, 4), 13, 5, few, 4, 2},  {make_shape(101, 2, 736, 224, 3), 9, 4, width, 2, 1},
        {make_shape(70, 8, 288, 96, 5), 0, 3, few, 4, 2},    {make_shape(33, 1, 128, 0, 0), 0, 9, width, 2, 1},
        {make_shape(32, 1, 128, 128, 0), 0, 1, width, 4, 2}, {make_shape(300, 1, 1024, 384, 4), 0, 7, few, 4, 2},
        {make_shape(64, 1, 4224, 64, 6), 5, 6, width, 2, 1}, {make_shape(37, 1, 576, 192, 4), 13, 2, width - 1, 2, 1},
    };
    int failures = 0;
    for (const input_case &c : cases) {
        failures += check_wide_store<width>(c) + check_wide_residual<width>(c) + check_wide_silu<width>(c);
    }
    // Groups of a block's own: one for each, several, blocks without any.
    const input_case whole[] = {
        {make_shape(101, 2, 736, 224, 3), 9, 9, width, 2, 4, 1}, {make_shape(300, 1, 1024, 384, 4), 0, 2, few, 2, 4, 1},
        {make_shape(70, 8, 288, 96, 5), 0, 5, few, 1, 8, 1},
    };
    for (const input_case &c : whole) {
        if (width > 16) continue;
        failures += check_wide_store<width>(c) + check_wide_residual<width>(c);
        if (c.tiles > 1) failures += check_wide_silu<width>(c);
    }
    // Warps with roles: blocks with parts of one, two and more groups, groups of one, two and all blocks, blocks without any.
    const input_case roles[] = {
        {make_shape(300, 1, 1024, 384, 4), 0, 3, width, 8, 1, 2}, {make_shape(101, 2, 736, 224, 3), 9, 5, few, 8, 1, 2},
        {make_shape(70, 8, 288, 96, 5), 0, 7, width, 8, 1, 2},    {make_shape(600, 1, 576, 192, 4), 13, 2, few, 8, 1, 2},
        {make_shape(33, 1, 128, 0, 0), 0, 9, width, 8, 1, 2},     {make_shape(101, 2, 736, 224, 3), 9, 5, 3, 8, 1, 2},
    };
    for (const input_case &c : roles) {
        if (width == 8) continue;
        failures += check_wide_store<width>(c) + check_wide_residual<width>(c) + check_wide_silu<width>(c);
    }
    return failures;
}

int main() {
    int failures = check_all<1>() + check_all<2>() + check_all<4>();
    failures += check_all_wide<8>() + check_all_wide<16>() + check_all_wide<32>() + check_all_wide<64>();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
