// The level in use: found once, lowered on request.
#include "levels.h"

_Atomic(int) crumb_level_in_use = -1;

crumb_level crumb_simd_best_level(void) {
#if CRUMB_X86
    // The compiler's run-time check also asks the operating system whether it saves the wide registers.
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vnni");
    if (avx2 && avx512) return CRUMB_AVX512;
    if (avx2) return CRUMB_AVX2;
#endif
    return CRUMB_PORTABLE;
}

crumb_level crumb_simd_level(void) {
    int level = atomic_load_explicit(&crumb_level_in_use, memory_order_relaxed);
    if (__builtin_expect(level < 0, 0)) {
        level = (int)crumb_simd_best_level();
        atomic_store_explicit(&crumb_level_in_use, level, memory_order_relaxed);
    }
    return (crumb_level)level;
}

crumb_level crumb_set_simd_level(crumb_level level) {
    crumb_level best = crumb_simd_best_level();
    if (level > best) level = best;
    atomic_store_explicit(&crumb_level_in_use, (int)level, memory_order_relaxed);
    return level;
}
