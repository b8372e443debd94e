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

// A function of the host's and of kernels.
#ifdef __CUDACC__
#define CRUMB_CALLABLE __host__ __device__
#define CRUMB_CONSTANT constexpr
#else
#define CRUMB_CALLABLE
#define CRUMB_CONSTANT
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
    // The most warps of a block of packed_product_mM that multiply: as many as its registers allow. Two more copy
    // records and work out the norm.
    CRUMB_PACKED_WARPS_M1 = 18,
    CRUMB_PACKED_WARPS_M2 = 14,
    CRUMB_PACKED_WARPS_M4 = 14,
    CRUMB_PACKED_OTHER_WARPS = 2,
    // Bytes of a block's copies under way at most; what the other warps load queues behind them. Llama-2-7B's four
    // products with one token on one H200: 41.9, 39.6, 39.7, 40.4 and 41.0 us with 40,000, 50,000, 70,000, 100,000 and
    // 200,000.
    CRUMB_PACKED_WINDOW = 57344,
    CRUMB_PACKED_IN_FLIGHT = 16,       // records in a block's shared memory at most
    CRUMB_PACKED_SHORT_RECORD = 16384, // bytes of a record that is copied in one piece
    CRUMB_PACKED_ITEM_CHANNELS = 256,  // of one region: what a warp multiplies at a time
    CRUMB_PACKED_HEAD_BYTES = 7680,
    CRUMB_PACKED_SUMS = 20,         // places for warps' sums of a row with one token, CRUMB_PACKED_WARPS_M1 and more
    CRUMB_PACKED_RUN = 128,         // outliers that a warp adds at a time, with one token
    CRUMB_PACKED_DIGIT_BYTES = 576, // of an item's digits, with one token
    // packed_matmul_mM: channels of a chunk of codes; bytes of a row tile's codes of one in shared memory, and with its
    // scales.
    CRUMB_MATMUL_CHANNELS = 128,
    CRUMB_MATMUL_CODE_BYTES = 2048,
    CRUMB_MATMUL_TILE_BYTES = 2176,
    CRUMB_MATMUL_WARPS = 8, // of a block at most, as its registers allow
    // How packed_matmul_mM's rows and channels are dealt out: groups of rows that blocks share; groups of a block's
    // own;
    // groups that blocks share whose warps have roles (roles.cuh).
    CRUMB_MATMUL_SHARED = 0,
    CRUMB_MATMUL_WHOLE = 1,
    CRUMB_MATMUL_ROLES = 2,
    // With roles: row tiles of a group, threads of a block, channels of a unit; of each warp for outliers, places of
    // entries
    // and of their activations.
    CRUMB_ROLES_TILES = 8,
    CRUMB_ROLES_THREADS = 512,
    CRUMB_ROLES_CHANNELS = 64,
    CRUMB_ROLES_LISTED = 128,
    CRUMB_ROLES_GATHERED = 64,
    // What becomes of a product.
    CRUMB_PACKED_STORE = 0,
    CRUMB_PACKED_RESIDUAL = 1,
    CRUMB_PACKED_SILU = 2,
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
    CRUMB_DEVICE(uint16_t) output;         // as crumb_input_index() has it; padding places are not written
    CRUMB_DEVICE(float) partials;          // workspace, crumb_decode_partials() floats; any contents
    CRUMB_DEVICE(uint32_t) arrivals;       // [M x grid.y], zero before the first launch, zero after each
    crumb_kv_layer cache;
    uint32_t heads;
    uint32_t half_input;
    uint32_t output_stride; // positions
    uint32_t window;        // latest positions a token sees, itself included; 0: all
    uint32_t output_width;  // 0: not wide
    uint32_t first_row;     // of these tokens among those of the output
} crumb_attention_decode_args;

