// Decode attention: scores of one query and the weighted sum of values, over a half precision cache.
#include "lanes.h"

#define CRUMB_BODY "attention_body.h"
#include "each_level.h"

void crumb_attention_scores(const float *q, const uint16_t *keys, size_t stride, size_t count, size_t d, float *out) {
    CRUMB_PICK(scores)(q, keys, stride, count, d, out);
}

void crumb_attention_values(
    const float *weights, const uint16_t *values, size_t stride, size_t count, size_t d, float *out) {
    CRUMB_PICK(values)(weights, values, stride, count, d, out);
}
