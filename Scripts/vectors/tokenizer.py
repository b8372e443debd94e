#!/usr/bin/env python3
"""Writes Tests/Vectors/tokenizer/*.json: small tokenizers, texts that are hard on them, and what Hugging Face
`tokenizers` makes of these texts.

One file for each family (its exact pipeline, with a vocabulary of 1,500 tokens trained here) and one file of random
tokenizers that mix all options.

    python3 Scripts/vectors/tokenizer.py TEXT.txt        (needs: pip install tokenizers)

TEXT.txt is any English text of about a megabyte; the validation part of WikiText-2 was used.
"""
import json
import pathlib
import random
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import tokenizer_texts

OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Vectors" / "tokenizer"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
VOCABULARY = 1500
CASES = 300


def byte_level(regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": regex}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def added(token_id, content, special=True):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special}


def template(content, token_id):
    token = {"SpecialToken": {"id": content, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", 1)))
    return {"type": "TemplateProcessing", "single": [token, first], "pair": [token, first, token, second],
            "special_tokens": {content: {"id": content, "ids": [token_id], "tokens": [content]}}}


def tokenizer_json(added_tokens, normalizer, pre_tokenizer, post_processor, decoder, vocab, merges, **model):
    fields = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
              "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    fields.update(model, vocab=vocab, merges=merges)
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
            "decoder": decoder, "model": fields}


def train(pre_tokenizer, lines, size, alphabet=()):
    """Tokens in the order of their ids, and merges."""
    empty = tokenizer_json([], None, pre_tokenizer, None, None, {}, [])
    tokenizer = Tokenizer.from_str(json.dumps(empty))
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=list(alphabet), show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [" ".join(merge) for merge in model["merges"]]


def byte_level_family(lines, pre_tokenizer, specials, first=False, inside=True, normalizer=None, post=None,
                      **model):
    tokens, merges = train(pre_tokenizer, lines, VOCABULARY, sorted(pre_tokenizers.ByteLevel.alphabet()))
    if model.get("ignore_merges"):
        # Words that no merge leads to, found only because merges are passed over.
        ready = Tokenizer.from_str(json.dumps(tokenizer_json([], None, pre_tokenizer, None, None, {}, [])))
        words = {piece for line in lines[:400] for piece, _ in ready.pre_tokenizer.pre_tokenize_str(line)}
        tokens += sorted(word for word in words if 6 < len(word) < 12 and word not in tokens)[:40]
    names = [name for name, _ in specials]
    order = names + tokens if first else tokens + names
    ids = {token: index for index, token in enumerate(order)}
    vocab = ids if inside else {token: ids[token] for token in tokens}
    return tokenizer_json([added(ids[name], name, special) for name, special in specials], normalizer, pre_tokenizer,
                          post(ids) if post else byte_level(True), byte_level(True), vocab, merges, **model)


def sentencepiece_family(lines):
    mark = "\u2581"
    metaspace = {"type": "Metaspace", "replacement": mark, "prepend_scheme": "always", "split": True}
    pieces, _ = train(metaspace, lines, VOCABULARY)
    single = [piece for piece in pieces if len(piece) == 1]
    pieces = [piece for piece in pieces if len(piece) > 1] + [mark * 2, mark * 4] + single
    order = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces
    vocab = {token: index for index, token in enumerate(order)}
    # SentencePiece's scores fall with the id; these are the merges that Hugging Face's conversion makes of them.
    merges = []
    for piece in pieces:
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        halves = [(a, b) for a, b in halves if vocab.get(a, 0) > 258 and vocab.get(b, 0) > 258]
        merges += [(-vocab[piece], a, b) for a, b in sorted(halves, key=lambda half: (vocab[half[0]], vocab[half[1]]))]
    merges.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": mark}
    back = {"type": "Replace", "pattern": {"String": mark}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return tokenizer_json(
        [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
        sequence("normalizers", {"type": "Prepend", "prepend": mark}, replace), None, template("<s>", 1),
        sequence("decoders", back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip), vocab,
        [[a, b] for _, a, b in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def families(lines):
    digits = {"type": "Digits", "individual_digits": True}
    yield "gpt2", byte_level_family(lines, byte_level(True), [("<|endoftext|>", True)])
    yield "smollm2", byte_level_family(
        lines, sequence("pretokenizers", digits, byte_level(True)),
        [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True)], first=True)
    yield "llama3", byte_level_family(
        lines, sequence("pretokenizers", split(LLAMA3), byte_level(False)),
        [("<|begin_of_text|>", True), ("<|end_of_text|>", True), ("<|eot_id|>", True)], inside=False,
        post=lambda ids: sequence("processors", byte_level(True),
                                  template("<|begin_of_text|>", ids["<|begin_of_text|>"])), ignore_merges=True)
    yield "qwen2", byte_level_family(
        lines, sequence("pretokenizers", split(QWEN2), byte_level(False)),
        [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<tool_call>", False)], inside=False,
        normalizer={"type": "NFC"})
    yield "llama2", sentencepiece_family(lines)


def results(tokenizer, text):
    """A case: fields that a reader can work out from the others are left out."""
    bare = tokenizer.encode(text, add_special_tokens=False).ids
    case = {"text": text, "ids": tokenizer.encode(text).ids}
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    if plain != bare:
        case["plain"] = plain
    decoded = tokenizer.decode(case["ids"], skip_special_tokens=False)
    clean = tokenizer.decode(case["ids"], skip_special_tokens=True)
    if decoded != text:
        case["decoded"] = decoded
    if clean != decoded:
        case["clean"] = clean
    return case, bare


def loose_ids(tokenizer, rng):
    """Ids in random order, some without a token: bytes that form no character, byte tokens alone."""
    size = max(tokenizer.get_vocab().values()) + 3
    ids = [rng.randrange(size) for _ in range(rng.randrange(1, 24))]
    return {"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (OUT / name).write_text(text + "\n", encoding="utf-8")
    print(name, len(text.encode()))


def main():
    raw = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    OUT.mkdir(parents=True, exist_ok=True)
    lines = [line for line in raw.split("\n") if line.strip()][:1500] + tokenizer_texts.SENTENCES * 8
    lines += tokenizer_texts.CODE * 4
    for name, definition in families(lines):
        tokenizer = Tokenizer.from_str(json.dumps(definition))
        rng = random.Random(name)
        specials = [token["content"] for token in definition["added_tokens"]]
        words = sorted(set(" ".join(tokenizer_texts.SENTENCES + lines[:300]).split()))
        texts = ["", "a" * 1500, " " * 700] + specials + tokenizer_texts.SENTENCES
        while len(texts) < CASES:
            text = tokenizer_texts.text(rng, words, specials)
            if len(text) <= 90:
                texts.append(text)
        cases, prefix = [], None
        for text in texts:
            case, bare = results(tokenizer, text)
            cases.append(case)
            prefix = len(case["ids"]) - len(bare)
        write(f"{name}.json", {"tokenizer": definition, "prefix": prefix, "cases": cases,
                               "loose": [loose_ids(tokenizer, rng) for _ in range(40)]})

    rng = random.Random("options")
    groups = []
    while len(groups) < 60:
        definition = tokenizer_texts.random_tokenizer(rng, (GPT2, LLAMA3, QWEN2))
        tokenizer = Tokenizer.from_str(json.dumps(definition))
        if len({token["content"] for token in definition["added_tokens"]}) != len(definition["added_tokens"]):
            continue
        try:
            cases = [results(tokenizer, tokenizer_texts.option_text(rng, definition)) for _ in range(5)]
        except BaseException as error:  # A panic of the reference: an added token inside of what another one stripped.
            if "Panic" not in type(error).__name__:
                raise
            continue
        groups.append({"tokenizer": definition, "cases": [case | {"bare": bare} for case, bare in cases],
                       "loose": [loose_ids(tokenizer, rng) for _ in range(2)]})
    write("options.json", groups)


if __name__ == "__main__":
    main()
