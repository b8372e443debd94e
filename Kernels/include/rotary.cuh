// The rotary position embedding: feature i of a head turns together with feature i + D / 2.
#pragma once

#include "device.cuh"

// Cosine and sine of position x frequency, the product rounded to fp32 as the CPU does.
//
// The angle is reduced in fp64, whose error stays below 1e-9 for positions up to 2^26, so no slow path for large angles
// (and no stack for it) is needed; D / 2 angles a block make the fp64 rate irrelevant. Polynomials: the minimax ones of
// S. Moshier's Cephes library for |r| <= pi / 4, error below 1 ulp.
CRUMB_INLINE void rotation(int position, float frequency, float &cosine, float &sine) {
    float angle = __fmul_rn(static_cast<float>(position), frequency);
    double turns = rint(static_cast<double>(angle) * 0.63661977236758134);
    float r = static_cast<float>(fma(-turns, 1.5707963267948966, static_cast<double>(angle)));
    int quarter = static_cast<int>(static_cast<long long>(turns) & 3);
    float z = r * r;
    float s = fmaf(fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f), z * r, r);
    float c = fmaf(
        fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f), z * z,
        fmaf(-0.5f, z, 1.0f));
    float x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
    cosine = quarter == 1 || quarter == 2 ? -x : x;
    sine = quarter >= 2 ? -y : y;
}
