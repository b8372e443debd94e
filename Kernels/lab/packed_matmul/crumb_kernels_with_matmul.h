// Argument structs of the GPU kernels, shared by Swift and CUDA. Letters: M tokens, N output features, K input
// features, D head dimension. A kernel takes one struct by value. Nullable pointers are marked so; all others must be
// valid. Row m of a batch whose position is negative is idle and left alone.
#ifndef CRUMB_KERNELS_H
#define CRUMB_KERNELS_H

#include <stdint.h>

#include "crumb_packed.h"

// A device address: a pointer in CUDA C++, a plain number in Swift and C.
#ifndef CRUMB_DEVICE
#ifdef __CUDACC__
#define CRUMB_DEVICE(type) type *
#else
#define CRUMB_DEVICE(type) uint64_t
#endif
#endif

// What the residual stream times a norm's weight is multiplied by where it becomes fp16 before the norm's factor is
// known: 2^-6, so that activations of up to 4 million are held, and the smallest that count stay normal numbers.
#define CRUMB_STREAM_SCALE 0.015625f

enum {
    // How a table of weights (embedding, head, 16-bit matrix) is stored.
    CRUMB_TABLE_F16 = 0,
    CRUMB_TABLE_BF16 = 1, // embed only
    CRUMB_TABLE_F32 = 2,  // embed only
    CRUMB_TABLE_Q8 = 3,   // weight = scale x int8 code, groups of 32
    CRUMB_TABLE_Q4 = 4,   // weight = scale x (code - 8), feature 2 i in the low half of byte i, groups of 32
    // Most query heads that one block of attention_decode serves; more take several blocks per KV head.
    CRUMB_DECODE_HEADS = 8,
    // Blocks of a cluster of attention_decode_cluster_*: its grid.x is a multiple.
    CRUMB_DECODE_CLUSTER = 8,
    // Threads of a block of the kernels with a fixed block size.
    CRUMB_EMBED_THREADS = 256,
    CRUMB_NORM_THREADS = 256,
    CRUMB_ROPE_THREADS = 256,
    CRUMB_DECODE_THREADS = 128,
    CRUMB_PREFILL_THREADS = 256,
    CRUMB_PREFILL_QUERIES = 128, // queries of one block of attention_prefill
    CRUMB_SILU_THREADS = 256,
    CRUMB_MATVEC_THREADS = 512,
    CRUMB_ARGMAX_THREADS = 256,
    CRUMB_SAMPLE_THREADS = 1024,
    CRUMB_DEQUANTIZE_THREADS = 256,
    CRUMB_MATVEC_STAGE_BYTES = 4096, // 16 rows x 256 bytes
    // Candidates that the sampler sorts in shared memory; more take a slower way with the same result.
    CRUMB_SAMPLE_CANDIDATES = 2048,
    // Threads of a block of packed_matvec_*: eight warps for the codes, one for outliers and norm. Slots of each warp's
    // ring: codes of up to four tiles, their scale codes, row scales. Not tuned yet.
    CRUMB_PACKED_THREADS = 288,
    CRUMB_PACKED_DEPTH = 6,
    CRUMB_PACKED_SLOT_BYTES = 2048 + 128 + 64,
    CRUMB_PACKED_ITEM_TILES = 4,
    CRUMB_PACKED_HEAD_BYTES = 384,
    // A ring entry's token where a logit was NaN or infinite.
    CRUMB_TOKEN_BROKEN = -1,
};

// Row tokens[m] of the table to row m of the residual stream.
typedef struct {
    CRUMB_DEVICE(const int32_t) tokens;  // [M]
    CRUMB_DEVICE(const void) table;      // [vocabulary][K] in `storage`
    CRUMB_DEVICE(const uint16_t) scales; // fp16 [vocabulary][K / 32]; null unless Q8 or Q4
    CRUMB_DEVICE(float) output;          // [M][K]
    uint32_t storage;                    // CRUMB_TABLE_*
    uint32_t columns;                    // K, a multiple of 4 (of 32 with scales)
    uint32_t vocabulary;                 // tokens outside it read row 0
    uint32_t reserved;
} crumb_embed_args;

// output[m][i] = x[order[i]] / sqrt(mean(x^2) + epsilon) x weight[order[i]], 0 where order[i] is padding.
typedef struct {
    CRUMB_DEVICE(const float) input;    // [M][K]
    CRUMB_DEVICE(const float) weight;   // [K]
    CRUMB_DEVICE(const uint16_t) order; // [positions]; null: the source's order, positions = K
    CRUMB_DEVICE(uint16_t) output;      // fp16 [M][positions]
    uint32_t columns;                   // K, a multiple of 4
    uint32_t positions;                 // a multiple of 8
    float epsilon;
    uint32_t reserved;
} crumb_rmsnorm_args;

