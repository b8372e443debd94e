// A block's share of a group's outliers, while others multiply.
#pragma once

#include "roles.cuh"

// By one warp, one of its row tiles after the other: 16 entries are columns of A with one number each, and rows
// of B, the activations of their channels, that are copied to shared memory some batches ahead.
template <int octets> struct roles_outliers {
    using Memory = roles_memory<octets>;
    static constexpr uint32_t tiles = roles_tiles / roles_adding;
    static constexpr uint32_t batch = 16, ahead = 3, listed = CRUMB_ROLES_LISTED, places = CRUMB_ROLES_GATHERED;
    static constexpr uint32_t nothing = ~0u; // in place of a number in the input
    static constexpr uint32_t row_bytes = crumb_roles_gathered_bytes(8 * octets);
    static_assert((ahead + 1) * batch <= places && 32 + (ahead + 1) * batch <= listed);
    const crumb_matmul_args &args;
    uint32_t first_tile;
    uint32_t numbers, entries, rows; // addresses: [listed] of token 0 in the input; rows and deltas; [places]

    CRUMB_INLINE roles_outliers(const crumb_matmul_args &args, uint32_t warp)
        : args(args), first_tile(warp * tiles), numbers(Memory::listed(warp)),
          entries(numbers + 4 * listed), rows(Memory::gathered(warp)) {}

    // Of its row tiles, the entries that fall to the share of the block's group `group`.
    CRUMB_INLINE void add(const roles_walk &walk, uint32_t group) const {
        const uint32_t lane = threadIdx.x % 32;
        const crumb_matmul_cut &cut = args.cuts[walk.cut];
        const uint32_t each = 4 * cut.fours, all = cut.segments * each;
        const uint32_t begin = all * walk.begin / cut.steps, count = all * walk.end / cut.steps - begin;
        // A tile's entries are listed in chunks of 32 and taken in batches, those of all tiles behind each other.
        const uint32_t chunks = max((count + 31) / 32, 1u), batches = tiles * chunks * 2;
        const uint32_t token = walk.first_token(Memory::tokens);
        uint32_t next_tile = first_tile, next = 0; // the next chunk to be loaded: its tile, its first entry
        uint32_t word = 0, place = 0;              // of this lane's entry of the chunk that is loaded
        auto load = [&] {
            uint32_t number, row_tile;
            walk.tile_of(next_tile, number, row_tile);
            const crumb_packed_part &matrix = args.product.parts[number];
            const crumb_packed_shape &shape = matrix.shape;
            const bool valid = next + lane < count && row_tile < shape.row_tiles;
            const uint32_t at = begin + next + lane, segment = valid ? at / each : 0, own = valid ? at - segment * each : 0;
            const uint8_t *record = matrix.records
                + (static_cast<size_t>(segment) * shape.row_tiles + row_tile) * shape.record_bytes + shape.outliers_offset;
            // Behind the last entry are some without a number.
            word = valid ? __ldg(reinterpret_cast<const uint32_t *>(record) + own) : 0;
            place = segment * shape.segment_channels + shape.four_bit_channels;
            const uint32_t pool = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS * shape.outliers_per_tile;
            for (uint32_t first = pool; valid && first <= own; first += pool) place += CRUMB_OUTLIER_CHANNELS;
            next += 32;
            if (next >= 32 * chunks) next = 0, next_tile++;
        };
        load();
        if (group == 0) wait_for_previous();
        float sums[2][octets][4] = {};
        uint32_t tile = first_tile, left = 2 * chunks; // of what is taken
#pragma unroll 1
        for (uint32_t asked = 0; asked < batches + ahead; asked++) {
            if (asked % 2 == 0 && asked < batches) {
                // Unused entries may lie behind the last place.
                const uint32_t channel = min(place + (word >> 5 & (CRUMB_OUTLIER_CHANNELS - 1)), args.product.positions - 1);
                const uint32_t to = (asked * batch + lane) % listed * 4;
                store_shared(numbers + to, word >> 16 ? channel * args.halves * Memory::tokens + token : nothing);
                store_shared(entries + to, word);
                __syncwarp();
                if (asked + 2 < batches) load();
            }
            if (asked < batches) gather(asked * batch);
            copies_end_group();
            if (asked < ahead) continue;
            copies_done<ahead>();
            __syncwarp();
            take((asked - ahead) * batch, sums);
            __syncwarp();
            if (--left > 0) continue;
            store(group, tile++, sums);
            left = 2 * chunks;
        }
    }

  private:
    CRUMB_INLINE void store(uint32_t group, uint32_t tile, float (&sums)[2][octets][4]) const {
        const uint32_t lane = threadIdx.x % 32;
        float *to = Memory::outliers(group, tile * CRUMB_TILE_ROWS + lane / 4) + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int octet = 0; octet < octets; octet++) {
                float *v = sums[i / 2][octet] + i % 2 * 2;
                *reinterpret_cast<float2 *>(to + 8 * i * Memory::stride + 8 * octet) = make_float2(v[0], v[1]);
                v[0] = v[1] = 0;
            }
        }
    }
    // Asks for a batch's activations.
    CRUMB_INLINE void gather(uint32_t first) const {
        const uint32_t lane = threadIdx.x % 32, octet = lane % octets;
        const uint16_t *input = args.product.input + 8 * octet;
#pragma unroll
        for (uint32_t i = 0; i < batch * octets / 32; i++) {
            const uint32_t entry = first + (32 * i + lane) / octets;
            const uint32_t number = load_shared_word(numbers + entry % listed * 4);
            // Zeros for an entry without a delta: else all blocks read one and the same line for theirs.
            const bool valid = number != nothing;
            copy_async(rows + entry % places * row_bytes + 16 * octet, valid ? input + number : input, valid);
        }
    }
    CRUMB_INLINE void take(uint32_t first, float (&sums)[2][octets][4]) const {
        const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
        uint32_t a[2][4] = {};
#pragma unroll
        for (int half = 0; half < 2; half++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const uint32_t own = load_shared_word(entries + (first + 8 * half + 2 * t + e) % listed * 4);
                const uint32_t at_row = own & 31, delta = e ? own & 0xFFFF0000u : own >> 16;
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) a[i / 2][2 * half + i % 2] |= at_row == g + 8 * i ? delta : 0;
            }
        }
        const uint32_t from = rows + first % places * row_bytes + lane % 16 * row_bytes + lane / 16 * 16;
#pragma unroll
        for (int octet = 0; octet < octets; octet += 2) {
            uint32_t b[4];
            load_matrices_transposed(b, from + 16 * octet);
#pragma unroll
            for (int m = 0; m < 2; m++) {
                mma(sums[m][octet], a[m][0], a[m][1], a[m][2], a[m][3], b[0], b[1]);
                mma(sums[m][octet + 1], a[m][0], a[m][1], a[m][2], a[m][3], b[2], b[3]);
            }
        }
    }
};
