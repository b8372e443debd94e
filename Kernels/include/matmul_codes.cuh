// Codes of a chunk to fp16 fragments, and their products with the activations.
//
// A pair of codes is masked out of a word as two halves that are no normal numbers, code x 2^(2 p - 24), and one
// multiplication and addition makes scale x (code - 1.5) x 2^-14 of it, exactly: 2^14 is put back with the row scale, in
// fp32, where a region ends. Lane 4 g + t has the codes of rows g + 8 i of its channels, 16 t ... 16 t + 15 of a 2-bit
// tile; as the order of the inner dimension of a product is free, these are its rows of B as well (matmul_memory::row_of()).
#pragma once

#include "matmul_memory.cuh"
#include "packed_output.cuh"
#include "warpgroup.cuh"

constexpr float matmul_code_factor = 16384;

// Whether warps that also copy make products with so many tokens by warpgroups: with fewer, waiting for each other costs
// four warps more than the tensor cores save.
template <int octets> constexpr bool by_warpgroups = has_warpgroups && octets >= 4;

CRUMB_INLINE half2 half2_of(float value) { return __float2half2_rn(value); }

// A lane's four rows' codes of their words as halves. The scales of two rows stand in one register: instructions take
// either half of it twice.
template <int bits> struct matmul_rows {
    static constexpr int places = bits == 2 ? 4 : 2;
    half2 scales[places][2], zeros[2];

    // `codes`: 16 bits, four for each row.
    CRUMB_INLINE explicit matmul_rows(uint32_t codes) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            // Scale x 2^10: the code as the high bits of a half from 16 to 32. Both rows' codes at bits 6 and 22.
            const uint32_t apart = (i == 0 ? codes & 0xFF : codes >> 8) * 0x40040;
            const half2 value = as_half2((apart & 0x03C003C0) | 0x4C004C00);
            scales[0][i] = __hfma2(value, half2_of(1024), half2_of((CRUMB_SCALE_BIAS - 16) * 1024.0f));
            if (bits == 2) {
                scales[1][i] = __hmul2(scales[0][i], half2_of(1 / 4.0f));
                scales[places - 2][i] = __hmul2(scales[0][i], half2_of(1 / 16.0f));
                scales[places - 1][i] = __hmul2(scales[0][i], half2_of(1 / 64.0f));
                zeros[i] = __hmul2(scales[places - 1][i], half2_of(-1.5f / 262144));
            } else {
                scales[1][i] = __hmul2(scales[0][i], half2_of(1 / 16.0f));
                zeros[i] = __hmul2(scales[1][i], half2_of(-7.5f / 1048576));
            }
        }
    }

    // Pair `pair` of row i's word: its even channel in the low half.
    CRUMB_INLINE uint32_t weights(int i, uint32_t word, int pair) const {
        const uint32_t mask = (bits == 2 ? 0x00030003u : 0x000F000Fu) << bits * (pair % places);
        const uint32_t at = pair < places ? word : word >> 8;
        const half2 scale = scales[pair % places][i / 2], zero = zeros[i / 2];
        return as_bits(__hfma2(
            as_half2(at & mask), i % 2 ? __high2half2(scale) : __low2half2(scale),
            i % 2 ? __high2half2(zero) : __low2half2(zero)));
    }
};

// A warp's sums of a row tile: rows g + 8 i of tokens 8 octet + 2 t and the next.
template <int octets, bool warpgroups = by_warpgroups<octets>> struct matmul_sums {
    float run[2][octets][4]; // of one region of one segment, before the row scales
    float total[2][octets][4];
    float row_scales[4]; // of `run`

    CRUMB_INLINE void clear() {
#pragma unroll
        for (int i = 0; i < 4; i++) row_scales[i] = 0;
        each([&](int m, int octet, int e) { run[m][octet][e] = total[m][octet][e] = 0; });
    }

    // Waits for products under way.
    CRUMB_INLINE void settle() {
        if (!warpgroups) return;
        warpgroup_wait<0>();
        each([&](int m, int octet, int e) { keep_in_register(run[m][octet][e]); });
    }

    // Takes what there is of the region before into the total.
    CRUMB_INLINE void flush() {
        each([&](int m, int octet, int e) {
            total[m][octet][e] += run[m][octet][e] * row_scales[2 * m + e / 2];
            run[m][octet][e] = 0;
        });
    }
    CRUMB_INLINE void enter(uint32_t scales) {
        flush();
#pragma unroll
        for (int i = 0; i < 4; i++) {
            row_scales[i] = half_value(load_shared_half(scales + 2 * (threadIdx.x % 32 / 4 + 8 * i))) * matmul_code_factor;
        }
    }

    template <class Body> static CRUMB_INLINE void each(Body body) {
#pragma unroll
        for (int m = 0; m < 2; m++) {
#pragma unroll
            for (int octet = 0; octet < octets; octet++) {
#pragma unroll
                for (int e = 0; e < 4; e++) body(m, octet, e);
            }
        }
    }
};

