// How one kernel is written once and compiled for every level, and how the level in use is picked.
//
// A subject X has a public face X.c and, where plain vector code is good enough, a body X_body.h that each_level.h
// includes once per level; LEVEL(name) is then name_portable, name_avx2, name_avx512. Where an instruction set is worth
// its own code, the body is X_avx2.h or X_avx512.h.
#ifndef CRUMB_LEVELS_H
#define CRUMB_LEVELS_H

#include <stdatomic.h>
#include <string.h>

#include "crumb_simd.h"

#if defined(__x86_64__)
#define CRUMB_X86 1
#include <immintrin.h>
#else
#define CRUMB_X86 0
#endif

// Functions with 16-lane arguments are always inlined, so no calling convention is at stake.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpsabi"
#endif

#define CRUMB_INLINE static inline __attribute__((always_inline, unused))

extern _Atomic(int) crumb_level_in_use;

#if CRUMB_X86
#define CRUMB_PICK(name) \
    (crumb_simd_level() == CRUMB_AVX512     ? name##_avx512 \
         : crumb_simd_level() == CRUMB_AVX2 ? name##_avx2 \
                                            : name##_portable)
#else
#define CRUMB_PICK(name) name##_portable
#endif

CRUMB_INLINE size_t crumb_min(size_t a, size_t b) { return a < b ? a : b; }
CRUMB_INLINE size_t crumb_round_up(size_t a, size_t unit) { return (a + unit - 1) / unit * unit; }

// Unaligned little-endian reads.
CRUMB_INLINE uint16_t crumb_read16(const void *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
CRUMB_INLINE uint32_t crumb_read32(const void *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

#endif
