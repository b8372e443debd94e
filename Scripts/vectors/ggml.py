"""Makes Tests/Vectors/ggml: random blocks of every storage type and the fp32 weights that the PyPI package `gguf`
dequantizes them to.

    pip install gguf numpy && python3 Scripts/vectors/ggml.py

For each type NAME it writes NAME.blocks (raw bytes) and NAME.f32 (little-endian singles).
"""

from pathlib import Path

import gguf
import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "Tests" / "Vectors" / "ggml"

# Byte offsets of the half-precision numbers of a block; random bytes there would often be NaN or infinite.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}


def halves(rng, count):
    values = rng.normal(0, 0.05, count).astype(np.float16)
    values[: min(3, count)] = [np.float16(6e-8), np.float16(-3e-6), np.float16(0)][: min(3, count)]
    return values


def main():
    rng = np.random.default_rng(20240229)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, offsets in HALVES.items():
        kind = gguf.GGMLQuantizationType[name]
        weights, size = gguf.GGML_QUANT_SIZES[kind]
        count = 512 // weights * 4
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for offset in offsets:
            blocks[:, offset : offset + 2] = halves(rng, count).view(np.uint8).reshape(count, 2)
        save(name, blocks.tobytes(), gguf.quants.dequantize(blocks, kind))

    # Every half and a spread of bfloat16 patterns but NaN, whose payload nobody promises to keep.
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    half = half[~np.isnan(half)][::17]
    save("F16", half.tobytes(), half.astype(np.float32))
    bits = np.arange(0, 1 << 16, 31, dtype=np.uint32)
    values = (bits << 16).view(np.float32)
    keep = ~np.isnan(values)
    save("BF16", bits[keep].astype(np.uint16).tobytes(), values[keep])


def save(name, blocks, weights):
    (FOLDER / f"{name}.blocks").write_bytes(blocks)
    (FOLDER / f"{name}.f32").write_bytes(np.ascontiguousarray(weights, dtype="<f4").tobytes())


main()