// Two products for each 16 rows and 8 tokens: pairs 4 h ... 4 h + 3 of the rows' words. Their 32 rows of activations stand
// `offset` bytes behind `slot`. `meanwhile` is done while they are under way.
template <int bits, int octets, bool warpgroups, class Meanwhile>
CRUMB_INLINE void matmul_half(
    matmul_sums<octets, warpgroups> &sums, const matmul_rows<bits> &rows, const uint32_t (&words)[4], int h, uint32_t slot,
    uint32_t offset, Meanwhile meanwhile) {
    uint32_t a[2][2][4]; // [product][m][register]
#pragma unroll
    for (int k = 0; k < 2; k++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a[k][i / 2][i % 2] = rows.weights(i, words[i], 4 * h + 2 * k);
            a[k][i / 2][2 + i % 2] = rows.weights(i, words[i], 4 * h + 2 * k + 1);
        }
    }
    if constexpr (warpgroups) {
        warpgroup_begin();
#pragma unroll
        for (int k = 0; k < 2; k++) {
            const uint64_t b = warpgroup_operand<octets>(slot, offset + k * 16 * 16 * octets);
#pragma unroll
            for (int m = 0; m < 2; m++) warpgroup_mma(sums.run[m], a[k][m], b);
        }
        warpgroup_end();
        meanwhile();
        // The fragments before these are free again.
        warpgroup_wait<1>();
        return;
    }
    meanwhile();
    const uint32_t input = slot + offset + matmul_memory<octets>::exchanged(threadIdx.x % 32, 0);
#pragma unroll
    for (int octet = 0; octet < octets; octet++) {
        uint32_t b[4];
        load_matrices_transposed(b, input ^ 16 * octet);
#pragma unroll
        for (int m = 0; m < 2; m++) {
            mma(sums.run[m][octet], a[0][m][0], a[0][m][1], a[0][m][2], a[0][m][3], b[0], b[1]);
            mma(sums.run[m][octet], a[1][m][0], a[1][m][1], a[1][m][2], a[1][m][3], b[2], b[3]);
        }
    }
}

// A code tile at address `codes`. `scales`: the codes of a lane's rows' scales, 4 bits each.
template <int bits, int octets>
CRUMB_INLINE void matmul_tile(
    matmul_sums<octets> &sums, uint32_t codes, uint32_t scales, uint32_t slot, uint32_t offset) {
    const uint4 v = load_shared(codes + 16 * (threadIdx.x % 32));
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
    const matmul_rows<bits> rows(scales);
#pragma unroll
    for (int h = 0; h < (bits == 2 ? 2 : 1); h++) {
        matmul_half<bits>(sums, rows, words, h, slot, offset + h * 32 * 16 * octets, [] {});
    }
}

