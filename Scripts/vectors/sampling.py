"""What Hugging Face transformers leaves of a distribution, for Tests/Vectors/sampling/distributions.json.

usage: python3 Scripts/vectors/sampling.py   (needs the PyPI packages torch and transformers)

The processors stand in the order in which transformers' generate() applies them.
"""

import json
import pathlib

import torch
from transformers.generation import logits_process as lp

torch.manual_seed(1)
VOCABULARY = 48
logits = (torch.randn(VOCABULARY) * 3).mul(64).round().div(64)
seen = [3, 7, 11, 20, 21, 40]

options = [
    dict(temperature=1.0),
    dict(temperature=0.6),
    dict(temperature=1.7),
    dict(temperature=1.0, top_k=5),
    dict(temperature=0.8, top_k=12, top_p=0.7),
    dict(temperature=1.3, top_p=0.9),
    dict(temperature=1.0, min_p=0.1),
    dict(temperature=2.0, min_p=0.3),
    dict(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05),
    dict(temperature=1.0, repetition_penalty=1.3),
    dict(temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.1),
    dict(temperature=1.5, top_k=30, top_p=0.9, min_p=0.02, repetition_penalty=0.8),
]
cases = []
for option in options:
    scores = logits.clone()[None]
    if "repetition_penalty" in option:
        scores = lp.RepetitionPenaltyLogitsProcessor(option["repetition_penalty"])(torch.tensor([seen]), scores)
    scores = lp.TemperatureLogitsWarper(option["temperature"])(None, scores)
    if "top_k" in option:
        scores = lp.TopKLogitsWarper(option["top_k"])(None, scores)
    if "top_p" in option:
        scores = lp.TopPLogitsWarper(option["top_p"])(None, scores)
    if "min_p" in option:
        scores = lp.MinPLogitsWarper(option["min_p"])(None, scores)
    probabilities = scores[0].double().softmax(-1)
    kept = [[token, probabilities[token].item()] for token in range(VOCABULARY) if probabilities[token] > 0]
    cases.append(dict(options=option, kept=kept))

folder = pathlib.Path(__file__).resolve().parents[2] / "Tests/Vectors/sampling"
text = json.dumps(dict(logits=logits.tolist(), seen=seen, cases=cases))
(folder / "distributions.json").write_text(text + "\n")
print([len(case["kept"]) for case in cases])