// One layer's part of the KV cache: fp16 [slots][kv heads][capacity][D].
typedef struct {
    CRUMB_DEVICE(uint16_t) keys;
    CRUMB_DEVICE(uint16_t) values;
    uint32_t capacity; // positions
    uint32_t kv_heads;
} crumb_kv_layer;

// Rotates q and k of M tokens, appends k and v to the cache.
typedef struct {
    CRUMB_DEVICE(const void) qkv;          // [M][(heads + 2 x kv heads) x D], fp32 or fp16
    CRUMB_DEVICE(const float) bias;        // [(heads + 2 x kv heads) x D], nullable
    CRUMB_DEVICE(const float) frequencies; // [D / 2], radians per position
    CRUMB_DEVICE(const int32_t) positions; // [M]
    CRUMB_DEVICE(const int32_t) slots;     // [M]; null: every token has slot `slot`
    CRUMB_DEVICE(uint16_t) queries;        // fp16 [M][heads x D], rotated and times log2(e) / sqrt(D)
    crumb_kv_layer cache;
    uint32_t heads;
    uint32_t head_dim;
    uint32_t half_input; // whether qkv is fp16
    uint32_t slot;
} crumb_rope_append_args;

// Rotation, append and attention of one token in each of M sequences.
typedef struct {
    CRUMB_DEVICE(const void) qkv;          // [M][(heads + 2 x kv heads) x D], fp32 or fp16
    CRUMB_DEVICE(const float) bias;        // nullable
    CRUMB_DEVICE(const float) frequencies; // [D / 2]
    CRUMB_DEVICE(const int32_t) positions; // [M]: tokens before this one in the sequence
    CRUMB_DEVICE(const int32_t) slots;     // [M], all different; null: token m has slot m
    CRUMB_DEVICE(const uint16_t) places;   // [heads x D]: the place of a feature in the output; null: its own
    CRUMB_DEVICE(uint16_t) output;         // fp16 [M][output_stride]; padding places are not written
    CRUMB_DEVICE(float) partials;          // workspace, crumb_decode_partials() floats; any contents
    CRUMB_DEVICE(uint32_t) arrivals;       // [M x grid.y], zero before the first launch, zero after each
    crumb_kv_layer cache;
    uint32_t heads;
    uint32_t half_input;
    uint32_t output_stride;
    uint32_t window; // latest positions a token sees, itself included; 0: all
} crumb_attention_decode_args;

// Causal attention of M consecutive tokens of one sequence whose keys and values are in the cache already.
typedef struct {
    CRUMB_DEVICE(const uint16_t) queries; // fp16 [M][heads x D], as crumb_rope_append_args leaves them
    CRUMB_DEVICE(const uint16_t) places;  // [heads x D], nullable
    CRUMB_DEVICE(uint16_t) output;        // fp16 [M][output_stride]
    crumb_kv_layer cache;
    uint32_t heads;
    uint32_t tokens; // M
    uint32_t start;  // position of the first token
    uint32_t slot;
    uint32_t output_stride;
    uint32_t window; // 0: all
} crumb_attention_prefill_args;

// output[m][i] = silu(gate) x up of channel order[i], 0 where it is padding.
typedef struct {
    CRUMB_DEVICE(const void) gate_up;   // [M][2 x features]: gate's, then up's; fp32 or fp16
    CRUMB_DEVICE(const float) bias;     // [2 x features], nullable
    CRUMB_DEVICE(const uint16_t) order; // [positions]; null: positions = features
    CRUMB_DEVICE(uint16_t) output;      // fp16 [M][positions]
    uint32_t features;                  // a multiple of 4
    uint32_t positions;                 // a multiple of 8
    uint32_t half_input;
    uint32_t reserved;
} crumb_silu_multiply_args;

// stream[m][n] += input[m][n] + bias[n].
typedef struct {
    CRUMB_DEVICE(const void) input; // [M][N], fp32 or fp16
    CRUMB_DEVICE(const float) bias; // [N], nullable
    CRUMB_DEVICE(float) stream;     // [M][N]
    uint32_t tokens;
    uint32_t columns; // N, a multiple of 4
    uint32_t half_input;
    uint32_t reserved;
} crumb_residual_add_args;

