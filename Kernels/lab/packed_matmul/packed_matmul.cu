// y = W x for packed matrices and 9 to 64 tokens: the product of a batch's decode step. sm_90a: clusters, registers
// that go from warp to warp.
// targets: sm_90a
//
// Grid: CRUMB_MATMUL_CLUSTER blocks for each cluster, as many clusters as fit the card, no more than units. Block:
// crumb_packed_matmul_threads(M). A block takes a quarter of the channels for all row tiles of its cluster. Weights
// become exact halves in registers, once for all tokens, and are A of the tensor-core products; fp32 sums of two row
// tiles and all tokens stay in a warp's registers for a whole pass. Each warp has a ring of codes that cp.async fills
// ahead, across passes. A warp beside them has the activations copied, another three add up the outliers. Dynamic
// shared memory: as crumb_packed_matmul_plan() says.
// Bytes: the records, once; of the activations a quarter for each block, once if that fits shared memory, else once for
// each pass. Everything is added in a fixed order: the same bits from run to run.
//
// packed_matmul_input_mM brings the activations in order. Grid: (positions / 2 x M / 8 / threads, rounded up). Block:
// CRUMB_MATMUL_INPUT_THREADS.
#include "include/packed_matmul_outliers.cuh"
#include "include/packed_output.cuh"

// What a block's warps tell each other, at the start of its shared memory.
struct matmul_head {
    uint64_t full[CRUMB_MATMUL_MOST_SLOTS], empty[CRUMB_MATMUL_MOST_SLOTS]; // barriers of the activations' slots
    uint64_t outliers;                                                      // barrier: a pass's sums hold the outliers
    uint64_t ready, free_; // barriers: all blocks' sums of a pass are complete; all have been read
    uint64_t reserved;
    float factors[64 / CRUMB_MATMUL_CLUSTER]; // of this block's tokens: the norm's
    float squares[128];                       // [warp][this block's tokens], of the new residual stream
    matmul_table table;
};
static_assert(sizeof(matmul_head) <= CRUMB_MATMUL_HEAD_BYTES, "crumb_packed_matmul_plan() counts on it");

extern __shared__ __align__(128) uint8_t packed_memory[];

template <int tokens> struct matmul_block {
    static constexpr uint32_t warps = tokens == 16 ? CRUMB_MATMUL_WARPS_16 : CRUMB_MATMUL_WARPS;
    // This block's tokens at the end: rank x own_tokens and on.
    static constexpr uint32_t own_tokens = tokens / CRUMB_MATMUL_CLUSTER;
    static constexpr uint32_t input_bytes = CRUMB_MATMUL_STEP_CHANNELS * tokens * 2;
    static constexpr uint32_t tile_floats = tokens * CRUMB_TILE_ROWS;

    const crumb_packed_matmul_args &args;
    matmul_head *head;
    uint8_t *ring;
    float *sums;
    uint32_t input; // shared address of the activations' slots

    CRUMB_INLINE explicit matmul_block(const crumb_packed_matmul_args &a) : args(a) {
        head = reinterpret_cast<matmul_head *>(packed_memory);
        ring = packed_memory + CRUMB_MATMUL_HEAD_BYTES;
        uint8_t *after = ring + warps * CRUMB_MATMUL_DEPTH * CRUMB_MATMUL_SLOT_BYTES;
        sums = reinterpret_cast<float *>(after);
        input = shared_address(after + args.units * 2 * tile_floats * 4);
    }
    CRUMB_INLINE uint32_t full(uint32_t slot) const { return shared_address(head->full + slot); }
    CRUMB_INLINE uint32_t empty(uint32_t slot) const { return shared_address(head->empty + slot); }
    // Whether all activations of this block stay in shared memory.
    CRUMB_INLINE bool resident() const { return head->table.step_count <= args.slots; }
};

// Where the activations of a step are: its number, counted over passes, in rounds of slots. A warp that waits for a
// slot's round has seen a step at most `warps` before, so that the slot is in the round before it at least.
struct matmul_turn {
    uint32_t slot, round;

    CRUMB_INLINE matmul_turn(uint32_t number, uint32_t slots) : slot(number % slots), round(number / slots) {}
    CRUMB_INLINE void advance(uint32_t by, uint32_t slots) {
        slot += by;
        if (slot >= slots) slot -= slots, round++;
    }
};

