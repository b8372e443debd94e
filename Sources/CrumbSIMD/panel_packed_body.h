// Panels of a packed matrix: tiles of codes to fp32 columns of 32 rows.

// Words of 4 g at one t: from vectors over i to vectors over g.
CRUMB_INLINE void LEVEL(load_words)(const uint8_t *codes, u32x4 words[4]) {
    u32x4 v[4];
    for (int g = 0; g < 4; g++) memcpy(&v[g], codes + 64 * g, sizeof v[g]);
    u32x4 a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5), b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
    u32x4 c = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7), d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    words[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    words[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    words[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    words[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

// Rows g + 8 i in order, from vectors [i] of g = 0 ... 3 and of g = 4 ... 7: first 16 rows for i = 0, 1.
CRUMB_INLINE u32x16 LEVEL(rows_in_order)(const u32x4 low[2], const u32x4 high[2]) {
    typedef uint32_t u32x8 __attribute__((vector_size(32)));
    u32x8 a = __builtin_shufflevector(low[0], high[0], 0, 1, 2, 3, 4, 5, 6, 7);
    u32x8 b = __builtin_shufflevector(low[1], high[1], 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

// The 32 / bits channels of lanes (g, t) at one t, 32 rows each. Channel c of a word lies at bits
// bits x (c / 2) + 16 x (c % 2).
CRUMB_INLINE void LEVEL(expand_words)(const uint8_t *codes, const int bits, const float *scales, float *panel) {
    const uint32_t mask = (1u << bits) - 1;
    u32x4 low[4], high[4];
    LEVEL(load_words)(codes, low);
    LEVEL(load_words)(codes + 256, high);
    u32x16 words[2] = {LEVEL(rows_in_order)(low, high), LEVEL(rows_in_order)(low + 2, high + 2)};
    f32x16 middle = LEVEL(splat)(0.5f * (float)mask);
    f32x16 first = LEVEL(load)(scales), second = LEVEL(load)(scales + 16);
#pragma clang loop unroll(full)
    for (int c = 0; c < 32 / bits; c++, panel += CRUMB_PANEL_WIDTH) {
        int shift = bits * (c / 2) + 16 * (c % 2);
        LEVEL(store)(panel, (LEVEL(to_float)((i32x16)(words[0] >> shift & mask)) - middle) * first);
        LEVEL(store)(panel + 16, (LEVEL(to_float)((i32x16)(words[1] >> shift & mask)) - middle) * second);
    }
}

// Scales of the 32 rows for one group of channels: `shift` is the group's place in the scale words.
CRUMB_INLINE void LEVEL(expand_scales)(
    const uint8_t *codes, const int bits, int shift, const float *row_scales, float *scales) {
    u32x16 words;
    for (size_t g = 0; g < 8; g++) {
        words[g] = words[g + 8] = bits == 4 ? crumb_scales4(codes, g) : crumb_scales2(codes, g) >> shift;
    }
    const u32x16 places = {0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4};
    f32x16 first = LEVEL(to_float)((i32x16)((words >> places & 15u) + CRUMB_SCALE_BIAS));
    f32x16 second = LEVEL(to_float)((i32x16)((words >> (places + 8) & 15u) + CRUMB_SCALE_BIAS));
    LEVEL(store)(scales, first * LEVEL(load)(row_scales));
    LEVEL(store)(scales + 16, second * LEVEL(load)(row_scales + 16));
}

static void LEVEL(fill_packed)(
    const crumb_packed_shape *shape, const uint8_t *record, size_t first_channel, size_t depth, float *panel) {
    const uint16_t *halves = (const uint16_t *)(const void *)(record + shape->row_scales_offset);
    float row_scales[64], scales[32];
    for (size_t row = 0; row < 64; row += 16) LEVEL(store)(row_scales + row, LEVEL(load_halves)(halves + row));

    size_t channel = first_channel, end = first_channel + depth;
    float *out = panel;
    for (; channel < end && channel < shape->four_bit_channels; channel += CRUMB_TILE4_CHANNELS) {
        size_t tile = channel / CRUMB_TILE4_CHANNELS;
        const uint8_t *codes = record + tile * CRUMB_TILE_BYTES;
        LEVEL(expand_scales)(record + shape->scales4_offset + tile * CRUMB_TILE4_SCALE_BYTES, 4, 0, row_scales, scales);
        for (size_t t = 0; t < 4; t++, out += 8 * 32) LEVEL(expand_words)(codes + 16 * t, 4, scales, out);
    }
    // Groups, not tiles: after an odd number of 4-bit tiles a panel ends within a 2-bit tile.
    for (; channel < end; channel += CRUMB_GROUP) {
        size_t group = (channel - shape->four_bit_channels) / CRUMB_GROUP, tile = group / 2, half = group % 2;
        const uint8_t *codes = record + shape->codes2_offset + tile * CRUMB_TILE_BYTES + 32 * half;
        LEVEL(expand_scales)(
            record + shape->scales2_offset + tile * CRUMB_TILE2_SCALE_BYTES, 2, half == 0 ? 0 : 16, row_scales + 32,
            scales);
        for (size_t t = 0; t < 2; t++, out += 16 * 32) LEVEL(expand_words)(codes + 16 * t, 2, scales, out);
    }

    // Outliers of the pools that the panel meets, in 2-bit channels.
    if (end <= shape->four_bit_channels || shape->outliers_per_tile == 0) return;
    size_t from = first_channel > shape->four_bit_channels ? first_channel - shape->four_bit_channels : 0;
    size_t to = end - shape->four_bit_channels;
    size_t tiles = (shape->segment_channels - shape->four_bit_channels) / CRUMB_TILE2_CHANNELS;
    for (size_t pool = from / CRUMB_OUTLIER_CHANNELS; pool * CRUMB_OUTLIER_CHANNELS < to; pool++) {
        size_t first_tile = pool * CRUMB_POOL_TILES, start = pool * CRUMB_OUTLIER_CHANNELS;
        size_t count = crumb_min(CRUMB_POOL_TILES, tiles - first_tile) * shape->outliers_per_tile;
        const uint8_t *entry =
            record + shape->outliers_offset + first_tile * shape->outliers_per_tile * sizeof(crumb_outlier);
        for (size_t e = 0; e < count; e++, entry += sizeof(crumb_outlier)) {
            uint32_t position = crumb_read16(entry);
            size_t at = start + (position >> 5);
            if (at < from || at >= to) continue;
            size_t k = shape->four_bit_channels + at - first_channel;
            panel[k * CRUMB_PANEL_WIDTH + (position & 31u)] += LEVEL(half_to_float)(crumb_read16(entry + 2));
        }
    }
}
