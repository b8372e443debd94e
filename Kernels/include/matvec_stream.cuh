// The stream of a warp's weights into shared memory, and their scales.
#pragma once

#include "matvec_input.cuh"

// A unit of a tile's rows in shared memory.
struct Stage {
    uint4 pieces[tile_rows][16];
};
static_assert(sizeof(Stage) == CRUMB_MATVEC_STAGE_BYTES, "a stage");

// The units of a warp, in the order in which it takes them.
struct Cursor {
    uint32_t tile, unit;

    CRUMB_INLINE void advance(uint32_t first_unit, uint32_t last_unit, uint32_t tile_step) {
        if (++unit < last_unit) return;
        unit = first_unit;
        tile += tile_step;
    }
};

// Asks for a unit of 16 rows; zeros behind N and K. A request covers two rows x 256 bytes.
template <int storage> CRUMB_INLINE void fetch(const crumb_matvec_args &a, Stage &stage, Cursor at) {
    uint32_t lane = threadIdx.x % 32, piece = lane % 16, row = lane / 16;
    size_t row_bytes = static_cast<size_t>(a.columns) * Table<storage>::bits / 8;
    size_t column = (at.unit * 16 + piece) * 16;
    const uint8_t *source = static_cast<const uint8_t *>(a.weights) + (at.tile * tile_rows + row) * row_bytes + column;
    bool inside = column < row_bytes;
#pragma unroll
    for (uint32_t i = 0; i < tile_rows; i += 2) {
        bool valid = inside && at.tile * tile_rows + row + i < a.rows;
        copy_async(
            shared_address(&stage.pieces[row + i][piece_place(row, piece)]), valid ? source + i * row_bytes : a.weights,
            valid);
    }
}

// The scales of a unit for a lane's rows, g and g + 8: `halves` groups from group `first` of the row on, zero behind K.
template <int words> struct Scales {
    uint32_t scales[2][words + 1];

    CRUMB_INLINE void load(const crumb_matvec_args &a, uint32_t tile, uint32_t first) {
        if constexpr (words > 0) {
            uint32_t groups = a.columns / CRUMB_GROUP;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                size_t row = min(tile * tile_rows + threadIdx.x % 32 / 4 + 8 * i, a.rows - 1);
                const uint16_t *source = a.scales + row * groups + first;
                if (groups % (2 * words) == 0 && first < groups) {
                    if constexpr (words == 2) {
                        uint2 v = __ldg(reinterpret_cast<const uint2 *>(source));
                        scales[i][0] = v.x, scales[i][1] = v.y;
                    } else {
                        uint4 v = __ldg(reinterpret_cast<const uint4 *>(source));
                        scales[i][0] = v.x, scales[i][1] = v.y, scales[i][2] = v.z, scales[i][3] = v.w;
                    }
                } else {
#pragma unroll
                    for (uint32_t j = 0; j < words; j++) {
                        uint32_t low = first + 2 * j < groups ? source[2 * j] : 0;
                        uint32_t high = first + 2 * j + 1 < groups ? source[2 * j + 1] : 0;
                        scales[i][j] = low | high << 16;
                    }
                }
            }
        }
    }
};