// Causal attention of M consecutive tokens of one sequence whose keys and values are in the cache already.
typedef struct {
    CRUMB_DEVICE(const uint16_t) queries; // fp16 [M][heads x D], as crumb_rope_append_args leaves them
    CRUMB_DEVICE(const uint16_t) places;  // [heads x D], nullable
    CRUMB_DEVICE(uint16_t) output;        // as crumb_input_index() has it; padding places are not written
    crumb_kv_layer cache;
    uint32_t heads;
    uint32_t tokens; // M
    uint32_t start;  // position of the first token
    uint32_t slot;
    uint32_t output_stride; // positions
    uint32_t window;        // 0: all
    uint32_t output_width;  // 0: not wide
    uint32_t first_row;     // of these tokens among those of the output
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
    uint32_t first_feature; // of its rows in the output of a stored product
    // crumb_packed_plan() fills in: items of up to CRUMB_PACKED_ITEM_CHANNELS channels, of the 4-bit region and of a
    // whole record; the warp that has the first; outliers of a record; the first row tile among those of all parts.
    uint32_t items4;
    uint32_t record_items;
    uint32_t first_warp;
    uint32_t record_entries;
    uint32_t first_unit;
    // With one token: items whose digits a block makes for this part, and the first of its items among those of all
    // parts; jobs of a record, its items and runs of its outliers, and the first of them among those of all parts; see
    // crumb_inverse().
    uint32_t own_items;
    uint32_t first_item;
    uint32_t record_jobs;
    uint32_t first_job;
    uint32_t items_inverse;
    uint32_t jobs_inverse;
    uint32_t reserved;
    CRUMB_DEVICE(const uint8_t) records; // [segments][row tiles][record_bytes]
    CRUMB_DEVICE(const float) bias;      // [rows], nullable
} crumb_packed_part;

// y = W x, and what becomes of y:
//   CRUMB_PACKED_STORE     output fp32 [M][output_stride] = y + bias; parts side by side at first_feature
//   CRUMB_PACKED_RESIDUAL  output fp32 [M][output_stride] += y + bias, one part, and what the next matrices want of the
//                          sum: next_input and next_squares
//   CRUMB_PACKED_SILU      next_input = silu(y of part 0) x y of part 1, each at its place
// RMSNorm is folded in: who writes the residual stream also writes it times the norm's weight into the next matrices'
// input and leaves sums of squares; the product's epilogue multiplies by 1 / sqrt(mean square + epsilon).
typedef struct {
    crumb_packed_part parts[3];
    uint32_t part_count;
    uint32_t kind;
    // Units (row tiles of all parts, or of gate and up together) of a block, and how many blocks have one more; whether
    // a segment's records of a block fit its shared memory together. crumb_packed_plan() fills these in.
    uint32_t block_units;
    uint32_t long_blocks;
    uint32_t resident;
    uint32_t positions; // of the input: segments x segment_channels
    uint32_t columns;   // K: features that the squares are the mean of
    uint32_t square_count;
    // packed_product's input is fp16 [M][positions], permuted; packed_matmul's is as crumb_wide_index() has it.
    CRUMB_DEVICE(const uint16_t) input;
    CRUMB_DEVICE(const float) squares; // [square_count][M]: sums of squares of the stream; null: no norm
    CRUMB_DEVICE(void) output;
    uint32_t output_stride;
    // The next input: residual, where it is not null; silu. fp16 [M][next_positions], or, where its width is not 0,
    // wide.
    uint32_t next_positions;
    uint32_t next_width;
    uint32_t reserved;
    CRUMB_DEVICE(uint16_t) next_input;
    CRUMB_DEVICE(const uint16_t) next_places; // [N]: the place of a feature in next_input; null: its own
    CRUMB_DEVICE(const float) next_norm;      // residual: [N], weight of the norm in between
    CRUMB_DEVICE(float) next_squares;         // residual: [blocks, or row tiles][M]
} crumb_packed_product;

// What packed_product_mM takes.
typedef struct {
    crumb_packed_product product;
    uint32_t tokens; // M
    float epsilon;
    // Warps that multiply; places in shared memory, with one token, of a record's jobs, of the digits of all items and
    // of the input, and of the warps' sums and of the records' ring; its bytes; bytes of a block's copies under way at
    // most; whether places of the ring are used more than once. crumb_packed_plan() fills these in.
    uint32_t warps;
    uint32_t jobs_offset;
    uint32_t digits_offset;
    uint32_t input_offset;
    uint32_t sums_offset;
    uint32_t ring_offset;
    uint32_t ring_bytes;
    uint32_t window;
    uint32_t laps;
} crumb_packed_args;

