"""Writes Tests/Vectors/logits: tiny random models and their logits from Hugging Face transformers in fp32.

Each folder is a checkpoint (config.json, model.safetensors with fp16 weights) beside tokens.json (token ids) and
logits.f32 (tokens x vocabulary, little-endian). Needs torch and transformers:

    python3 Scripts/vectors/logits.py
"""

import json
import pathlib
import shutil

import numpy
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Vectors/logits"
TOKENS = 23

COMMON = dict(num_hidden_layers=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2)

MODELS = {
    "llama-mha": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=32, intermediate_size=48, num_attention_heads=4, vocab_size=61)),
    "llama-gqa-tied": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=32, intermediate_size=56, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        vocab_size=71, tie_word_embeddings=True)),
    "llama3-rope": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=32, intermediate_size=40, num_attention_heads=8, num_key_value_heads=2, head_dim=8,
        vocab_size=64, attention_bias=True, rms_norm_eps=1e-5,
        rope_parameters=dict(
            rope_type="llama3", rope_theta=1000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=32))),
    "llama-mqa-linear": (LlamaForCausalLM, LlamaConfig(
        **(COMMON | dict(num_hidden_layers=1)), hidden_size=72, intermediate_size=36, num_attention_heads=6,
        num_key_value_heads=1, vocab_size=53, mlp_bias=True,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0))),
    "mistral-window": (MistralForCausalLM, MistralConfig(
        **COMMON, hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=1, vocab_size=67,
        head_dim=20, sliding_window=6)),
    "qwen2-gqa-tied": (Qwen2ForCausalLM, Qwen2Config(
        **COMMON, hidden_size=40, intermediate_size=52, num_attention_heads=4, num_key_value_heads=2, vocab_size=59,
        tie_word_embeddings=True)),
    "qwen2-mqa-window": (Qwen2ForCausalLM, Qwen2Config(
        **COMMON, hidden_size=36, intermediate_size=44, num_attention_heads=3, num_key_value_heads=1, vocab_size=65,
        use_sliding_window=True, sliding_window=7, max_window_layers=1)),
}


def randomize(model):
    """Weights large enough for attention and activations to matter; the usual 0.02 would leave both nearly linear."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            parameter.data = 1 + 0.2 * noise
        elif name.endswith("bias"):
            parameter.data = 0.5 * noise
        elif "embed" in name:
            parameter.data = noise
        else:
            parameter.data = noise * (1.5 / parameter.shape[1] ** 0.5)


for name, (family, config) in MODELS.items():
    folder = OUTPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    model = family._from_config(config, attn_implementation="eager")
    randomize(model)
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = family.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = torch.randint(0, config.vocab_size, (1, TOKENS), generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        logits = model(tokens).logits[0].numpy().astype("<f4")
    (folder / "tokens.json").write_text(json.dumps(tokens[0].tolist()) + "\n")
    logits.tofile(folder / "logits.f32")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {size} bytes, logits from {numpy.min(logits):.2f} to {numpy.max(logits):.2f}")