// The products of a row tile with one chunk.
template <int octets> struct matmul_worker {
    const crumb_matmul_args &args;
    using Memory = matmul_memory<octets>;
    uint32_t tile; // of a group
    matmul_sums<octets> sums;

    CRUMB_INLINE matmul_worker(const crumb_matmul_args &args, uint32_t tile) : args(args), tile(tile) {
        sums.clear();
    }

    // The chunk is that of step `number` of a slice.
    CRUMB_INLINE void multiply(const matmul_chunk &chunk, uint32_t slice, uint32_t number, uint32_t slot) {
        const uint32_t lane = threadIdx.x % 32, g = lane / 4;
        const uint32_t at = Memory::tile(slot, tile), scales = at + CRUMB_MATMUL_CODE_BYTES;
        if (chunk.kind() >= matmul_outliers) {
            if (chunk.kind() == matmul_outliers) outliers(matmul_cursor(args, slice, number), at);
            return;
        }
        if (chunk.fresh()) sums.enter(scales + 64);
        // Products by warpgroups behind each other, without a branch between them, need not wait for each other: where a
        // chunk is short, its other activations are zeros.
        const int count = by_warpgroups<octets> ? 4 : static_cast<int>(chunk.count());
        if (chunk.kind() == matmul_two) {
#pragma unroll
            for (int k = 0; k < 2; k++) {
                if (k >= count) break;
                const uint32_t own = load_shared_half(scales + k * CRUMB_TILE2_SCALE_BYTES + 4 * g + lane % 4 / 2 * 2);
                matmul_tile<2>(sums, at + k * CRUMB_TILE_BYTES, own, slot, k * 64 * 16 * octets);
            }
        } else {
#pragma unroll(by_warpgroups<octets> ? 4 : 2)
            for (int k = 0; k < count; k++) {
                const uint32_t own = load_shared_half(scales + k * CRUMB_TILE4_SCALE_BYTES + 2 * g);
                matmul_tile<4>(sums, at + k * CRUMB_TILE_BYTES, own, slot, k * 32 * 16 * octets);
            }
        }
        sums.settle();
    }

  private:
    // Outliers as columns of their own: a column of A has one delta, at its row, the row of B its channel's activations.
    // `entries`: an address, up to 64 of 4 bytes, behind them room for as many numbers.
    CRUMB_INLINE void outliers(const matmul_cursor &cursor, uint32_t entries) {
        const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
        uint32_t index, row_tile, first, end;
        cursor.tile_of(tile, index, row_tile);
        cursor.fours(first, end);
        if (first >= end || row_tile >= args.product.parts[index].shape.row_tiles) return;
        const uint32_t count = 4 * (end - first), places = entries + 512;
        find_places(cursor, entries, places, first, count);
        // The rows of 16 channels at a time, a step ahead where they are many.
        auto fetch_ahead = [&](uint32_t k) {
            if (octets < 8 || k + lane / 2 >= count) return;
            const uint16_t *from = args.product.input
                + static_cast<size_t>(load_shared_word(places + 4 * (k + lane / 2))) * 8 * octets + lane % 2 * 4 * octets;
#pragma unroll
            for (int at = 0; at < 4 * octets; at += 16) touch(from + at);
        };
        fetch_ahead(0);
        auto word_at = [&](uint32_t from, uint32_t at) { return at < count ? load_shared_word(from + 4 * at) : 0; };
        const uint16_t *input = args.product.input + 2 * t;
#pragma unroll(octets <= 2 ? 4 : 1)
        for (uint32_t k = 0; k < count; k += 16) {
            fetch_ahead(k + 16);
            uint32_t b[octets][2];
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const uint32_t place = word_at(places, k + 8 * half + g);
#pragma unroll
                for (int octet = 0; octet < octets; octet++) {
                    const uint16_t *from = input + crumb_wide_index(place, 8 * octet, 8 * octets);
                    b[octet][half] = *reinterpret_cast<const uint32_t *>(from);
                }
            }
            uint32_t a[2][4] = {};
#pragma unroll
            for (int half = 0; half < 2; half++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const uint32_t own = word_at(entries, k + 8 * half + 2 * t + e);
                    const uint32_t at_row = own & 31, delta = e ? own & 0xFFFF0000u : own >> 16;
#pragma unroll
                    for (int i = 0; i < 4; i++) a[i / 2][2 * half + i % 2] |= at_row == g + 8 * i ? delta : 0;
                }
            }
#pragma unroll
            for (int octet = 0; octet < octets; octet++) {
                const uint32_t b0 = transpose_8x8(b[octet][0]), b1 = transpose_8x8(b[octet][1]);
#pragma unroll
                for (int m = 0; m < 2; m++) mma(sums.total[m][octet], a[m][0], a[m][1], a[m][2], a[m][3], b0, b1);
            }
        }
    }

    // The place in the input of each entry's channel. A lane has four at a time.
    CRUMB_INLINE void find_places(
        const matmul_cursor &cursor, uint32_t entries, uint32_t places, uint32_t first, uint32_t count) {
        const crumb_packed_shape &shape = args.product.parts[cursor.cut].shape;
        const uint32_t fours = args.cuts[cursor.cut].fours, own = first + threadIdx.x % 32, segment = own / fours;
        // A pool's entries are a multiple of 32.
        const uint32_t pool_fours = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS * shape.outliers_per_tile / 4;
        const uint32_t region = segment * shape.segment_channels + shape.four_bit_channels
            + (own - segment * fours) / pool_fours * CRUMB_OUTLIER_CHANNELS;
        if (4 * (threadIdx.x % 32) < count) {
            const uint4 v = load_shared(entries + 16 * (threadIdx.x % 32));
            const uint32_t entry[4] = {v.x, v.y, v.z, v.w};
            uint32_t place[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const uint32_t channel = entry[i] >> 5 & (CRUMB_OUTLIER_CHANNELS - 1);
                // Unused entries may lie behind the last place.
                place[i] = min(region + channel, args.product.positions - 1);
            }
            store_shared(places + 16 * (threadIdx.x % 32), make_uint4(place[0], place[1], place[2], place[3]));
        }
        __syncwarp();
    }
};
