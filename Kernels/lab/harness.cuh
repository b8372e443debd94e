// What the checks share: device buffers, random numbers, comparison with a reference, times in a graph.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "crumb_kernels.h"

#define CUDA_CHECK(call) \
    do { \
        cudaError_t status_ = (call); \
        if (status_ != cudaSuccess) { \
            std::printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status_)); \
            std::exit(2); \
        } \
    } while (0)

inline uint64_t &random_state() {
    static uint64_t state = 0x9E3779B97F4A7C15ull;
    return state;
}

inline uint64_t random_bits() {
    uint64_t z = random_state() += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

inline double random_uniform() { return static_cast<double>(random_bits() >> 11) * 0x1p-53; }

// About normal, mean 0 and deviation 1.
inline float random_normal() {
    return static_cast<float>(
        (random_uniform() + random_uniform() + random_uniform() + random_uniform() - 2) * 1.7320508);
}

inline uint16_t to_half(float value) { return __half_as_ushort(__float2half_rn(value)); }
inline float from_half(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }

inline std::vector<float> random_floats(size_t count, float scale = 1) {
    std::vector<float> v(count);
    for (float &x : v) x = scale * random_normal();
    return v;
}

inline std::vector<uint16_t> random_halves(size_t count, float scale = 1) {
    std::vector<uint16_t> v(count);
    for (uint16_t &x : v) x = to_half(scale * random_normal());
    return v;
}

template <typename Element> struct DeviceBuffer {
    Element *data = nullptr;
    size_t count = 0;

    explicit DeviceBuffer(size_t count) : count(count) {
        CUDA_CHECK(cudaMalloc(&data, std::max<size_t>(count * sizeof(Element), 256)));
        poison();
    }
    DeviceBuffer(const std::vector<Element> &host) : DeviceBuffer(host.size()) { set(host); }
    DeviceBuffer(const DeviceBuffer &) = delete;
    ~DeviceBuffer() { cudaFree(data); }

    // NaN in fp32 and fp16.
    void poison() { CUDA_CHECK(cudaMemset(data, 0xFF, count * sizeof(Element))); }
    void clear() { CUDA_CHECK(cudaMemset(data, 0, count * sizeof(Element))); }
    void set(const std::vector<Element> &host) {
        CUDA_CHECK(cudaMemcpy(data, host.data(), host.size() * sizeof(Element), cudaMemcpyHostToDevice));
    }
    std::vector<Element> get() const {
        std::vector<Element> host(count);
        CUDA_CHECK(cudaDeviceSynchronize());
        CUDA_CHECK(cudaMemcpy(host.data(), data, count * sizeof(Element), cudaMemcpyDeviceToHost));
        return host;
    }
};

// Checks made and failed so far.
struct Tally {
    int made = 0, failed = 0;
};
inline Tally &tally() {
    static Tally t;
    return t;
}

inline bool report(bool ok, const std::string &name, const std::string &detail) {
    tally().made++;
    if (!ok) tally().failed++;
    std::printf("%s %s: %s\n", ok ? "ok  " : "FAIL", name.c_str(), detail.c_str());
    return ok;
}

// Normalised squared error, at most `limit`; NaN fails. Prints the worst place.
inline bool compare(
    const std::string &name, const std::vector<double> &expected, const std::vector<float> &got, double limit = 5e-6) {
    double error = 0, power = 0, worst = -1;
    size_t place = 0;
    bool broken = expected.size() != got.size();
    for (size_t i = 0; i < std::min(expected.size(), got.size()); i++) {
        double difference = got[i] - expected[i];
        if (!(std::fabs(difference) < 1e30)) {
            if (!broken) place = i;
            broken = true;
            continue;
        }
        error += difference * difference;
        power += expected[i] * expected[i];
        if (!broken && std::fabs(difference) > worst) worst = std::fabs(difference), place = i;
    }
    double ratio = power > 0 ? error / power : error;
    char text[200];
    std::snprintf(
        text, sizeof text, "error %.2e of %.0e%s; worst at %zu of %zu: %g, expected %g", ratio, limit,
        broken ? ", NOT A NUMBER" : "", place, got.size(), place < got.size() ? got[place] : NAN,
        place < expected.size() ? expected[place] : NAN);
    return report(!broken && ratio <= limit, name, text);
}

inline std::vector<float> to_floats(const std::vector<uint16_t> &halves) {
    std::vector<float> v(halves.size());
    for (size_t i = 0; i < v.size(); i++) v[i] = from_half(halves[i]);
    return v;
}

inline cudaStream_t stream() {
    static cudaStream_t s = [] {
        cudaStream_t created;
        CUDA_CHECK(cudaStreamCreate(&created));
        return created;
    }();
    return s;
}

// Launches with or without programmatic dependence on the kernel before.
template <typename Args>
void launch(
    void (*kernel)(Args), dim3 grid, uint32_t threads, size_t shared_bytes, const Args &args, bool early = true) {
    if (shared_bytes > 48 * 1024) {
        CUDA_CHECK(
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)));
    }
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream();
    config.attrs = &attribute;
    config.numAttrs = early ? 1 : 0;
    CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, args));
}

// Microseconds a node of a graph of `nodes` launches; `body(i)` launches node i. Median of nine replays.
inline double graph_time(int nodes, const std::function<void(int)> &body) {
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeGlobal));
    for (int i = 0; i < nodes; i++) body(i);
    CUDA_CHECK(cudaStreamEndCapture(stream(), &graph));
    CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
    cudaEvent_t from, to;
    CUDA_CHECK(cudaEventCreate(&from));
    CUDA_CHECK(cudaEventCreate(&to));
    std::vector<float> times;
    for (int replay = 0; replay < 11; replay++) {
        CUDA_CHECK(cudaEventRecord(from, stream()));
        CUDA_CHECK(cudaGraphLaunch(executable, stream()));
        CUDA_CHECK(cudaEventRecord(to, stream()));
        CUDA_CHECK(cudaEventSynchronize(to));
        float ms;
        CUDA_CHECK(cudaEventElapsedTime(&ms, from, to));
        if (replay >= 2) times.push_back(ms);
    }
    std::sort(times.begin(), times.end());
    CUDA_CHECK(cudaGraphExecDestroy(executable));
    CUDA_CHECK(cudaGraphDestroy(graph));
    return times[times.size() / 2] * 1000.0 / nodes;
}

// The limit beside every time: a node that only reads (and writes) as many bytes of fresh memory.
double limit_time(size_t bytes_read, size_t bytes_written, int nodes = 64);

// Random bytes to read, larger than the second-level cache by far; shared by all.
constexpr size_t arena_bytes = size_t(1) << 30;
uint8_t *arena();

inline void print_time(const std::string &name, double us, size_t bytes_read, size_t bytes_written = 0) {
    double limit = limit_time(bytes_read, bytes_written);
    std::printf(
        "time %-58s %8.2f us, %7.2f MB, %5.2f TB/s; limit %7.2f us (%3.0f %%)\n", name.c_str(), us,
        (bytes_read + bytes_written) / 1e6, (bytes_read + bytes_written) / us / 1e6, limit, 100 * limit / us);
}

void check_elementwise();
void check_attention();
void check_matvec();
void check_sample();
void check_dequantize();
void time_attention();
void time_matvec();
void time_sample();
void time_elementwise();
void time_dequantize();
