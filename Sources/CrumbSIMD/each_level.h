// Includes CRUMB_BODY once for every level (no include guard: each subject includes this once).
// LANES is the number of floats in one register of the level.

#define LEVEL(name) name##_portable
#define LANES 4
#define HAS_F16C 0
#include "lanes_body.h"
#include CRUMB_BODY
#undef LEVEL
#undef LANES
#undef HAS_F16C

#if CRUMB_X86
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define LEVEL(name) name##_avx2
#define LANES 8
#define HAS_F16C 1
#include "lanes_body.h"
#include CRUMB_BODY
#undef LEVEL
#undef LANES
#undef HAS_F16C
#pragma clang attribute pop

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#define LEVEL(name) name##_avx512
#define LANES 16
#define HAS_F16C 1
#include "lanes_body.h"
#include CRUMB_BODY
#undef LEVEL
#undef LANES
#undef HAS_F16C
#pragma clang attribute pop
#endif
