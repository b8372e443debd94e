"""Perplexity of a GGUF model on Tests/Vectors/perplexity/text.txt as llama.cpp computes it.

usage: python3 Scripts/vectors/perplexity.py MODEL.gguf   (needs the PyPI packages llama-cpp-python and numpy)

Writes Tests/Vectors/perplexity/expected.json: windows of `context` tokens without overlap, each counted from its
middle on, as llama.cpp's own perplexity tool counts them.
"""

import json
import pathlib
import sys

import llama_cpp
import numpy

CONTEXT = 256
folder = pathlib.Path(__file__).resolve().parents[2] / "Tests/Vectors/perplexity"
path = pathlib.Path(sys.argv[1])

model = llama_cpp.Llama(str(path), n_ctx=CONTEXT, n_batch=CONTEXT, logits_all=True, verbose=False)
tokens = model.tokenize((folder / "text.txt").read_bytes(), add_bos=False, special=False)
beginning = model.token_bos() if llama_cpp.llama_vocab_get_add_bos(model._model.vocab) else None

losses = []
after_windows = []
for start in range(0, len(tokens) - CONTEXT + 1, CONTEXT):
    window = tokens[start : start + CONTEXT]
    inputs = window if beginning is None else [beginning] + window[1:]
    model.reset()
    model.eval(inputs)
    for position in range(CONTEXT // 2, CONTEXT - 1):
        row = model.scores[position].astype(numpy.float64)
        largest = row.max()
        normalizer = largest + numpy.log(numpy.exp(row - largest).sum())
        losses.append(normalizer - row[window[position + 1]])
    after_windows.append(float(numpy.exp(numpy.mean(losses))))

mean = numpy.mean(losses)
error = numpy.exp(mean) * numpy.sqrt((numpy.mean(numpy.square(losses)) - mean**2) / (len(losses) - 1))
expected = {
    "model": path.name,
    "context": CONTEXT,
    "textTokens": len(tokens),
    "tokens": len(losses),
    "perplexityAfterWindows": after_windows,
    "standardError": float(error),
}
(folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
print(expected)
