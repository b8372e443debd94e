// Checks and times packed_product_* on random matrices: packed_bench check [product | matmul] | packed_bench small | packed_bench time [shape | all | layer] [window]
//
// nvcc -std=c++17 -O3 -gencode=arch=compute_90a,code=sm_90a -I Kernels -I Sources/CrumbABI/include packed_bench.cu
#include "packed_matmul.cu"
#include "packed_matmul_roles.cu"
#include "packed_product.cu"

#include <cuda_runtime.h>

#include "packed_reference.h"

#define CHECK(call) \
    do { \
        cudaError_t status = (call); \
        if (status != cudaSuccess) { \
            std::printf("%s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status)); \
            std::exit(1); \
        } \
    } while (0)

static __device__ uint32_t scrambled(uint64_t v) {
    v ^= v >> 31, v *= 0x7fb5d329728ea185ull, v ^= v >> 27, v *= 0x81dadef4bc2dd44dull, v ^= v >> 33;
    return static_cast<uint32_t>(v);
}

// Codes and scale codes random in every record; row scales and outliers from a few templates.
static __global__ void fill_records(
    uint32_t *to, const uint32_t *templates, uint32_t count, uint32_t record_words, uint32_t random_words, size_t words,
    uint64_t seed) {
    for (size_t i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x; i < words;
         i += static_cast<size_t>(gridDim.x) * blockDim.x) {
        uint32_t record = static_cast<uint32_t>(i / record_words), word = static_cast<uint32_t>(i % record_words);
        to[i] = word < random_words ? scrambled(i + (seed << 40)) : templates[record % count * record_words + word];
    }
}

static uint8_t *random_matrix(const crumb_packed_shape &s, uint64_t seed) {
    std::vector<uint8_t> templates = record_templates(s, seed, 7);
    uint8_t *from, *to;
    CHECK(cudaMalloc(&from, templates.size()));
    CHECK(cudaMalloc(&to, matrix_bytes(s)));
    CHECK(cudaMemcpy(from, templates.data(), templates.size(), cudaMemcpyHostToDevice));
    fill_records<<<1024, 256>>>(
        reinterpret_cast<uint32_t *>(to), reinterpret_cast<uint32_t *>(from), 7, s.record_bytes / 4,
        s.row_scales_offset / 4, matrix_bytes(s) / 4, seed);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaFree(from));
    return to;
}

using kernel = void (*)(crumb_packed_args);
using matmul_kernel = void (*)(crumb_matmul_args);
struct variant {
    const char *name;
    uint32_t kind, tokens;
    kernel function;
    matmul_kernel matmul = nullptr;
    bool roles = false;
};
static const variant variants[] = {
    {"store", CRUMB_PACKED_STORE, 1, packed_product_m1},       {"store", CRUMB_PACKED_STORE, 2, packed_product_m2},
    {"store", CRUMB_PACKED_STORE, 4, packed_product_m4},
    {"residual", CRUMB_PACKED_RESIDUAL, 1, packed_product_m1}, {"silu", CRUMB_PACKED_SILU, 1, packed_product_m1},
    {"residual", CRUMB_PACKED_RESIDUAL, 4, packed_product_m4}, {"silu", CRUMB_PACKED_SILU, 4, packed_product_m4},
#define MATMUL(M) \
    {"store", CRUMB_PACKED_STORE, M, nullptr, packed_matmul_m##M}, \
        {"residual", CRUMB_PACKED_RESIDUAL, M, nullptr, packed_matmul_m##M}, \
        {"silu", CRUMB_PACKED_SILU, M, nullptr, packed_matmul_m##M}
    MATMUL(8), MATMUL(16), MATMUL(32), MATMUL(64),
#define ROLES(M, N) \
    {"roles store", CRUMB_PACKED_STORE, M, nullptr, packed_matmul_roles_m##N, true}, \
        {"roles residual", CRUMB_PACKED_RESIDUAL, M, nullptr, packed_matmul_roles_m##N, true}, \
        {"roles silu", CRUMB_PACKED_SILU, M, nullptr, packed_matmul_roles_m##N, true}
    ROLES(16, 16), ROLES(32, 32), ROLES(64, 32),
};

static int multiprocessors;
static uint32_t window, tiles; // 0: what the plan says

template <class Kernel, class Arguments>
static void launch(
    Kernel function, const Arguments &args, int blocks, uint32_t threads, uint64_t bytes, cudaStream_t stream, bool dependent) {
    CHECK(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t configuration = {};
    configuration.gridDim = blocks, configuration.blockDim = threads;
    configuration.dynamicSmemBytes = bytes, configuration.stream = stream;
    configuration.attrs = &attribute, configuration.numAttrs = dependent ? 1 : 0;
    CHECK(cudaLaunchKernelEx(&configuration, function, args));
}

// For blocks that share rows.
static float *partials;
static uint32_t *arrivals;

static void launch(const variant &v, crumb_packed_args args, cudaStream_t stream, bool dependent) {
    if (v.matmul) {
        crumb_matmul_args wide = {};
        wide.product = args.product, wide.tokens = args.tokens, wide.epsilon = args.epsilon;
        const uint32_t most = CRUMB_MATMUL_WARPS, paired = v.kind == CRUMB_PACKED_SILU;
        if (v.roles) {
            wide.tiles = CRUMB_ROLES_TILES, wide.slices = 1, wide.whole = CRUMB_MATMUL_ROLES;
            wide.partials = partials, wide.arrivals = arrivals;
            const uint64_t bytes = crumb_matmul_plan(&wide, v.tokens, multiprocessors, 227 * 1024);
            launch(v.matmul, wide, multiprocessors, CRUMB_ROLES_THREADS, bytes, stream, dependent);
            return;
        }
        uint32_t each = crumb_matmul_blocks(v.tokens);
        wide.tiles = std::min(tiles ? tiles : 4, most);
        if (paired) wide.tiles = std::max(2u, wide.tiles & ~1u);
        wide.slices = most / wide.tiles;
        wide.whole = tiles == 1 || tiles == 2;
        uint64_t bytes = 0;
        for (; each > 0 && bytes == 0; each -= bytes == 0) {
            bytes = crumb_matmul_plan(&wide, v.tokens, multiprocessors * each, (228 * 1024) / each - 1024);
        }
        const int blocks = multiprocessors * each;
        if (!bytes) std::printf("too little shared memory: M %u, %u x %u\n", v.tokens, wide.tiles, wide.slices), std::exit(1);
        wide.partials = partials, wide.arrivals = arrivals;
        launch(
            v.matmul, wide, blocks, 32 * wide.tiles * wide.slices, bytes, stream, dependent);
        return;
    }
    const uint64_t bytes = crumb_packed_plan(&args, v.tokens, multiprocessors, 227 * 1024);
    if (window) args.window = window;
    launch(v.function, args, multiprocessors, 32 * (args.warps + CRUMB_PACKED_OTHER_WARPS), bytes, stream, dependent);
}

static crumb_packed_args one(const crumb_packed_product &product, uint32_t tokens) {
    crumb_packed_args args = {};
    args.product = product, args.tokens = tokens, args.epsilon = 1e-5f;
    return args;
}

static int check_one(const variant &v, crumb_packed_shape s, uint32_t tokens, float magnitude) {
    static uint64_t seed = 1;
    const uint32_t positions = s.segments * s.segment_channels, n = s.rows;
    uint8_t *matrix = random_matrix(s, seed++), *other = (v.kind == CRUMB_PACKED_SILU) ? random_matrix(s, seed++) : nullptr;
    std::mt19937 generator(static_cast<uint32_t>(seed));
    std::normal_distribution<float> normal(0, magnitude);
    std::vector<half> x(v.tokens * (positions + 64), __float2half(NAN));
    std::vector<float> values(tokens * positions);
    for (size_t i = 0; i < values.size(); i++) {
        half h = __float2half(normal(generator) * (generator() % 500 == 0 ? 40 : 1));
        x[crumb_input_index(i % positions, i / positions, positions, v.matmul ? v.tokens : 0)] = h, values[i] = __half2float(h);
    }
    uint8_t *input;
    uint32_t *output;
    CHECK(cudaMalloc(&input, x.size() * 2));
    CHECK(cudaMemcpy(input, x.data(), x.size() * 2, cudaMemcpyHostToDevice));
    CHECK(cudaMalloc(&output, size_t(v.tokens) * (n + 8) * 4));
    crumb_packed_product args = {};
    args.kind = v.kind, args.part_count = (v.kind == CRUMB_PACKED_SILU) ? 2 : 1, args.positions = positions, args.columns = s.columns;
    args.parts[0].shape = args.parts[1].shape = s, args.parts[0].records = matrix, args.parts[1].records = other;
    args.input = reinterpret_cast<uint16_t *>(input), args.output = output, args.output_stride = n;
    if (v.kind == CRUMB_PACKED_SILU) args.next_input = reinterpret_cast<uint16_t *>(output), args.next_width = v.matmul ? v.tokens : 0, args.next_positions = n;
    auto product = [&](uint8_t *from) {
        std::vector<uint8_t> host(matrix_bytes(s));
        CHECK(cudaMemcpy(host.data(), from, host.size(), cudaMemcpyDeviceToHost));
        return reference(s, host, values, tokens);
    };
    std::vector<double> expected = product(matrix), up = (v.kind == CRUMB_PACKED_SILU) ? product(other) : std::vector<double>();
    std::vector<uint32_t> got[2];
    for (std::vector<uint32_t> &result : got) {
        CHECK(cudaMemset(
            output, v.kind == CRUMB_PACKED_RESIDUAL ? 0 : 0xFF,
            size_t(tokens) * n * 4));
        launch(v, one(args, tokens), 0, false);
        CHECK(cudaDeviceSynchronize());
        result.resize(size_t(tokens) * n);
        if (v.kind == CRUMB_PACKED_SILU) result.resize(size_t(v.tokens) * (n + 8) / 2);
        CHECK(cudaMemcpy(result.data(), output, result.size() * 4, cudaMemcpyDeviceToHost));
    }
    double error = 0, power = 0, worst = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        double want = expected[i], have;
        if ((v.kind == CRUMB_PACKED_SILU)) {
            want = std::min(std::max(want / (1 + std::exp(-want)) * up[i], -65504.0), 65504.0);
            have = __half2float(reinterpret_cast<half *>(got[0].data())[crumb_input_index(i % n, i / n, n, v.matmul ? v.tokens : 0)]);
        } else {
            have = reinterpret_cast<float *>(got[0].data())[i];
        }
        error += (have - want) * (have - want), power += want * want, worst = std::max(worst, std::fabs(have - want));
    }
    bool same = true;
    for (size_t i = 0; i < expected.size(); i++) {
        if (v.kind == CRUMB_PACKED_SILU) {
            const size_t at = crumb_input_index(i % n, i / n, n, v.matmul ? v.tokens : 0);
            same &= reinterpret_cast<uint16_t *>(got[0].data())[at] == reinterpret_cast<uint16_t *>(got[1].data())[at];
        } else {
            same &= got[0][i] == got[1][i];
        }
    }
    // Half of the smallest fp16 number is no error of the product's.
    bool good = (error / power <= 5e-6 || (v.kind == CRUMB_PACKED_SILU && worst < 3e-8)) && same;
    std::printf(
        "%s %s%s N %u S %u P %u F %u out %u M %u/%u x~%g: NSE %.2e, worst %g%s\n", good ? "ok  " : "FAIL",
        v.matmul ? "matmul " : "", v.name, n,
        s.segments, s.segment_channels, s.four_bit_channels, s.outliers_per_tile, tokens, v.tokens, magnitude,
        error / power, worst, same ? "" : " NOT THE SAME TWICE");
    CHECK(cudaFree(matrix));
    if (other) CHECK(cudaFree(other));
    CHECK(cudaFree(input));
    CHECK(cudaFree(output));
    return good ? 0 : 1;
}

static int check(const char *only) {
    int failures = 0;
    for (const variant &v : variants) {
        if (only && (std::strcmp(only, "matmul") == 0) != (v.matmul != nullptr)) continue;
        for (uint32_t tokens = v.tokens == 1 ? 1 : v.tokens / 2 + 1; tokens <= v.tokens;
             tokens += v.tokens > 16 && tokens < v.tokens ? std::min(11u, v.tokens - tokens) : 1) {
            failures += check_one(v, make_shape(37, 1, 576, 192, 4), tokens, 1);
            failures += check_one(v, make_shape(1001, 2, 736, 224, 3), tokens, 0.01f);
            failures += check_one(v, make_shape(513, 8, 1376, 352, 5), tokens, 1e-4f);
            failures += check_one(v, make_shape(1536, 1, 1536, 0, 4), tokens, 1);
            failures += check_one(v, make_shape(1536, 1, 1536, 1536, 0), tokens, 100);
        }
        failures += check_one(v, make_shape(4096, 1, 4096, 1408, 4), v.tokens, 1);
        failures += check_one(v, make_shape(4096, 8, 1376, 480, 4), v.tokens, 1);
        // Blocks with parts of three groups and more.
        if (v.roles) failures += check_one(v, make_shape(36001, 1, 128, 64, 4), v.tokens, 1);
    }
    std::printf("%d failures\n", failures);
    return failures;
}

// Few enough for compute-sanitizer.
static int check_small() {
    int failures = 0;
    for (const variant &v : variants) {
        failures += check_one(v, make_shape(37, 1, 576, 192, 4), v.tokens, 1);
        failures += check_one(v, make_shape(70, 8, 288, 96, 5), v.tokens, 1);
    }
    std::printf("%d failures\n", failures);
    return failures;
}

// Microseconds a node of a graph of many: median over replays.
template <class Record> static double time_graph(cudaStream_t stream, int nodes, Record record) {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    for (int i = 0; i < nodes; i++) record(i);
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    std::vector<double> times;
    for (int replay = 0; replay < 14; replay++) {
        CHECK(cudaEventRecord(begin, stream));
        CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaEventRecord(end, stream));
        CHECK(cudaEventSynchronize(end));
        float milliseconds;
        CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
        if (replay >= 3) times.push_back(1000.0 * milliseconds / nodes);
    }
    std::sort(times.begin(), times.end());
    CHECK(cudaGraphExecDestroy(exec));
    CHECK(cudaGraphDestroy(graph));
    return times[times.size() / 2];
}

// Reads bytes with 16-byte loads, four in flight a thread, and nothing else.
static __global__ void read_only(const uint4 *from, size_t count, uint32_t *sink) {
    size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
    uint32_t sum = 0;
    for (size_t i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x; i < count; i += 4 * stride) {
        uint4 v[4];
#pragma unroll
        for (int k = 0; k < 4; k++) v[k] = i + k * stride < count ? __ldcs(from + i + k * stride) : uint4{};
#pragma unroll
        for (int k = 0; k < 4; k++) sum += v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
    }
    if (sum == 0x12345678) *sink = sum;
}

struct timed_shape {
    const char *name;
    crumb_packed_shape shape;
    double target; // microseconds at M = 1
    bool paired;
};

static void time_all(const char *only) {
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    uint32_t *sink, *output;
    uint8_t *input;
    CHECK(cudaMalloc(&sink, 4));
    CHECK(cudaMalloc(&output, 64 * 22016 * 4));
    std::vector<half> x(64 * 11264);
    std::mt19937 generator(3);
    std::normal_distribution<float> normal(0, 1);
    for (half &h : x) h = __float2half(normal(generator));
    CHECK(cudaMalloc(&input, x.size() * 2));
    CHECK(cudaMemcpy(input, x.data(), x.size() * 2, cudaMemcpyHostToDevice));
    const timed_shape shapes[] = {
        {"qkv", make_shape(12288, 1, 4096, 1408, 4), 7.3, false},
        {"o", make_shape(4096, 8, 512, 192, 4), 3.8, false},
        {"gate+up", make_shape(11008, 1, 4096, 1408, 4), 10.8, true},
        {"down", make_shape(4096, 8, 1376, 480, 4), 6.8, false},
        {"qkv, no outliers", make_shape(12288, 1, 4096, 1408, 0), 7.3, false},
        {"gate+up, no outliers", make_shape(11008, 1, 4096, 1408, 0), 10.8, true},
    };
    for (const timed_shape &t : shapes) {
        if (only && std::strcmp(only, t.name) != 0) continue;
        size_t bytes = matrix_bytes(t.shape) * (t.paired ? 2 : 1);
        std::vector<uint8_t *> copies(std::max<size_t>(4, 300000000 / bytes) * (t.paired ? 2 : 1));
        for (size_t i = 0; i < copies.size(); i++) copies[i] = random_matrix(t.shape, i + 100);
        int nodes = std::max(40, (int)copies.size());
        double read = 1e9;
        for (int blocks : {1, 2, 4, 8}) {
            read = std::min(read, time_graph(stream, nodes, [&](int i) {
                                const uint4 *from = reinterpret_cast<const uint4 *>(copies[i % copies.size()]);
                                read_only<<<multiprocessors * blocks, 256, 0, stream>>>(
                                    from, matrix_bytes(t.shape) / 16, sink);
                            }));
        }
        std::printf(
            "%-8s %6.2f MB, %.3f bits; read only %.2f us%s, target %.1f us\n", t.name, bytes * 1e-6,
            matrix_bytes(t.shape) * 8.0 / t.shape.rows / t.shape.columns, read, t.paired ? " (one of two)" : "",
            t.target);
        for (const variant &v : variants) {
            if ((v.kind == CRUMB_PACKED_SILU) != t.paired) continue;
            crumb_packed_product args = {};
            args.kind = v.kind, args.part_count = t.paired ? 2 : 1, args.columns = t.shape.columns;
            args.positions = t.shape.segments * t.shape.segment_channels;
            args.parts[0].shape = args.parts[1].shape = t.shape;
            args.next_input = t.paired ? reinterpret_cast<uint16_t *>(output) : nullptr, args.next_width = v.matmul ? v.tokens : 0, args.next_positions = t.shape.rows;
            args.input = reinterpret_cast<uint16_t *>(input), args.output = output, args.output_stride = t.shape.rows;
            double us[2];
            for (int dependent = 0; dependent < 2; dependent++) {
                us[dependent] = time_graph(stream, nodes, [&](int i) {
                    args.parts[0].records = copies[i * args.part_count % copies.size()];
                    args.parts[1].records = copies[(i * args.part_count + 1) % copies.size()];
                    launch(v, one(args, v.tokens), stream, dependent);
                });
            }
            if (tiles && !v.matmul) continue;
            std::printf("  %s%-8s M %u  %6.2f us, dependent launch %6.2f us\n", v.matmul ? "matmul " : "", v.name, v.tokens, us[0], us[1]);
        }
        for (uint8_t *copy : copies) CHECK(cudaFree(copy));
        std::fflush(stdout);
    }
}

// A layer's products one behind the other, as a decode step has them between two attentions: o, gate and up, down, q k v.
static void time_layer() {
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    const crumb_packed_shape shapes[] = {
        make_shape(4096, 8, 512, 192, 4), make_shape(11008, 1, 4096, 1408, 4), make_shape(4096, 8, 1376, 480, 4),
        make_shape(12288, 1, 4096, 1408, 4)};
    const uint32_t kinds[] = {CRUMB_PACKED_RESIDUAL, CRUMB_PACKED_SILU, CRUMB_PACKED_RESIDUAL, CRUMB_PACKED_STORE};
    const int layers = 6;
    std::vector<uint8_t *> matrices[5];
    size_t bytes = 0;
    for (int i = 0; i < 5; i++) {
        const crumb_packed_shape &shape = shapes[i == 4 ? 1 : i];
        bytes += matrix_bytes(shape);
        for (int layer = 0; layer < layers; layer++) matrices[i].push_back(random_matrix(shape, i * 100 + layer));
    }
    uint8_t *memory;
    CHECK(cudaMalloc(&memory, 16 << 20));
    CHECK(cudaMemset(memory, 0, 16 << 20));
    // Places as in a model: any order.
    uint16_t *places[2];
    for (int i = 0; i < 2; i++) {
        std::vector<uint16_t> order(i ? 11008 : 4096);
        for (size_t k = 0; k < order.size(); k++) order[k] = static_cast<uint16_t>(k);
        std::shuffle(order.begin(), order.end(), std::mt19937(i));
        CHECK(cudaMalloc(&places[i], order.size() * 2));
        CHECK(cudaMemcpy(places[i], order.data(), order.size() * 2, cudaMemcpyHostToDevice));
    }
    for (int dependent = 0; dependent < 2; dependent++) {
            double us = time_graph(stream, 48, [&](int i) {
                for (uint32_t p = 0; p < 4; p++) {
                    crumb_packed_product product = {};
                    product.kind = kinds[p], product.part_count = kinds[p] == CRUMB_PACKED_SILU ? 2 : 1;
                    product.parts[0].shape = product.parts[1].shape = shapes[p];
                    product.parts[0].records = matrices[p][i % layers], product.parts[1].records = matrices[4][i % layers];
                    product.columns = shapes[p].columns, product.output_stride = shapes[p].rows;
                    product.positions = shapes[p].segments * shapes[p].segment_channels;
                    product.input = reinterpret_cast<uint16_t *>(memory + (p << 20));
                    product.output = memory + (((p + 1) % 4 << 20) + (8 << 20));
                    product.next_positions = product.kind == CRUMB_PACKED_SILU ? 11008 : 4096;
                    product.next_places = places[product.kind == CRUMB_PACKED_SILU];
                    if (product.kind == CRUMB_PACKED_SILU) product.next_input = reinterpret_cast<uint16_t *>(memory + (2 << 20));
                    if (product.kind == CRUMB_PACKED_RESIDUAL) {
                        product.next_input = reinterpret_cast<uint16_t *>(memory + (p + 1 << 20));
                        product.next_norm = reinterpret_cast<float *>(memory + (5 << 20));
                        product.next_squares = reinterpret_cast<float *>(memory + (6 << 20) + (p << 16));
                    } else {
                        product.squares = reinterpret_cast<float *>(memory + (6 << 20) + (p - 1 << 16));
                        product.square_count = multiprocessors;
                    }
                    launch(variants[0], one(product, 1), stream, dependent);
                }
            });
            std::printf(
                "layer of %.1f MB%s: %6.2f us\n", bytes * 1e-6, dependent ? ", dependent launch" : "", us);
    }
}

int main(int count, char **arguments) {
    CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    CHECK(cudaMalloc(&partials, size_t(multiprocessors) * 4 * 64 * 256 * 4));
    CHECK(cudaMalloc(&arrivals, 4096));
    CHECK(cudaMemset(arrivals, 0, 4096));
    if (count > 1 && std::strcmp(arguments[1], "check") == 0) return check(count > 2 ? arguments[2] : nullptr) ? 1 : 0;
    if (count > 1 && std::strcmp(arguments[1], "small") == 0) return check_small() ? 1 : 0;
    window = count > 3 ? std::atoi(arguments[3]) : 0;
    tiles = count > 4 ? std::atoi(arguments[4]) : 0;
    const char *only = count > 2 && std::strcmp(arguments[2], "all") != 0 ? arguments[2] : nullptr;
    if (!only || std::strcmp(only, "layer") == 0) time_layer();
    time_all(only);
}