// How a part (for SiLU both together) of a packed_matmul is cut.
typedef struct {
    uint32_t tiles4, tiles2; // of a record: code tiles of both widths
    uint32_t segments;
    uint32_t chunks4;     // of the 4-bit region of a segment
    uint32_t chunks;      // of both regions
    uint32_t fours;       // of outliers, of a segment
    uint32_t chunk_fours; // of a chunk of outliers
    uint32_t code_steps;  // of a group
    uint32_t steps;       // with those for outliers
    uint32_t groups;
    uint32_t first_step, first_group; // among those of all parts
    uint32_t span; // steps from one group to the next: more than it has where each block has a part of one group
    uint32_t chunks_inverse, span_inverse; // see crumb_inverse()
} crumb_matmul_cut;

// What packed_matmul_mM takes. crumb_matmul_plan() fills in the cuts and of the product block_units and long_blocks:
// steps (whole groups) of a block, and how many blocks have one more.
typedef struct {
    crumb_packed_product product;
    crumb_matmul_cut cuts[3];
    uint32_t cut_count;
    uint32_t tokens; // M
    float epsilon;
    uint32_t tiles, slices;               // of a block: row tiles of a group, slices
    uint32_t whole;                       // CRUMB_MATMUL_*
    uint32_t halves;                      // with roles: 2 with 33 to 64 tokens, else 1
    uint32_t units_inverse, long_inverse; // of block_units, and of one more
    uint32_t all_steps;
    // Of groups that several blocks share: fp32 [blocks][2][octets of the kernel][rows of a group][8], any contents;
    // blocks that are done, [groups of all parts], zero before the first launch, zero after each.
    CRUMB_DEVICE(float) partials;
    CRUMB_DEVICE(uint32_t) arrivals;
} crumb_matmul_args;

// The residual stream as the first matrices of a layer want it, where no packed_product wrote it (the
// embedding; prefill): next_input = stream x norm x CRUMB_STREAM_SCALE at its place, and the sum of squares of each
// token.
typedef struct {
    CRUMB_DEVICE(const float) stream;    // [M][K]
    CRUMB_DEVICE(const float) norm;      // [K]
    CRUMB_DEVICE(const uint16_t) places; // [K]; null: its own
    CRUMB_DEVICE(uint16_t) next_input;   // as crumb_input_index() has it; padding places are not written
    CRUMB_DEVICE(float) squares;         // [1][M]
    uint32_t columns;                    // K
    uint32_t next_positions;
    uint32_t next_width;
    uint32_t tokens; // M
} crumb_stream_input_args;

// 2^31 / divisor, rounded up: kernels multiply by it to divide numbers below 2^31 / divisor. 0 of 0.
static inline uint32_t crumb_inverse(uint32_t divisor) { return divisor ? 0x7FFFFFFFu / divisor + 1 : 0; }

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