// How one sequence's next token is chosen; lives on the device. CrumbEngine's Sampler defines the meaning.
typedef struct {
    double inverse_temperature; // 0: the most likely token
    double top_p;               // 1: all
    double min_p;               // 0: all
    float repetition_penalty;   // 1: none
    int32_t top_k;              // 0: all
    uint64_t random[4];         // state of xoshiro256**, advanced by every draw
} crumb_sampling;

// Where the chosen tokens go. `ring` may be host memory mapped into the device's addresses.
typedef struct {
    CRUMB_DEVICE(int32_t) tokens;    // [M]: the next step's input
    CRUMB_DEVICE(int32_t) positions; // [M]: one is added; negative: idle
    CRUMB_DEVICE(uint32_t) steps;    // [M]: tokens chosen so far, one is added
    CRUMB_DEVICE(uint64_t) ring;     // [ring_steps][M]: step number (from 1) << 32 | token, one 8-byte store; nullable
    CRUMB_DEVICE(uint64_t) best;     // [M], zero before the first launch, zero after each (argmax only)
    CRUMB_DEVICE(uint32_t) arrivals; // [M], zero before the first launch, zero after each (argmax only)
    uint32_t ring_steps;
    uint32_t tokens_count; // M: entries from one ring step to the next
} crumb_choice;

// y = W x for M <= 8 tokens, with the norm in front; the head, and 16-bit matrices of the decode step.
typedef struct {
    CRUMB_DEVICE(const void) weights;    // [N][K] in `storage`
    CRUMB_DEVICE(const uint16_t) scales; // fp16 [N][K / 32]; null for fp16 weights
    CRUMB_DEVICE(const void) input;      // [M][K]: fp32 with a norm, fp16 without
    CRUMB_DEVICE(const float) norm;      // [K]: weight of the RMSNorm in front; null: none
    CRUMB_DEVICE(const float) bias;      // [N], nullable
    CRUMB_DEVICE(float) output;          // [M][N]
    uint32_t rows;                       // N
    uint32_t columns;                    // K, a multiple of 32
    uint32_t tokens;                     // M, 1 ... 8
    uint32_t k_split;                    // warps that share a row tile: 1, 2, 4, 8, 16
    float epsilon;
    uint32_t accumulate; // whether y is added to the output
    uint32_t greedy;     // whether the most likely token goes to `choice`
    uint32_t stages;     // of each warp's ring of weights: 3, or 2 where shared memory is short
    crumb_choice choice;
} crumb_matvec_args;

typedef struct {
    CRUMB_DEVICE(const float) logits; // [M][vocabulary]
    uint32_t vocabulary;
    uint32_t reserved;
    crumb_choice choice;
} crumb_argmax_args;

typedef struct {
    CRUMB_DEVICE(float) logits;           // [M][vocabulary]; overwritten by the repetition penalty
    CRUMB_DEVICE(crumb_sampling) options; // [M]
    CRUMB_DEVICE(uint32_t) seen;          // [M][ceil(vocabulary / 32)]: a bit for each token of prompt and answer
    uint32_t vocabulary;
    uint32_t reserved;
    crumb_choice choice;
} crumb_sample_args;

// A run of row tiles of a packed matrix as fp16, channels in permuted order.
typedef struct {
    CRUMB_DEVICE(const uint8_t) records; // [segments][row tiles][record_bytes]
    CRUMB_DEVICE(uint16_t) output;       // fp16 [rows of the run][segments x segment_channels]
    crumb_packed_shape shape;
    uint32_t first_tile; // the run is row tiles first_tile ... first_tile + grid.x - 1
} crumb_dequantize_args;

// One packed matrix of a product. Up to three share an input and its order (q, k, v; gate, up).
typedef struct {
    crumb_packed_shape shape;
    uint32_t first_feature; // of its rows in the output of packed_matvec_store_*
    // Runs of up to CRUMB_PACKED_ITEM_TILES code tiles: of the 4-bit region, and of a whole record. The first row tile
    // among those of all parts. crumb_packed_matvec_plan() fills these in.
    uint32_t items4;
    uint32_t record_items;
    uint32_t first_unit;
    CRUMB_DEVICE(const uint8_t) records; // [segments][row tiles][record_bytes]
    CRUMB_DEVICE(const float) bias;      // [rows], nullable
} crumb_packed_part;