// A warp's copies ahead, through all passes.
template <bool paired, uint32_t warps> struct matmul_ahead {
    uint32_t index, step; // pass; step of it
    matmul_regions regions;

    CRUMB_INLINE void start(const matmul_table &table) {
        index = ~0u, step = ~0u;
        settle(table);
    }
    // Asks for a step, if there is one, in a group of copies of its own.
    CRUMB_INLINE void fetch(const crumb_packed_matmul_args &args, const matmul_table &table, uint32_t slot) {
        if (index < table.pass_count) {
            matmul_pass<paired> pass = table.pass<paired>(index);
            matmul_place place = table.step(step);
            bool four[2], opens[2];
            regions.enter(args, pass, place, four, opens);
            matmul_fetch(args, pass, matmul_unit(pass.shift), place, opens, slot);
            step += warps >> pass.shift;
            settle(table);
        }
        copies_end_group();
    }

  private:
    // Goes on to a pass in which this warp has steps.
    CRUMB_INLINE void settle(const matmul_table &table) {
#pragma unroll 1
        while (step >= table.step_count) {
            if (++index >= table.pass_count) return;
            step = matmul_first_step(table.pass<paired>(index).shift), regions.reset();
        }
    }
};

// This block's quarter of the tokens, for all rows of the pass: a warp for each row tile (or gate and up) and four
// tokens, lane = row.
template <int tokens, class Output>
CRUMB_INLINE void matmul_finish(const matmul_block<tokens> &block, const matmul_pass<Output::paired> &pass) {
    constexpr bool paired = Output::paired;
    constexpr uint32_t own = matmul_block<tokens>::own_tokens, tile_floats = matmul_block<tokens>::tile_floats;
    const crumb_packed_matvec_args &args = block.args.product;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = pass.units() * (paired ? 1 : 2);
    const uint32_t sums = shared_address(block.sums);
#pragma unroll 1
    for (uint32_t item = warp; item < tiles * (own / 4); item += matmul_block<tokens>::warps) {
        uint32_t at = item / (own / 4), local = item % (own / 4) * 4, first = matmul_rank() * own + local;
        float y[4], up[4];
        if (paired) {
            matmul_cluster_sums(y, sums + 2 * at * tile_floats * 4, first, lane);
            matmul_cluster_sums(up, sums + (2 * at + 1) * tile_floats * 4, first, lane);
        } else {
            matmul_cluster_sums(y, sums + at * tile_floats * 4, first, lane);
        }
        const crumb_packed_part &part = args.parts[pass.part];
        uint32_t row = (paired ? pass.tile(at, 0) : pass.tile(at / 2, at % 2)) * CRUMB_TILE_ROWS + lane;
        bool real = row < part.shape.rows;
#pragma unroll
        for (uint32_t k = 0; k < 4; k++) {
            uint32_t token = first + k;
            float factor = block.head->factors[local + k];
            bool wanted = real && token < args.tokens;
            if constexpr (paired) {
                if (wanted) Output::emit(args, token, row, y[k] * factor, up[k] * factor);
            } else if constexpr (Output::sums_squares) {
                float stream = wanted ? Output::emit(args, part, token, row, y[k] * factor) : 0;
                float square = warp_reduce(stream * stream, Sum());
                if (lane == 0) block.head->squares[warp * own + local + k] += square;
            } else {
                if (wanted) Output::emit(args, part, token, row, y[k] * factor);
            }
        }
    }
}