// Fills in what a launch of packed_product_mM on `blocks` blocks of 32 x (args->warps + CRUMB_PACKED_OTHER_WARPS)
// threads needs to cut the work. Returns its dynamic shared memory, at most `shared_limit` bytes: sums of every warp
// for each row tile of a block, and a ring for records; 0 where that is too little. `tokens` is the kernel's M.
static inline uint64_t crumb_packed_plan(
    crumb_packed_args *args, uint32_t tokens, uint32_t blocks, uint64_t shared_limit) {
    crumb_packed_product *product = &args->product;
    const uint32_t item = CRUMB_PACKED_ITEM_CHANNELS, paired = product->kind == CRUMB_PACKED_SILU;
    const uint32_t most = tokens == 1 ? CRUMB_PACKED_WARPS_M1
        : tokens == 2                 ? CRUMB_PACKED_WARPS_M2
                                      : CRUMB_PACKED_WARPS_M4;
    uint32_t units = 0, items = 0, all_items = 0, positions = 0, inputs = 0, jobs = 0, all_jobs = 0, table = 0;
    uint64_t record = 0, records = 0;
    for (uint32_t p = 0; p < product->part_count; p++) {
        crumb_packed_part *part = product->parts + p;
        const crumb_packed_shape *s = &part->shape;
        uint32_t two_bit_channels = s->segment_channels - s->four_bit_channels;
        positions = s->segments * s->segment_channels;
        part->items4 = (s->four_bit_channels + item - 1) / item;
        part->record_items = part->items4 + (two_bit_channels + item - 1) / item;
        part->record_entries = two_bit_channels / CRUMB_TILE2_CHANNELS * s->outliers_per_tile;
        part->first_unit = paired ? 0 : units;
        const uint32_t pool = CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS * s->outliers_per_tile,
                       run = CRUMB_PACKED_RUN;
        const uint32_t pools = two_bit_channels / CRUMB_OUTLIER_CHANNELS;
        part->record_jobs = part->record_items + pools * ((pool + run - 1) / run)
            + (part->record_entries - pools * pool + run - 1) / run;
        // Parts that are cut alike share their digits.
        part->first_item = inputs;
        for (uint32_t q = 0; q < p; q++) {
            const crumb_packed_shape *other = &product->parts[q].shape;
            if (other->segments == s->segments && other->four_bit_channels == s->four_bit_channels) {
                part->first_item = product->parts[q].first_item;
            }
        }
        part->own_items = part->first_item == inputs ? part->record_items * s->segments : 0;
        inputs += part->own_items;
        part->first_job = table;
        table += part->record_jobs;
        part->items_inverse = crumb_inverse(part->record_items);
        part->jobs_inverse = crumb_inverse(part->record_jobs);
        if (part->record_jobs > jobs) jobs = part->record_jobs;
        if (paired)
            all_jobs += part->record_jobs * s->segments;
        else if (part->record_jobs * s->segments > all_jobs)
            all_jobs = part->record_jobs * s->segments;
        if (p == 0 || !paired) units += s->row_tiles;
        uint32_t own = part->record_items * s->segments;
        // Where there are warps enough, gate and up have warps of their own; else each warp takes the same items of
        // both, so that their activations serve twice.
        part->first_warp = all_items;
        all_items += own;
        if (own > items) items = own;
        if (s->record_bytes > record) record = s->record_bytes;
        if (paired || s->segments > records) records = paired ? records + s->segments : s->segments;
    }
    const int apart = paired && all_items <= most;
    if (apart) items = all_items;
    for (uint32_t p = 0; p < product->part_count && !apart; p++) product->parts[p].first_warp = 0;
    const uint64_t tiles = (units + blocks - 1) / blocks, slots = tiles * (paired ? product->part_count : 1);
    product->block_units = units / blocks;
    product->long_blocks = units % blocks;
    args->warps = items < most ? items : most;
    if (tokens == 1) {
        // Where a record has about as many jobs as there are warps, each warp has the same item of all records.
        // One of the warps is the norm's.
        const uint64_t wanted = jobs <= most + 1 && 2 * jobs > most ? jobs : all_jobs * tiles;
        args->warps = wanted > most ? most : wanted > 2 ? (uint32_t)wanted - 1 : 1;
    }
    args->window = CRUMB_PACKED_WINDOW;
    args->jobs_offset = CRUMB_PACKED_HEAD_BYTES;
    args->digits_offset = args->jobs_offset + (tokens == 1 ? (table * 16 + 127) / 128 * 128 : 0);
    args->input_offset =
        args->digits_offset + (tokens == 1 ? (inputs * CRUMB_PACKED_DIGIT_BYTES + 127) / 128 * 128 : 0);
    const uint64_t sums = args->input_offset + (tokens == 1 ? ((uint64_t)positions * 2 + 127) / 128 * 128 : 0);
    if (sums > shared_limit) return 0;
    args->sums_offset = (uint32_t)sums;
    const uint64_t ring =
        args->sums_offset + (tokens == 1 ? CRUMB_PACKED_SUMS : args->warps * tokens) * slots * CRUMB_TILE_ROWS * 4;
    record = (record + 127) / 128 * 128;
    if (ring + record > shared_limit) return 0;
    uint64_t bytes = (shared_limit - ring) / 128 * 128;
    if (bytes > records * tiles * record) bytes = records * tiles * record;
    args->ring_offset = (uint32_t)ring;
    args->ring_bytes = (uint32_t)bytes;
    // A record may have to leave out the end of the ring.
    const uint64_t together = bytes == records * tiles * record ? tiles * record : (tiles + 1) * record;
    product->resident = tiles <= CRUMB_PACKED_IN_FLIGHT && together <= bytes;
    args->laps = bytes < records * tiles * record || records * tiles > CRUMB_PACKED_IN_FLIGHT;
    return ring + bytes;
}