// y = W x for M <= 8 tokens. The kernel's name says what happens to y:
//   packed_matvec_store_mM     output fp32 [M][output_stride] = y + bias; parts side by side at first_feature
//   packed_matvec_residual_mM  output fp32 [M][output_stride] += y + bias, one part, and what the next matrices want of
//                              the sum: next_input and next_squares
//   packed_matvec_silu_mM      output fp16 [M][output_stride] = silu(y of part 0) x y of part 1, each at its place
// RMSNorm is folded in: who writes the residual stream also writes it times the norm's weight into the next matrices'
// input and leaves sums of squares; the product's epilogue multiplies by 1 / sqrt(mean square + epsilon).
typedef struct {
    crumb_packed_part parts[3];
    uint32_t part_count;
    // Units (row tiles of all parts, or of gate and up together) of a block, and how many blocks have one more;
    // crumb_packed_matvec_plan() fills these in.
    uint32_t block_units;
    uint32_t long_blocks;
    uint32_t tokens;                    // M
    uint32_t positions;                 // of the input: segments x segment_channels
    uint32_t columns;                   // K: features that the squares are the mean of
    CRUMB_DEVICE(const uint16_t) input; // fp16 [M][positions], permuted
    CRUMB_DEVICE(const float) squares;  // [square_count][M]: sums of squares of the stream; null: no norm
    CRUMB_DEVICE(void) output;
    CRUMB_DEVICE(const uint16_t) places; // silu: [N], the place of a feature in the output; null: its own
    uint32_t square_count;
    float epsilon;
    uint32_t output_stride;
    uint32_t next_positions;
    CRUMB_DEVICE(uint16_t) next_input;        // residual: fp16 [M][next_positions]; null: none wanted
    CRUMB_DEVICE(const uint16_t) next_places; // [N]: the place of a feature in next_input; null: its own
    CRUMB_DEVICE(const float) next_norm;      // [N]: weight of the norm in between
    CRUMB_DEVICE(float) next_squares;         // residual: [blocks][M]
} crumb_packed_matvec_args;

// The residual stream as the first matrices of a layer want it, where no packed_matvec_residual wrote it (the
// embedding; prefill): next_input = stream x norm x CRUMB_STREAM_SCALE at its place, and the sum of squares of each
// token.
typedef struct {
    CRUMB_DEVICE(const float) stream;    // [M][K]
    CRUMB_DEVICE(const float) norm;      // [K]
    CRUMB_DEVICE(const uint16_t) places; // [K]; null: its own
    CRUMB_DEVICE(uint16_t) next_input;   // fp16 [M][next_positions]; padding places are not written
    CRUMB_DEVICE(float) squares;         // [1][M]
    uint32_t columns;                    // K
    uint32_t next_positions;
    uint32_t tokens; // M
    uint32_t reserved;
} crumb_stream_input_args;

// Floats of attention_decode's workspace for M tokens: for each split 8 heads x (D numbers, a maximum and a sum).
static inline uint64_t crumb_decode_partials(uint32_t tokens, uint32_t kv_blocks, uint32_t splits, uint32_t head_dim) {
    return (uint64_t)tokens * kv_blocks * splits * CRUMB_DECODE_HEADS * (head_dim + 2);
}

// Dynamic shared memory of matvec_* for weights of `bits` (16, 8, 4): a ring for every warp, x as fp16, 256 bytes of
// zeros, a number for each token and group.
static inline uint64_t crumb_matvec_shared_bytes(
    uint32_t bits, uint32_t columns, uint32_t tokens, uint32_t threads, uint32_t stages) {
    uint32_t unit = 2048 / bits, padded = (columns + unit - 1) / unit * unit;
    return (uint64_t)(threads / 32) * stages * CRUMB_MATVEC_STAGE_BYTES + 256
        + (uint64_t)tokens * (2 * padded + 64 + padded / 8);
}

// Units of a product: row tiles of all parts, or, `paired` (SiLU), of gate and up together.
static inline uint32_t crumb_packed_units(const crumb_packed_matvec_args *args, int paired) {
    uint32_t units = 0;
    for (uint32_t p = 0; p < args->part_count; p++) {
        if (p == 0 || !paired) units += args->parts[p].shape.row_tiles;
    }
    return units;
}

