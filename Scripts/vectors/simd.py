"""Remakes Tests/Vectors/simd/blocks.bin: random GGUF blocks and their values by the Python package gguf.

For each type, in the order of `TYPES`: BLOCKS blocks as stored, then their weights as little-endian fp32.
Usage: python3 Scripts/vectors/simd.py  (needs numpy and gguf)
"""

import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

TYPES = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]
# Byte offsets of the half precision fields, which random bytes must not make infinite.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}
BLOCKS = 3

random = np.random.default_rng(7)
out = bytearray()
for kind in TYPES:
    size = GGML_QUANT_SIZES[kind][1]
    blocks = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for offset in HALVES[kind]:
        blocks[:, offset : offset + 2] = random.normal(size=(BLOCKS, 1)).astype("<f2").view(np.uint8)
    out += blocks.tobytes() + dequantize(blocks.reshape(1, -1), kind).astype("<f4").tobytes()
path = pathlib.Path(__file__).resolve().parents[2] / "Tests/Vectors/simd/blocks.bin"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_bytes(out)
