// Causal flash attention of M consecutive tokens of one sequence over the KV cache.
//
// Grid (ceil(M / 128), heads), 256 threads: block (i, h) has 128 queries of head h, a warp 16 of them, the blocks with
// the most positions first. K and V come in tiles of 64 positions through shared memory, two deep (cp.async). Scores
// and sums are fp32, probabilities fp16. Rows of shared memory are 16 bytes longer than D so that eight rows of a
// matrix load lie in different banks.
//
// Dynamic shared memory: prefill_shared_bytes(D) = 4 x 64 x (D + 8) x 2 bytes (69,632 for D = 128). Work: 2 x 2 x D x
// heads x M x mean length FLOP; limit: tensor cores (mma.sync). Reference: ReferenceBackend.attention.
#include "include/mma.cuh"

enum { tile_positions = 64, prefill_warps = CRUMB_PREFILL_THREADS / 32, query_rows = 16 };

template <int D> struct PrefillTile {
    enum { stride = D + 8, chunks = D / 8 };
    uint16_t rows[tile_positions][stride];
};

template <int D> CRUMB_INLINE void fetch_tile(PrefillTile<D> &tile, const uint16_t *cache, int first, int limit) {
    for (int i = threadIdx.x; i < tile_positions * PrefillTile<D>::chunks; i += CRUMB_PREFILL_THREADS) {
        int row = i / PrefillTile<D>::chunks, chunk = i % PrefillTile<D>::chunks;
        bool inside = first + row < limit;
        copy_async(
            shared_address(&tile.rows[row][8 * chunk]),
            cache + static_cast<size_t>(inside ? first + row : 0) * D + 8 * chunk, inside);
    }
}

// The warp's 16 queries as fragments, zeros behind the last.
template <int D>
CRUMB_INLINE void load_queries(
    uint32_t (&q)[D / 16][4], const crumb_attention_prefill_args &a, uint32_t first, uint32_t head) {
    uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t token = first + g + i % 2 * 8, feature = 16 * k + 2 * t + i / 2 * 8;
            size_t index = (static_cast<size_t>(token) * a.heads + head) * D + feature;
            q[k][i] = token < a.tokens ? *reinterpret_cast<const uint32_t *>(a.queries + index) : 0;
        }
    }
}

// scores = q K^T: 16 queries x 64 positions.
template <int D>
CRUMB_INLINE void multiply_keys(float (&scores)[8][4], const uint32_t (&q)[D / 16][4], const PrefillTile<D> &tile) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < 8; n++) scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
#pragma unroll
        for (int n = 0; n < 8; n += 2) {
            // Matrices: positions 8 n and features 16 k, + 8; then positions 8 n + 8.
            uint32_t b[4];
            int row = 8 * n + lane / 16 * 8 + lane % 8, column = 16 * k + lane / 8 % 2 * 8;
            load_matrices(b, shared_address(&tile.rows[row][column]));
            mma(scores[n], q[k][0], q[k][1], q[k][2], q[k][3], b[0], b[1]);
            mma(scores[n + 1], q[k][0], q[k][1], q[k][2], q[k][3], b[2], b[3]);
        }
    }
}

// output += P V.
template <int D>
CRUMB_INLINE void multiply_values(float (&output)[D / 8][4], const float (&p)[8][4], const PrefillTile<D> &tile) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < tile_positions / 16; k++) {
        uint32_t a0 = pack_half2(p[2 * k][0], p[2 * k][1]), a1 = pack_half2(p[2 * k][2], p[2 * k][3]);
        uint32_t a2 = pack_half2(p[2 * k + 1][0], p[2 * k + 1][1]), a3 = pack_half2(p[2 * k + 1][2], p[2 * k + 1][3]);
#pragma unroll
        for (int n = 0; n < D / 8; n += 2) {
            uint32_t b[4];
            int row = 16 * k + lane % 16, column = 8 * n + lane / 16 * 8;
            load_matrices_transposed(b, shared_address(&tile.rows[row][column]));
            mma(output[n], a0, a1, a2, a3, b[0], b[1]);
            mma(output[n + 1], a0, a1, a2, a3, b[2], b[3]);
        }
    }
}