// Fills in what a launch of packed_matvec_* on `blocks` blocks (at most units) needs to cut the work. Returns its
// dynamic shared memory: rings, sums of every warp for each row tile of a block, outliers' sums and entries. `tokens`
// is the kernel's M.
static inline uint64_t crumb_packed_matvec_plan(
    crumb_packed_matvec_args *args, uint32_t tokens, uint32_t blocks, int paired) {
    const uint32_t warps = CRUMB_PACKED_THREADS / 32 - 1, item = CRUMB_PACKED_ITEM_TILES;
    uint32_t units = 0;
    uint64_t record = 0;
    for (uint32_t p = 0; p < args->part_count; p++) {
        crumb_packed_part *part = args->parts + p;
        const crumb_packed_shape *s = &part->shape;
        uint32_t tiles4 = s->four_bit_channels / CRUMB_TILE4_CHANNELS;
        uint32_t tiles2 = (s->segment_channels - s->four_bit_channels) / CRUMB_TILE2_CHANNELS;
        part->items4 = (tiles4 + item - 1) / item;
        part->record_items = part->items4 + (tiles2 + item - 1) / item;
        part->first_unit = paired ? 0 : units;
        if (p == 0 || !paired) units += s->row_tiles;
        uint64_t bytes = ((uint64_t)tiles2 * s->outliers_per_tile * 4 + 15) / 16 * 16 * s->segments;
        if (bytes > record) record = bytes;
    }
    args->block_units = units / blocks;
    args->long_blocks = units % blocks;
    uint64_t slots = (uint64_t)((units + blocks - 1) / blocks) * (paired ? args->part_count : 1);
    return CRUMB_PACKED_HEAD_BYTES + (uint64_t)warps * CRUMB_PACKED_DEPTH * CRUMB_PACKED_SLOT_BYTES
        + slots * ((uint64_t)(warps + 1) * tokens * CRUMB_TILE_ROWS * 4 + record);
}

CRUMB_STATIC_ASSERT(sizeof(crumb_embed_args) == 48, "crumb_embed_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_rmsnorm_args) == 48, "crumb_rmsnorm_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_kv_layer) == 24, "crumb_kv_layer");
CRUMB_STATIC_ASSERT(sizeof(crumb_rope_append_args) == 88, "crumb_rope_append_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_attention_decode_args) == 112, "crumb_attention_decode_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_attention_prefill_args) == 72, "crumb_attention_prefill_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_silu_multiply_args) == 48, "crumb_silu_multiply_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_residual_add_args) == 40, "crumb_residual_add_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_sampling) == 64, "crumb_sampling");
CRUMB_STATIC_ASSERT(sizeof(crumb_choice) == 56, "crumb_choice");
CRUMB_STATIC_ASSERT(sizeof(crumb_matvec_args) == 136, "crumb_matvec_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_argmax_args) == 72, "crumb_argmax_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_sample_args) == 88, "crumb_sample_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_dequantize_args) == 72, "crumb_dequantize_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_part) == 88, "crumb_packed_part");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_matvec_args) == 368, "crumb_packed_matvec_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_stream_input_args) == 56, "crumb_stream_input_args");

// Products of packed matrices with 9 to 64 tokens.
enum {
    // Blocks of a cluster of packed_matmul_*: they share row tiles and cut the channels.
    CRUMB_MATMUL_CLUSTER = 4,
    // Warps that take codes (M = 16; 32 and 64), and those beside them: activations, outliers.
    CRUMB_MATMUL_WARPS_16 = 16,
    CRUMB_MATMUL_WARPS = 8,
    CRUMB_MATMUL_SIDE_WARPS = 4,
    // Slots of each warp's ring: codes of 64 channels of two row tiles, their scale codes, row scales.
    CRUMB_MATMUL_DEPTH = 4,
    CRUMB_MATMUL_SLOT_BYTES = 2048 + 64 + 128,
    CRUMB_MATMUL_STEP_CHANNELS = 64,
    CRUMB_MATMUL_HEAD_BYTES = 3584,
    CRUMB_MATMUL_MOST_SLOTS = 64,  // of activations
    CRUMB_MATMUL_MOST_STEPS = 256, // of a block: K up to 65536
    CRUMB_MATMUL_MOST_PASSES = 64, // of a cluster
    CRUMB_MATMUL_SHARED_BYTES = 227 * 1024,
    CRUMB_MATMUL_INPUT_THREADS = 128,
};

// y = W x for 9 to 64 tokens, by packed_matmul_{store,residual,silu}_mM with M = 16, 32 or 64. All is as in
// crumb_packed_matvec_args, but
//   input         is what packed_matmul_input_mM wrote, `positions` as before
//   next_squares  is [clusters][M]
//   block_units   are of a cluster; a unit is two row tiles, or one of gate and one of up
// crumb_packed_matmul_plan() fills in the parts' first_unit, block_units, long_blocks, and:
typedef struct {
    crumb_packed_matvec_args product;
    uint32_t units; // most units at a time, a power of two
    uint32_t slots; // of activations in shared memory, 64 channels each: all of a block's, or as many as warps at least
} crumb_packed_matmul_args;

