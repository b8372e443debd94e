// Sizes of the GGUF blocks, for code in which the type is a constant.
#ifndef CRUMB_BLOCKS_H
#define CRUMB_BLOCKS_H

#include "lanes.h"

CRUMB_INLINE size_t crumb_weights_of(crumb_type type) {
    if (type <= CRUMB_BF16) return 1;
    return type <= CRUMB_Q8_0 ? 32 : 256;
}

CRUMB_INLINE size_t crumb_bytes_of(crumb_type type) {
    switch (type) {
    case CRUMB_F32: return 4;
    case CRUMB_F16:
    case CRUMB_BF16: return 2;
    case CRUMB_Q4_0: return 18;
    case CRUMB_Q4_1: return 20;
    case CRUMB_Q5_0: return 22;
    case CRUMB_Q5_1: return 24;
    case CRUMB_Q8_0: return 34;
    case CRUMB_Q2_K: return 84;
    case CRUMB_Q3_K: return 110;
    case CRUMB_Q4_K: return 144;
    case CRUMB_Q5_K: return 176;
    case CRUMB_Q6_K: return 210;
    }
    return 0;
}

#endif
