// The end of a decode step: a chosen token becomes the next step's input, and the host reads it behind.
#pragma once

#include "device.cuh"

// Orders logits like numbers (-0 is 0) and, among equals, lower ids first; what is NaN or infinite comes above all.
CRUMB_INLINE uint32_t ordered_key(float logit) {
    uint32_t bits = __float_as_uint(logit + 0.0f);
    if ((bits & 0x7F800000u) == 0x7F800000u) return ~0u;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

CRUMB_INLINE uint64_t ranked(float logit, uint32_t token) {
    return static_cast<uint64_t>(ordered_key(logit)) << 32 | (~0u - token);
}

CRUMB_INLINE int ranked_token(uint64_t rank) {
    return rank >> 32 == ~0u ? CRUMB_TOKEN_BROKEN : static_cast<int>(~0u - static_cast<uint32_t>(rank));
}

// Called by one thread for row m. A broken row goes on with token 0; the host sees the mark in the ring and stops.
CRUMB_INLINE void publish_choice(const crumb_choice &choice, uint32_t m, int token) {
    if (choice.positions[m] < 0) return;
    uint32_t step = choice.steps[m] + 1;
    choice.steps[m] = step;
    choice.positions[m] += 1;
    choice.tokens[m] = token < 0 ? 0 : token;
    if (!choice.ring) return;
    uint64_t entry = static_cast<uint64_t>(step) << 32 | static_cast<uint32_t>(token);
    uint64_t *place = choice.ring + static_cast<size_t>((step - 1) % choice.ring_steps) * choice.tokens_count + m;
    // One store of 8 bytes: the host sees all of an entry or nothing.
    *const_cast<volatile uint64_t *>(place) = entry;
}
