// Checks and times the step's kernels on this GPU: `step_lab check`, `step_lab time`, or both.
#include "harness.cuh"

namespace {
__global__ void read_and_write(const uint4 *in, size_t count_in, uint4 *out, size_t count_out) {
    size_t first = blockIdx.x * size_t(blockDim.x) + threadIdx.x, step = size_t(gridDim.x) * blockDim.x;
    uint32_t mix = 0;
    size_t i = first;
    for (; i + 3 * step < count_in; i += 4 * step) {
        uint4 v[4];
#pragma unroll
        for (int u = 0; u < 4; u++) v[u] = __ldcs(in + i + u * step);
#pragma unroll
        for (int u = 0; u < 4; u++) mix ^= v[u].x ^ v[u].y ^ v[u].z ^ v[u].w;
    }
    for (; i < count_in; i += step) mix ^= in[i].x ^ in[i].w;
    for (i = first; i < count_out; i += step) out[i] = make_uint4(mix, mix + 1, mix + 2, mix + 3);
    if (count_out == 0 && mix == 0x12345) out[0].x = mix;
}

__global__ void fill_random(uint32_t *out, size_t count) {
    for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count; i += size_t(gridDim.x) * blockDim.x) {
        uint64_t z = i * 0x9E3779B97F4A7C15ull + 12345;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        out[i] = static_cast<uint32_t>(z >> 32);
    }
}
} // namespace

uint8_t *arena() {
    static uint8_t *memory = [] {
        uint8_t *m;
        CUDA_CHECK(cudaMalloc(&m, arena_bytes));
        fill_random<<<1024, 256>>>(reinterpret_cast<uint32_t *>(m), arena_bytes / 4);
        CUDA_CHECK(cudaDeviceSynchronize());
        return m;
    }();
    return memory;
}

double limit_time(size_t bytes_read, size_t bytes_written, int nodes) {
    static uint8_t *output = [] {
        uint8_t *m;
        CUDA_CHECK(cudaMalloc(&m, arena_bytes));
        return m;
    }();
    size_t read_place = 0, write_place = 0;
    uint8_t *input = arena();
    return graph_time(nodes, [&](int) {
        if (read_place + bytes_read > arena_bytes) read_place = 0;
        if (write_place + bytes_written > arena_bytes) write_place = 0;
        read_and_write<<<132 * 4, 256, 0, stream()>>>(
            reinterpret_cast<const uint4 *>(input + read_place), bytes_read / 16,
            reinterpret_cast<uint4 *>(output + write_place), bytes_written / 16);
        read_place += (bytes_read + 255) / 256 * 256;
        write_place += (bytes_written + 255) / 256 * 256;
    });
}

int main(int count, char **arguments) {
    std::string what = count > 1 ? arguments[1] : "both";
    cudaDeviceProp properties;
    CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
    std::printf(
        "%s, %d multiprocessors, second-level cache %d MB\n", properties.name, properties.multiProcessorCount,
        properties.l2CacheSize >> 20);
    if (what != "time") {
        check_elementwise();
        check_attention();
        check_matvec();
        check_sample();
        check_dequantize();
        std::printf("%d checks, %d failed\n", tally().made, tally().failed);
    }
    if (what != "check") {
        time_attention();
        time_matvec();
        time_sample();
        time_elementwise();
        time_dequantize();
    }
    return tally().failed > 0;
}