template <int tokens, class Output> CRUMB_INLINE void matmul_codes_warp(const matmul_block<tokens> &block) {
    constexpr bool paired = Output::paired;
    constexpr uint32_t warps = matmul_block<tokens>::warps, own = matmul_block<tokens>::own_tokens;
    const crumb_packed_matmul_args &args = block.args;
    const matmul_table &table = block.head->table;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    uint8_t *mine = block.ring + warp * CRUMB_MATMUL_DEPTH * CRUMB_MATMUL_SLOT_BYTES;
    const uint32_t target = shared_address(mine);
    matmul_ahead<paired, warps> ahead;
    ahead.start(table);
#pragma unroll 1
    for (uint32_t slot = 0; slot < CRUMB_MATMUL_DEPTH - 1; slot++) {
        ahead.fetch(args, table, target + slot * CRUMB_MATMUL_SLOT_BYTES);
    }
    for (uint32_t i = lane; i < own; i += 32) block.head->squares[warp * own + i] = 0;
    barrier_cluster();
    wait_for_previous();
    release_next();
    uint32_t slot = 0;
#pragma unroll 1
    for (uint32_t index = 0; index < table.pass_count; index++) {
        const matmul_pass<paired> pass = table.pass<paired>(index);
        const uint32_t turns = warps >> pass.shift; // warps of a unit
        matmul_sums<tokens> sums;
#pragma unroll
        for (int i = 0; i < tokens * 2; i++) (&sums[0][0][0][0])[i] = 0;
        // 1: what they multiply is still zero.
        matmul_row_scales scales[2] = {{0x3C003C00u, 0x3C003C00u}, {0x3C003C00u, 0x3C003C00u}};
        matmul_regions regions;
        regions.reset();
        uint32_t step = matmul_first_step(pass.shift);
        matmul_turn turn(step + (block.resident() ? 0 : index * table.step_count), args.slots);
#pragma unroll 1
        for (; step < table.step_count; step += turns) {
            uint32_t refill = slot == 0 ? CRUMB_MATMUL_DEPTH - 1 : slot - 1;
            ahead.fetch(args, table, target + refill * CRUMB_MATMUL_SLOT_BYTES);
            const matmul_place place = table.step(step);
            bool four[2], opens[2];
            regions.enter(args, pass, place, four, opens);
            copies_done<CRUMB_MATMUL_DEPTH - 1>();
            __syncwarp();
            const uint8_t *codes = mine + slot * CRUMB_MATMUL_SLOT_BYTES;
#pragma unroll
            for (uint32_t second = 0; second < 2; second++) {
                if (!opens[second]) continue;
                matmul_row_scales now;
                now.load(codes, second);
                float factors[4];
#pragma unroll
                for (int i = 0; i < 4; i++) factors[i] = __fdividef(scales[second].get(i), now.get(i));
                matmul_rescale<tokens>(sums[second], factors);
                scales[second] = now;
            }
            barrier_wait(block.full(turn.slot), turn.round & 1);
            const uint32_t input = block.input + turn.slot * matmul_block<tokens>::input_bytes;
            if (four[0] == four[1]) {
                if (four[0]) {
                    matmul_step<4, tokens, 0, 2>(sums, codes, input, place);
                } else {
                    matmul_step<2, tokens, 0, 2>(sums, codes, input, place);
                }
            } else if (four[0]) {
                // Only with gate and up of different shares.
                matmul_step<4, tokens, 0, 1>(sums, codes, input, place);
                matmul_step<2, tokens, 1, 2>(sums, codes, input, place);
            } else {
                matmul_step<2, tokens, 0, 1>(sums, codes, input, place);
                matmul_step<4, tokens, 1, 2>(sums, codes, input, place);
            }
            __syncwarp();
            // All of the unit's warps together count `warps`.
            if (!block.resident() && lane == 0) barrier_arrive(block.empty(turn.slot), turns);
            turn.advance(turns, args.slots);
            slot = slot + 1 == CRUMB_MATMUL_DEPTH ? 0 : slot + 1;
        }
        // The unit's warps one after the other.
        barrier_wait(shared_address(&block.head->outliers), index & 1);
        const uint32_t unit = matmul_unit(pass.shift), own_turn = matmul_first_step(pass.shift);
        float *to = block.sums + 2 * unit * matmul_block<tokens>::tile_floats;
#pragma unroll 1
        for (uint32_t k = 0; k < turns; k++) {
            if (k == own_turn) matmul_add_sums<tokens>(sums, scales, to);
            if (turns > 1) barrier_some(1 + unit, 32 * turns);
        }
        __syncwarp();
        if (lane < CRUMB_MATMUL_CLUSTER) barrier_arrive_at(shared_address(&block.head->ready), lane);
        barrier_wait_cluster(shared_address(&block.head->ready), index & 1);
        matmul_finish<tokens, Output>(block, pass);
        __syncwarp();
        if (lane < CRUMB_MATMUL_CLUSTER) barrier_arrive_at(shared_address(&block.head->free_), lane);
    }
}