// Number of a token at a place of a wide input: fp16 [positions][width], the width that of packed_matmul_mM: 8, 16, 32
// or 64. What stands in places of tokens from M on does not matter.
static CRUMB_CALLABLE inline uint64_t crumb_wide_index(uint32_t place, uint32_t token, uint32_t width) {
    return (uint64_t)place * width + token;
}
// Number of a token at a place of an input of a packed product; width 0: fp16 [M][positions].
static CRUMB_CALLABLE inline uint64_t crumb_input_index(
    uint32_t place, uint32_t token, uint32_t positions, uint32_t width) {
    return width == 0 ? (uint64_t)token * positions + place : crumb_wide_index(place, token, width);
}
// Of packed_matmul_mM: blocks of a multiprocessor, as its registers allow; places of a slice's chunks.
static CRUMB_CALLABLE inline uint32_t crumb_matmul_blocks(uint32_t tokens) { return tokens >= 32 ? 1 : 2; }
static CRUMB_CALLABLE CRUMB_CONSTANT inline uint32_t crumb_matmul_stages(uint32_t tokens) {
    return tokens == 32 ? 4 : 3;
}
// Outliers of a chunk at most, in fours: about as long as one of codes takes. Llama-2-7B's four products on one H200:
// 89 us with 16 tokens and fours of 16, 91 with 32; 186 us with 64 tokens and fours of 8, 189 with 4, 188 with 32.
static CRUMB_CALLABLE inline uint32_t crumb_matmul_fours(uint32_t tokens) { return tokens >= 64 ? 8 : 16; }
// Of a chunk's activations in shared memory, and of all of a slice's.
static CRUMB_CALLABLE inline uint32_t crumb_matmul_input_bytes(uint32_t tokens) {
    return tokens * CRUMB_MATMUL_CHANNELS * 2;
}
static CRUMB_CALLABLE inline uint32_t crumb_matmul_slot_bytes(uint32_t tokens, uint32_t tiles) {
    const uint32_t multiple = tokens >= 32 ? 1024 : 128; // as `wgmma` has it
    return (crumb_matmul_input_bytes(tokens) + tiles * CRUMB_MATMUL_TILE_BYTES + multiple - 1) / multiple * multiple;
}
// From one token's sums to the next one's in shared memory, numbers: neighbours' rows lie in different banks.
static CRUMB_CALLABLE inline uint32_t crumb_matmul_stride(uint32_t tiles) { return CRUMB_TILE_ROWS * tiles + 4; }
// Of everything before the chunks: the arguments, two decisions, the norm's factors, sums of the slices.
static CRUMB_CALLABLE inline uint32_t crumb_matmul_head_bytes(uint32_t tokens, uint32_t tiles, uint32_t slices) {
    return ((uint32_t)sizeof(crumb_matmul_args) + 8 + 4 * tokens * (slices * crumb_matmul_stride(tiles) + 1) + 1023)
        / 1024 * 1024;
}

