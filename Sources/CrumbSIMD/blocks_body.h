// One block of each GGUF type, 16 weights at a time, either written out in fp32 or multiplied with x on the way.
// Field order and formulas: the GGUF block formats; d and m are half precision, q an unsigned code.

// Where weights go: to `out`, or where that is NULL into the four chains of products with `x`. Always a local
// variable of a function that fixes `out`, so that the choice is made by the compiler.
typedef struct {
    float *out;
    const float *x;
    f32x16 sums[4];
} LEVEL(sink);

// Weights at ..< at + 16 of the block: scale x code + shift.
CRUMB_INLINE void LEVEL(put)(LEVEL(sink) * sink, size_t at, i32x16 codes, float scale, float shift) {
    f32x16 w = LEVEL(to_float)(codes) * LEVEL(splat)(scale) + LEVEL(splat)(shift);
    if (sink->out != NULL)
        LEVEL(store)(sink->out + at, w);
    else
        sink->sums[at / 16 % 4] = w * LEVEL(load)(sink->x + at) + sink->sums[at / 16 % 4];
}

CRUMB_INLINE float LEVEL(half_at)(const uint8_t *p) { return LEVEL(half_to_float)(crumb_read16(p)); }

// MARK: 32 weights

// Bits 0 ... 15 of `word`, one per lane, at bit 4.
CRUMB_INLINE i32x16 LEVEL(fifth_bits)(uint32_t word) {
    u32x16 all = {word, word, word, word, word, word, word, word, word, word, word, word, word, word, word, word};
    const u32x16 places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (i32x16)((all >> places & 1u) << 4);
}

// {half d, [half m,] [u32 high bits,] 16 bytes}: weight j has its low 4 bits in the low nibble of byte j, weight
// j + 16 in the high nibble, and its fifth bit in bit j of the high bits. w = d (q - bias) or d q + m.
CRUMB_INLINE void LEVEL(legacy_block)(
    const uint8_t *block, LEVEL(sink) * sink, bool has_minimum, bool has_fifth_bit, int bias) {
    float d = LEVEL(half_at)(block);
    float m = has_minimum ? LEVEL(half_at)(block + 2) : 0;
    block += has_minimum ? 4 : 2;
    uint32_t high = has_fifth_bit ? crumb_read32(block) : 0;
    i32x16 bytes = LEVEL(load_unsigned)(block + (has_fifth_bit ? 4 : 0));
    i32x16 first = bytes & 15, second = bytes >> 4;
    if (has_fifth_bit) {
        first |= LEVEL(fifth_bits)(high);
        second |= LEVEL(fifth_bits)(high >> 16);
    }
    LEVEL(put)(sink, 0, first - bias, d, m);
    LEVEL(put)(sink, 16, second - bias, d, m);
}

// {half d, 32 int8}: w = d q.
CRUMB_INLINE void LEVEL(q8_0_block)(const uint8_t *block, LEVEL(sink) * sink) {
    float d = LEVEL(half_at)(block);
    LEVEL(put)(sink, 0, LEVEL(load_signed)(block + 2), d, 0);
    LEVEL(put)(sink, 16, LEVEL(load_signed)(block + 18), d, 0);
}

// MARK: 256 weights

// {16 bytes scale | minimum << 4, 64 bytes codes, half d, half dmin}. Half h (128 weights) takes 32 code bytes; its
// run j (32 weights) takes bits 2j, 2j + 1 of them. One scale per 16 weights: w = d scale q - dmin minimum.
CRUMB_INLINE void LEVEL(q2_k_block)(const uint8_t *block, LEVEL(sink) * sink) {
    float d = LEVEL(half_at)(block + 80), dmin = LEVEL(half_at)(block + 82);
    float scales[16], minimums[16];
    i32x16 both = LEVEL(load_unsigned)(block);
    LEVEL(store)(scales, LEVEL(to_float)(both & 15) * LEVEL(splat)(d));
    LEVEL(store)(minimums, LEVEL(to_float)(both >> 4) * LEVEL(splat)(-dmin));
#pragma clang loop unroll(full)
    for (int column = 0; column < 4; column++) {
        // 16 bytes feed four runs: half column / 2, first or second 16 of each 32.
        i32x16 bytes = LEVEL(load_unsigned)(block + 16 + 16 * column);
        int run = 8 * (column / 2) + column % 2;
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++, run += 2) {
            LEVEL(put)(sink, 16 * (size_t)run, bytes >> (2 * j) & 3, scales[run], minimums[run]);
        }
    }
}

// {32 bytes third bits, 64 bytes codes as in Q2_K, 12 bytes scales, half d}: w = d (scale - 32) (q - 4).
// Scale i (6 bits): low four in nibble i / 8 of byte i % 8, high two in bits 2 (i / 4) of byte 8 + i % 4.
CRUMB_INLINE void LEVEL(q3_k_block)(const uint8_t *block, LEVEL(sink) * sink) {
    const uint8_t *scales = block + 96;
    float d = LEVEL(half_at)(block + 108);
#pragma clang loop unroll(full)
    for (int column = 0; column < 4; column++) {
        i32x16 bytes = LEVEL(load_unsigned)(block + 32 + 16 * column);
        i32x16 thirds = LEVEL(load_unsigned)(block + 16 * (column % 2)) >> (4 * (column / 2));
        int run = 8 * (column / 2) + column % 2;
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++, run += 2) {
            int low = (scales[run % 8] >> (4 * (run / 8))) & 15, high = (scales[8 + run % 4] >> (2 * (run / 4))) & 3;
            i32x16 code = (bytes >> (2 * j) & 3) + ((thirds >> j & 1) << 2) - 4;
            LEVEL(put)(sink, 16 * (size_t)run, code, d * (float)((low | high << 4) - 32), 0);
        }
    }
}