// Has the activations copied into the slots, by one lane.
template <int tokens> CRUMB_INLINE void matmul_input_warp(const matmul_block<tokens> &block) {
    const crumb_packed_matmul_args &args = block.args;
    const matmul_table &table = block.head->table;
    barrier_cluster();
    wait_for_previous();
    release_next();
    if (threadIdx.x % 32 != 0 || table.pass_count == 0) return;
    matmul_turn turn(0, args.slots);
    const uint32_t segment_channels = args.product.parts[0].shape.segment_channels;
    uint32_t loads = block.resident() ? 1 : table.pass_count;
#pragma unroll 1
    for (uint32_t load = 0; load < loads; load++) {
#pragma unroll 1
        for (uint32_t step = 0; step < table.step_count; step++) {
            matmul_place place = table.step(step);
            if (turn.round > 0) barrier_wait(block.empty(turn.slot), (turn.round - 1) & 1);
            size_t channel = place.segment * segment_channels + place.start;
            copy_bulk(
                block.input + turn.slot * matmul_block<tokens>::input_bytes, args.product.input + channel * tokens,
                place.channels() * tokens * 2, block.full(turn.slot));
            turn.advance(1, args.slots);
        }
    }
}

// Outliers of all passes, and the factors of the norm in front.
template <int tokens, bool paired>
CRUMB_INLINE void matmul_side_warp(const matmul_block<tokens> &block, uint32_t warp) {
    constexpr uint32_t own = matmul_block<tokens>::own_tokens;
    const crumb_packed_matvec_args &args = block.args.product;
    const uint32_t lane = threadIdx.x % 32;
    barrier_cluster();
    wait_for_previous();
    release_next();
#pragma unroll 1
    for (uint32_t k = warp; k < own; k += matmul_outlier_warps) {
        uint32_t token = matmul_rank() * own + k;
        float sum = 0;
        if (args.squares && token < args.tokens) {
#pragma unroll 4
            for (uint32_t i = lane; i < args.square_count; i += 32) {
                sum += __ldcg(args.squares + i * args.tokens + token);
            }
        }
        sum = warp_reduce(sum, Sum());
        float mean = sum / static_cast<float>(args.columns);
        if (lane == 0) {
            block.head->factors[k] = args.squares ? rsqrtf(mean + args.epsilon) * (1 / CRUMB_STREAM_SCALE) : 1;
        }
    }
    const matmul_table &table = block.head->table;
#pragma unroll 1
    for (uint32_t index = 0; index < table.pass_count; index++) {
        // The sums of the pass before are still read by other blocks.
        if (index > 0) barrier_wait_cluster(shared_address(&block.head->free_), (index - 1) & 1);
        matmul_pass_outliers<paired, tokens>(block.args, table.pass<paired>(index), warp, block.sums);
        if (lane == 0) barrier_arrive(shared_address(&block.head->outliers), 1);
    }
}

template <int tokens, class Output> CRUMB_INLINE void packed_matmul(const crumb_packed_matmul_args &args) {
    constexpr uint32_t warps = matmul_block<tokens>::warps, own = matmul_block<tokens>::own_tokens;
    const matmul_block<tokens> block(args);
    const uint32_t warp = threadIdx.x / 32;
    if (threadIdx.x == 0) {
        for (uint32_t slot = 0; slot < args.slots; slot++) {
            barrier_init(block.full(slot), 1);
            barrier_init(block.empty(slot), warps);
        }
        barrier_init(shared_address(&block.head->outliers), matmul_outlier_warps);
        barrier_init(shared_address(&block.head->ready), CRUMB_MATMUL_CLUSTER * warps);
        barrier_init(shared_address(&block.head->free_), CRUMB_MATMUL_CLUSTER * warps);
        barrier_publish();
    }
    block.head->table.template fill<Output::paired>(args);
    // Barriers are known to the cluster after barrier_cluster(), which everyone's part starts with.
    __syncthreads();
    if (warp < warps) {
        if (tokens != 32) registers_up<tokens == 64 ? 216 : 104>();
        matmul_codes_warp<tokens, Output>(block);
    } else {
        if (tokens != 32) registers_down<tokens == 64 ? 72 : 64>();
        if (warp == warps) {
            matmul_input_warp<tokens>(block);
        } else {
            matmul_side_warp<tokens, Output::paired>(block, warp - warps - 1);
        }
    }
    // No block leaves while another one reads its sums.
    __syncwarp();
    barrier_cluster();
    if constexpr (!Output::paired && Output::sums_squares) {
        uint32_t token = matmul_rank() * own + threadIdx.x;
        if (args.product.next_input && threadIdx.x < own && token < args.product.tokens) {
            float sum = 0;
            for (uint32_t i = 0; i < warps; i++) sum += block.head->squares[i * own + threadIdx.x];
            args.product.next_squares[blockIdx.x / CRUMB_MATMUL_CLUSTER * args.product.tokens + token] = sum;
        }
    }
}