// Activations with the tokens of a channel side by side, in the order that packed_matmul_* copies to shared memory:
// fp16 [positions][16, 32 or 64], runs of 8 tokens exchanged as crumb_matmul_place() says; zeros for tokens from M on.
typedef struct {
    CRUMB_DEVICE(const uint16_t) input; // fp16 [M][positions]
    CRUMB_DEVICE(uint16_t) output;
    uint32_t positions; // a multiple of 32
    uint32_t tokens;    // M
} crumb_packed_matmul_input_args;

// Warps of packed_matmul_*_m`tokens` that take codes.
static inline uint32_t crumb_packed_matmul_warps(uint32_t tokens) {
    return tokens == 16 ? CRUMB_MATMUL_WARPS_16 : CRUMB_MATMUL_WARPS;
}

static inline uint32_t crumb_packed_matmul_threads(uint32_t tokens) {
    return 32 * (crumb_packed_matmul_warps(tokens) + CRUMB_MATMUL_SIDE_WARPS);
}

// Units of a product: pairs of row tiles of each part, or, `paired` (SiLU), row tiles of gate and up together.
static inline uint32_t crumb_packed_matmul_units(const crumb_packed_matvec_args *args, int paired) {
    uint32_t units = 0;
    if (paired) return args->parts[0].shape.row_tiles;
    for (uint32_t p = 0; p < args->part_count; p++) units += (args->parts[p].shape.row_tiles + 1) / 2;
    return units;
}

// Fills in what a launch of packed_matmul_* on `clusters` clusters (at most units) needs to cut the work. Returns its
// dynamic shared memory: head, rings of codes, sums of a pass, activations; 0 if a cluster would have too much to do.
// `tokens` is the kernel's M.
static inline uint64_t crumb_packed_matmul_plan(
    crumb_packed_matmul_args *args, uint32_t tokens, uint32_t clusters, int paired) {
    crumb_packed_matvec_args *product = &args->product;
    const uint32_t warps = crumb_packed_matmul_warps(tokens), units = crumb_packed_matmul_units(product, paired);
    uint32_t first = 0, most = (units + clusters - 1) / clusters;
    for (uint32_t p = 0; p < product->part_count; p++) {
        product->parts[p].first_unit = paired ? 0 : first;
        first += (product->parts[p].shape.row_tiles + 1) / 2;
    }
    product->block_units = units / clusters;
    product->long_blocks = units % clusters;
    // Two warps at least share the channels of a unit, so that no pass is all of one unit's latency.
    args->units = 1;
    while (args->units * 2 <= most && args->units * 4 <= warps) args->units *= 2;
    // Of each part whole passes, and what remains in halves.
    if (most / args->units + 4 * product->part_count > CRUMB_MATMUL_MOST_PASSES) return 0;
    const crumb_packed_shape *s = &product->parts[0].shape;
    uint32_t steps = (s->segment_channels + CRUMB_MATMUL_STEP_CHANNELS - 1) / CRUMB_MATMUL_STEP_CHANNELS * s->segments;
    uint32_t share = (steps + CRUMB_MATMUL_CLUSTER - 1) / CRUMB_MATMUL_CLUSTER;
    if (share > CRUMB_MATMUL_MOST_STEPS) return 0;
    uint64_t bytes = CRUMB_MATMUL_HEAD_BYTES + (uint64_t)warps * CRUMB_MATMUL_DEPTH * CRUMB_MATMUL_SLOT_BYTES
        + (uint64_t)args->units * 2 * CRUMB_TILE_ROWS * tokens * 4;
    uint32_t slot = CRUMB_MATMUL_STEP_CHANNELS * tokens * 2;
    args->slots = (uint32_t)((CRUMB_MATMUL_SHARED_BYTES - bytes) / slot);
    if (args->slots > share) args->slots = share;
    if (args->slots > CRUMB_MATMUL_MOST_SLOTS) args->slots = CRUMB_MATMUL_MOST_SLOTS;
    return bytes + (uint64_t)args->slots * slot;
}

CRUMB_STATIC_ASSERT(sizeof(crumb_packed_matmul_args) == 376, "crumb_packed_matmul_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_matmul_input_args) == 24, "crumb_packed_matmul_input_args");

#endif