// Scale and minimum i of the 8 of Q4_K and Q5_K, 6 bits each, in 12 bytes.
CRUMB_INLINE void LEVEL(k_scale)(const uint8_t *bytes, int i, float *scale, float *minimum) {
    if (i < 4) {
        *scale = (float)(bytes[i] & 63);
        *minimum = (float)(bytes[i + 4] & 63);
    } else {
        *scale = (float)((bytes[i + 4] & 15) | (bytes[i - 4] >> 6) << 4);
        *minimum = (float)((bytes[i + 4] >> 4) | (bytes[i] >> 6) << 4);
    }
}

// Q4_K {half d, half dmin, 12 bytes scales, 128 bytes codes}, Q5_K with 32 bytes of fifth bits before the codes.
// Run i (32 weights): nibble i % 2 of code bytes 32 (i / 2) ..., fifth bit i. w = d scale q - dmin minimum.
CRUMB_INLINE void LEVEL(q45_k_block)(const uint8_t *block, LEVEL(sink) * sink, bool has_fifth_bit) {
    float d = LEVEL(half_at)(block), dmin = LEVEL(half_at)(block + 2);
    const uint8_t *codes = block + 16 + (has_fifth_bit ? 32 : 0);
    float scales[8], minimums[8];
    for (int run = 0; run < 8; run++) {
        LEVEL(k_scale)(block + 4, run, &scales[run], &minimums[run]);
        scales[run] *= d;
        minimums[run] *= -dmin;
    }
#pragma clang loop unroll(full)
    for (int column = 0; column < 8; column++) {
        // 16 bytes feed half of two runs, the even one from the low and the odd one from the high nibbles.
        i32x16 bytes = LEVEL(load_unsigned)(codes + 16 * column);
        int run = column / 2 * 2;
        i32x16 even = bytes & 15, odd = bytes >> 4;
        if (has_fifth_bit) {
            i32x16 fifths = LEVEL(load_unsigned)(block + 16 + 16 * (column % 2)) >> run;
            even |= (fifths & 1) << 4;
            odd |= (fifths & 2) << 3;
        }
        size_t at = 32 * (size_t)run + 16 * (size_t)(column % 2);
        LEVEL(put)(sink, at, even, scales[run], minimums[run]);
        LEVEL(put)(sink, at + 32, odd, scales[run + 1], minimums[run + 1]);
    }
}

// {128 bytes low nibbles, 64 bytes high pairs, 16 int8 scales, half d}: w = d scale (q - 32). Half h (128 weights):
// run j (32 weights): nibble j / 2 of bytes 64 h + 32 (j % 2) ..., bits 2j of pairs 32 h ...
CRUMB_INLINE void LEVEL(q6_k_block)(const uint8_t *block, LEVEL(sink) * sink) {
    const int8_t *scales = (const int8_t *)(block + 192);
    float d = LEVEL(half_at)(block + 208);
#pragma clang loop unroll(full)
    for (int column = 0; column < 4; column++) {
        // 16 bytes of pairs feed half of four runs: half column / 2, first or second 16 of each 32.
        int half = column / 2, part = column % 2;
        i32x16 pairs = LEVEL(load_unsigned)(block + 128 + 16 * column);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
            i32x16 low = LEVEL(load_unsigned)(block + 64 * half + 32 * (j % 2) + 16 * part) >> (4 * (j / 2)) & 15;
            int run = 8 * half + 2 * j + part;
            LEVEL(put)(sink, 16 * (size_t)run, (low | (pairs >> (2 * j) & 3) << 4) - 32, d * (float)scales[run], 0);
        }
    }
}

CRUMB_INLINE void LEVEL(block)(const crumb_type type, const uint8_t *block, LEVEL(sink) * sink) {
    switch (type) {
    case CRUMB_Q4_0: LEVEL(legacy_block)(block, sink, false, false, 8); return;
    case CRUMB_Q4_1: LEVEL(legacy_block)(block, sink, true, false, 0); return;
    case CRUMB_Q5_0: LEVEL(legacy_block)(block, sink, false, true, 16); return;
    case CRUMB_Q5_1: LEVEL(legacy_block)(block, sink, true, true, 0); return;
    case CRUMB_Q8_0: LEVEL(q8_0_block)(block, sink); return;
    case CRUMB_Q2_K: LEVEL(q2_k_block)(block, sink); return;
    case CRUMB_Q3_K: LEVEL(q3_k_block)(block, sink); return;
    case CRUMB_Q4_K: LEVEL(q45_k_block)(block, sink, false); return;
    case CRUMB_Q5_K: LEVEL(q45_k_block)(block, sink, true); return;
    case CRUMB_Q6_K: LEVEL(q6_k_block)(block, sink); return;
    default: return;
    }
}

// Runs `each(type)` with the block type as a constant.
#define FOR_BLOCK_TYPE(type, each) \
    switch (type) { \
    case CRUMB_Q4_0: each(CRUMB_Q4_0); break; \
    case CRUMB_Q4_1: each(CRUMB_Q4_1); break; \
    case CRUMB_Q5_0: each(CRUMB_Q5_0); break; \
    case CRUMB_Q5_1: each(CRUMB_Q5_1); break; \
    case CRUMB_Q8_0: each(CRUMB_Q8_0); break; \
    case CRUMB_Q2_K: each(CRUMB_Q2_K); break; \
    case CRUMB_Q3_K: each(CRUMB_Q3_K); break; \
    case CRUMB_Q4_K: each(CRUMB_Q4_K); break; \
    case CRUMB_Q5_K: each(CRUMB_Q5_K); break; \
    case CRUMB_Q6_K: each(CRUMB_Q6_K); break; \
    default: break; \
    }