// Scores to probabilities relative to the highest score so far; the sums so far are scaled to it.
template <int D>
CRUMB_INLINE void soften(
    float (&scores)[8][4], float (&maximum)[2], float (&sum)[2], float (&output)[D / 8][4], int first, int position,
    int window, bool masked) {
    int t = threadIdx.x % 4;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int last = position + 8 * r, earliest = window > 0 ? last - window + 1 : 0;
        float highest = maximum[r];
#pragma unroll
        for (int n = 0; n < 8; n++) {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                int at = first + 8 * n + 2 * t + c;
                if (masked && (at > last || at < earliest)) scores[n][2 * r + c] = -INFINITY;
                highest = fmaxf(highest, scores[n][2 * r + c]);
            }
        }
        highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 2));
        // A row may have seen nothing yet: with a window its first positions can lie in a later tile.
        float reference = highest == -INFINITY ? 0.0f : highest;
        float correction = exp2f(maximum[r] - reference), total = 0;
        maximum[r] = highest;
#pragma unroll
        for (int n = 0; n < 8; n++) {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                float p = exp2f(scores[n][2 * r + c] - reference);
                scores[n][2 * r + c] = p;
                total += p;
            }
        }
        sum[r] = fmaf(sum[r], correction, total);
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            output[n][2 * r] *= correction;
            output[n][2 * r + 1] *= correction;
        }
    }
}

template <int D> CRUMB_INLINE void attention_prefill(const crumb_attention_prefill_args &a, PrefillTile<D> *tiles) {
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    uint32_t block = gridDim.x - 1 - blockIdx.x, head = blockIdx.y, kv_head = head / (a.heads / a.cache.kv_heads);
    uint32_t first_query = block * CRUMB_PREFILL_QUERIES, mine = first_query + query_rows * warp;
    int window = static_cast<int>(a.window), start = static_cast<int>(a.start);
    int limit = start + static_cast<int>(min(first_query + CRUMB_PREFILL_QUERIES, a.tokens));
    int earliest = window > 0 ? max(start + static_cast<int>(first_query) - window + 1, 0) : 0;
    int first = earliest / tile_positions * tile_positions;
    size_t cache_first = (static_cast<size_t>(a.slot) * a.cache.kv_heads + kv_head) * a.cache.capacity * D;
    const uint16_t *keys = a.cache.keys + cache_first, *values = a.cache.values + cache_first;
    wait_for_previous();
    release_next();

    fetch_tile<D>(tiles[0], keys, first, limit);
    fetch_tile<D>(tiles[1], values, first, limit);
    copies_end_group();
    uint32_t q[D / 16][4];
    load_queries<D>(q, a, mine, head);
    float output[D / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
    int position = start + static_cast<int>(mine + g);
    int first_seen = start + static_cast<int>(mine), last_seen = first_seen + query_rows - 1;
    for (int stage = 0; first < limit; first += tile_positions, stage ^= 2) {
        if (first + tile_positions < limit) {
            fetch_tile<D>(tiles[stage ^ 2], keys, first + tile_positions, limit);
            fetch_tile<D>(tiles[(stage ^ 2) + 1], values, first + tile_positions, limit);
        }
        copies_end_group();
        copies_done<1>();
        __syncthreads();
        // Tiles behind a warp's last query have nothing for it.
        if (first <= last_seen) {
            float scores[8][4];
            multiply_keys<D>(scores, q, tiles[stage]);
            bool masked = first + tile_positions - 1 > first_seen || (window > 0 && first < last_seen - window + 1);
            soften<D>(scores, maximum, sum, output, first, position, window, masked);
            multiply_values<D>(output, scores, tiles[stage + 1]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        uint32_t token = mine + g + 8 * r;
        float total = sum[r];
        total += __shfl_xor_sync(~0u, total, 1);
        total += __shfl_xor_sync(~0u, total, 2);
        if (token >= a.tokens) continue;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                uint32_t feature = head * D + 8 * n + 2 * t + c;
                const uint32_t place = a.places ? a.places[feature] : feature;
                const uint64_t at = crumb_input_index(place, a.first_row + token, a.output_stride, a.output_width);
                a.output[at] = half_bits(output[n][2 * r + c] / total);
            }
        }
    }
}

#define CRUMB_ATTENTION_PREFILL(D) \
    CRUMB_KERNEL __launch_bounds__(CRUMB_PREFILL_THREADS, 1) \
        attention_prefill_f16_d##D(const __grid_constant__ crumb_attention_prefill_args a) { \
        extern __shared__ __align__(16) uint8_t memory[]; \
        attention_prefill<D>(a, reinterpret_cast<PrefillTile<D> *>(memory)); \
    }

CRUMB_ATTENTION_PREFILL(32)
CRUMB_ATTENTION_PREFILL(64)
CRUMB_ATTENTION_PREFILL(80)
CRUMB_ATTENTION_PREFILL(96)
CRUMB_ATTENTION_PREFILL(128)