// With roles: places of units; bytes of one, activations and codes and scales; from one row's outliers' sums to the
// next one's, numbers; bytes of everything before the units: arguments, barriers, the norm's factors, outliers.
static CRUMB_CALLABLE CRUMB_CONSTANT inline uint32_t crumb_roles_stages(uint32_t tokens) {
    return tokens > 16 ? 9 : 10;
}
static CRUMB_CALLABLE CRUMB_CONSTANT inline uint32_t crumb_roles_stage_bytes(uint32_t tokens) {
    const uint32_t tiles = CRUMB_ROLES_TILES, codes = 2 * CRUMB_TILE_BYTES;
    return (CRUMB_ROLES_CHANNELS * tokens * 2 + tiles * (codes + CRUMB_TILE2_SCALE_BYTES) + 1023) / 1024 * 1024;
}
static CRUMB_CALLABLE CRUMB_CONSTANT inline uint32_t crumb_roles_stride(uint32_t tokens) { return tokens + 8; }
// Of an outlier's activations, for one warp: eight rows' pieces of 16 bytes lie in different banks.
static CRUMB_CALLABLE CRUMB_CONSTANT inline uint32_t crumb_roles_gathered_bytes(uint32_t tokens) {
    return tokens * 2 + 16;
}
static CRUMB_CALLABLE CRUMB_CONSTANT inline uint32_t crumb_roles_head_bytes(uint32_t tokens) {
    const uint32_t rows = (uint32_t)CRUMB_ROLES_TILES * CRUMB_TILE_ROWS;
    return ((uint32_t)sizeof(crumb_matmul_args) + 16 * crumb_roles_stages(tokens) + 72 + 8 * tokens + 512
            + 4 * (8 * CRUMB_ROLES_LISTED + CRUMB_ROLES_GATHERED * crumb_roles_gathered_bytes(tokens))
            + 2 * rows * crumb_roles_stride(tokens) * 4 + 1023)
        / 1024 * 1024;
}

// Fills in what a launch of packed_matmul_mM on `blocks` blocks of 32 x args->tiles x args->slices threads needs; the
// caller chooses those two, and args->whole. Returns its dynamic shared memory, at most `shared_limit` bytes; 0 where
// that is too little, or where gate and up differ in shape. `tokens` is the kernel's M.
static inline uint64_t crumb_matmul_plan(
    crumb_matmul_args *args, uint32_t tokens, uint32_t blocks, uint64_t shared_limit) {
    crumb_packed_product *product = &args->product;
    const uint32_t tiles = args->tiles, slices = args->slices, roles = args->whole == CRUMB_MATMUL_ROLES;
    const uint32_t paired = product->kind == CRUMB_PACKED_SILU;
    const uint32_t chunk = roles ? CRUMB_ROLES_CHANNELS : CRUMB_MATMUL_CHANNELS;
    // With roles a kernel has 32 tokens at most: groups of each half of more.
    const uint32_t halves = roles && tokens > 32 ? 2 : 1;
    uint32_t steps = 0, groups = 0, most_steps = 0;
    args->halves = halves;
    args->cut_count = paired ? 1 : product->part_count;
    for (uint32_t p = 0; p < product->part_count; p++) {
        const crumb_packed_shape *s = &product->parts[p].shape, *first = &product->parts[0].shape;
        if (paired
            && (s->four_bit_channels != first->four_bit_channels || s->row_tiles != first->row_tiles
                || s->outliers_per_tile != first->outliers_per_tile)) {
            return 0;
        }
        if (p >= args->cut_count) continue;
        crumb_matmul_cut *cut = args->cuts + p;
        const uint32_t tiles2 = (s->segment_channels - s->four_bit_channels) / CRUMB_TILE2_CHANNELS;
        const uint32_t own = paired ? tiles / 2 : tiles;
        cut->tiles4 = s->four_bit_channels / CRUMB_TILE4_CHANNELS;
        cut->tiles2 = tiles2;
        cut->fours = (tiles2 * s->outliers_per_tile + 3) / 4;
        cut->segments = s->segments;
        cut->chunks4 = (s->four_bit_channels + chunk - 1) / chunk;
        cut->chunks = cut->chunks4 + (tiles2 * CRUMB_TILE2_CHANNELS + chunk - 1) / chunk;
        cut->code_steps = (cut->chunks * s->segments + slices - 1) / slices;
        const uint32_t all = s->segments * cut->fours, most = slices * crumb_matmul_fours(tokens);
        const uint32_t outlier_steps = roles ? 0 : (all + most - 1) / most;
        cut->chunk_fours = outlier_steps ? (all + slices * outlier_steps - 1) / (slices * outlier_steps) : 0;
        cut->steps = cut->code_steps + outlier_steps;
        cut->groups = (s->row_tiles + own - 1) / own * halves;
        cut->first_group = p == 0 ? 0 : args->cuts[p - 1].first_group + args->cuts[p - 1].groups;
        cut->chunks_inverse = crumb_inverse(cut->chunks);
        groups += cut->groups;
        if (cut->steps > most_steps) most_steps = cut->steps;
        steps += cut->steps * cut->groups;
    }
    const crumb_matmul_cut *last = args->cuts + args->cut_count - 1;
    const uint32_t units = args->whole == CRUMB_MATMUL_WHOLE ? last->first_group + last->groups : steps;
    product->block_units = units / blocks;
    product->long_blocks = units % blocks;
    // A block with parts of two groups takes about eight units longer (4096 x 4096, 16 tokens, one H200: 5,000 cycles
    // of 20,000): so whole numbers of blocks share each group, where that leaves few of them without work.
    const uint32_t sharers = blocks / (groups ? groups : 1), part = sharers ? (most_steps + sharers - 1) / sharers : 0;
    const uint32_t apart = roles && sharers && (uint64_t)part * blocks <= units + 8ull * blocks;
    if (apart) product->block_units = part, product->long_blocks = 0;
    args->all_steps = 0;
    for (uint32_t p = 0; p < args->cut_count; p++) {
        crumb_matmul_cut *cut = args->cuts + p;
        cut->span = apart ? part * sharers : cut->steps, cut->span_inverse = crumb_inverse(cut->span);
        cut->first_step = args->all_steps;
        args->all_steps += cut->span * cut->groups;
    }
    args->units_inverse = crumb_inverse(product->block_units);
    args->long_inverse = crumb_inverse(product->block_units + 1);
    if (roles) {
        const uint64_t all = crumb_roles_head_bytes(tokens / halves)
            + (uint64_t)crumb_roles_stages(tokens / halves) * crumb_roles_stage_bytes(tokens / halves);
        return tiles == CRUMB_ROLES_TILES && slices == 1 && all <= shared_limit ? all : 0;
    }
    const uint64_t head = crumb_matmul_head_bytes(tokens, tiles, slices);
    const uint64_t stage = (uint64_t)slices * crumb_matmul_slot_bytes(tokens, tiles);
    const uint64_t bytes = head + crumb_matmul_stages(tokens) * stage;
    return bytes <= shared_limit ? bytes : 0;
}

