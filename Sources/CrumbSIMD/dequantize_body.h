// Rows of every stored type to fp32.
#include "blocks_body.h"

CRUMB_INLINE void LEVEL(dequantize_blocks)(const crumb_type type, const uint8_t *block, float *out, size_t count) {
    size_t weights = crumb_weights_of(type), bytes = crumb_bytes_of(type);
    for (size_t done = 0; done < count; done += weights, block += bytes) {
        LEVEL(sink) sink = {.out = out + done};
        LEVEL(block)(type, block, &sink);
    }
}

static void LEVEL(dequantize_row)(crumb_type type, const void *source, float *out, size_t count) {
    size_t i = 0;
    switch (type) {
    case CRUMB_F32: memcpy(out, source, 4 * count); return;
    case CRUMB_F16:
        for (; i + 16 <= count; i += 16) LEVEL(store)(out + i, LEVEL(load_as)(CRUMB_F16, source, i));
        for (; i < count; i++) out[i] = LEVEL(element_as)(CRUMB_F16, source, i);
        return;
    case CRUMB_BF16:
        for (; i + 16 <= count; i += 16) LEVEL(store)(out + i, LEVEL(load_as)(CRUMB_BF16, source, i));
        for (; i < count; i++) out[i] = LEVEL(element_as)(CRUMB_BF16, source, i);
        return;
    default: break;
    }
#define EACH_TYPE(constant) LEVEL(dequantize_blocks)(constant, source, out, count)
    FOR_BLOCK_TYPE(type, EACH_TYPE)
#undef EACH_TYPE
}

#undef FOR_BLOCK_TYPE