struct matmul_store : packed_store {
    static constexpr bool sums_squares = false;
};
struct matmul_residual : packed_residual {
    static constexpr bool sums_squares = true;
};
struct matmul_silu : packed_silu {
    static constexpr bool sums_squares = false;
};

// A thread takes two channels and 8 tokens.
template <int tokens> CRUMB_INLINE void packed_matmul_input(const crumb_packed_matmul_input_args &args) {
    wait_for_previous();
    release_next();
    uint32_t index = blockIdx.x * CRUMB_MATMUL_INPUT_THREADS + threadIdx.x, pairs = args.positions / 2;
    uint32_t run = index / pairs, channel = index % pairs * 2;
    if (run >= tokens / 8) return;
    uint32_t x[8];
#pragma unroll
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t token = 8 * run + i;
        const uint16_t *from = args.input + static_cast<size_t>(token) * args.positions + channel;
        x[i] = token < args.tokens ? __ldcg(reinterpret_cast<const uint32_t *>(from)) : 0;
    }
    uint4 *output = reinterpret_cast<uint4 *>(args.output);
#pragma unroll
    for (uint32_t odd = 0; odd < 2; odd++) {
        uint32_t w[4];
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) w[i] = __byte_perm(x[2 * i], x[2 * i + 1], odd ? 0x7632 : 0x5410);
        output[matmul_place_of<tokens>(channel + odd, run)] = make_uint4(w[0], w[1], w[2], w[3]);
    }
}

#define CRUMB_PACKED_MATMUL(output, tokens) \
    extern "C" __global__ void __cluster_dims__(CRUMB_MATMUL_CLUSTER, 1, 1) \
        __launch_bounds__((matmul_block<tokens>::warps + CRUMB_MATMUL_SIDE_WARPS) * 32, 1) \
            packed_matmul_##output##_m##tokens(const __grid_constant__ crumb_packed_matmul_args args) { \
        packed_matmul<tokens, matmul_##output>(args); \
    }
#define CRUMB_PACKED_MATMUL_INPUT(tokens) \
    extern "C" __global__ void __launch_bounds__(CRUMB_MATMUL_INPUT_THREADS) \
        packed_matmul_input_m##tokens(const __grid_constant__ crumb_packed_matmul_input_args args) { \
        packed_matmul_input<tokens>(args); \
    }

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
// check: hot packed_matmul_*
// check: async packed_matmul_store_* packed_matmul_residual_* packed_matmul_silu_*
CRUMB_PACKED_MATMUL(store, 16)
CRUMB_PACKED_MATMUL(store, 32)
CRUMB_PACKED_MATMUL(store, 64)
CRUMB_PACKED_MATMUL(residual, 16)
CRUMB_PACKED_MATMUL(residual, 32)
CRUMB_PACKED_MATMUL(residual, 64)
CRUMB_PACKED_MATMUL(silu, 16)
CRUMB_PACKED_MATMUL(silu, 32)
CRUMB_PACKED_MATMUL(silu, 64)
CRUMB_PACKED_MATMUL_INPUT(16)
CRUMB_PACKED_MATMUL_INPUT(32)
CRUMB_PACKED_MATMUL_INPUT(64)
#endif