CRUMB_STATIC_ASSERT(sizeof(crumb_embed_args) == 48, "crumb_embed_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_rmsnorm_args) == 48, "crumb_rmsnorm_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_kv_layer) == 24, "crumb_kv_layer");
CRUMB_STATIC_ASSERT(sizeof(crumb_rope_append_args) == 88, "crumb_rope_append_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_attention_decode_args) == 120, "crumb_attention_decode_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_attention_prefill_args) == 80, "crumb_attention_prefill_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_silu_multiply_args) == 48, "crumb_silu_multiply_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_residual_add_args) == 40, "crumb_residual_add_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_sampling) == 64, "crumb_sampling");
CRUMB_STATIC_ASSERT(sizeof(crumb_choice) == 56, "crumb_choice");
CRUMB_STATIC_ASSERT(sizeof(crumb_matvec_args) == 136, "crumb_matvec_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_argmax_args) == 72, "crumb_argmax_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_sample_args) == 88, "crumb_sample_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_dequantize_args) == 72, "crumb_dequantize_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_part) == 120, "crumb_packed_part");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_product) == 464, "crumb_packed_product");
CRUMB_STATIC_ASSERT(sizeof(crumb_packed_args) == 512, "crumb_packed_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_matmul_cut) == 60, "crumb_matmul_cut");
CRUMB_STATIC_ASSERT(sizeof(crumb_matmul_args) == 704, "crumb_matmul_args");
CRUMB_STATIC_ASSERT(sizeof(crumb_stream_input_args) == 56, "crumb_stream_input_args");

#endif
