"""Texts and tokenizers that are hard on tokenizers, for tokenizer.py. Everything is drawn from the `rng` given."""

SENTENCES = [
    "All human beings are born free and equal in dignity and rights.",
    "Alle Menschen sind frei und gleich an W\u00fcrde und Rechten geboren. Gr\u00f6\u00dfe, Stra\u00dfe!",
    "Tous les \u00eatres humains naissent libres et \u00e9gaux; l'\u00e9t\u00e9, \u00e7a va? No\u00ebl.",
    "Todos los seres humanos nacen libres e iguales. \u00bfQu\u00e9 a\u00f1o es? \u00a1Ma\u00f1ana!",
    "\u0412\u0441\u0435 \u043b\u044e\u0434\u0438 \u0440\u043e\u0436\u0434\u0430\u044e\u0442\u0441\u044f \u0441\u0432\u043e\u0431\u043e\u0434\u043d\u044b\u043c\u0438 \u0438 \u0440\u0430\u0432\u043d\u044b\u043c\u0438.",
    "\u038c\u03bb\u03bf\u03b9 \u03bf\u03b9 \u03ac\u03bd\u03b8\u03c1\u03c9\u03c0\u03bf\u03b9 \u03b3\u03b5\u03bd\u03bd\u03b9\u03bf\u03cd\u03bd\u03c4\u03b1\u03b9 \u03b5\u03bb\u03b5\u03cd\u03b8\u03b5\u03c1\u03bf\u03b9.",
    "\u4eba\u4eba\u751f\u800c\u81ea\u7531,\u5728\u5c0a\u4e25\u548c\u6743\u5229\u4e0a\u4e00\u5f8b\u5e73\u7b49\u3002",
    "\u3059\u3079\u3066\u306e\u4eba\u9593\u306f\u3001\u751f\u307e\u308c\u306a\u304c\u3089\u306b\u3057\u3066\u81ea\u7531\u3067\u3042\u308b\u3002\u30ac\u30ae",
    "\ubaa8\ub4e0 \uc778\uac04\uc740 \ud0dc\uc5b4\ub0a0 \ub54c\ubd80\ud130 \uc790\uc720\ub85c\uc6b0\uba70 \ud3c9\ub4f1\ud558\ub2e4.",
    "\u064a\u0648\u0644\u062f \u062c\u0645\u064a\u0639 \u0627\u0644\u0646\u0627\u0633 \u0623\u062d\u0631\u0627\u0631\u064b\u0627 \u0645\u062a\u0633\u0627\u0648\u064a\u0646.",
    "\u05db\u05dc \u05d1\u05e0\u05d9 \u05d4\u05d0\u05d3\u05dd \u05e0\u05d5\u05dc\u05d3\u05d5 \u05d1\u05e0\u05d9 \u05d7\u05d5\u05e8\u05d9\u05df.",
    "\u0938\u092d\u0940 \u092e\u0928\u0941\u0937\u094d\u092f\u094b\u0902 \u0915\u094b \u0938\u094d\u0935\u0924\u0928\u094d\u0924\u094d\u0930\u0924\u093e \u092a\u094d\u0930\u093e\u092a\u094d\u0924 \u0939\u0948\u0964",
    "\u0e21\u0e19\u0e38\u0e29\u0e22\u0e4c\u0e17\u0e31\u0e49\u0e07\u0e2b\u0e25\u0e32\u0e22\u0e40\u0e01\u0e34\u0e14\u0e21\u0e32\u0e21\u0e35\u0e2d\u0e34\u0e2a\u0e23\u0e30",
    "T\u1ea5t c\u1ea3 m\u1ecdi ng\u01b0\u1eddi sinh ra \u0111\u1ec1u \u0111\u01b0\u1ee3c t\u1ef1 do.",
    "B\u00fct\u00fcn insanlar h\u00fcr do\u011far; \u0130stanbul'da \u0131\u015f\u0131k.",
]

SCRIPTS = [(0x20, 0x7F), (0xA0, 0x180), (0x180, 0x250), (0x250, 0x370), (0x370, 0x400), (0x400, 0x530), (0x530, 0x590),
           (0x590, 0x600), (0x600, 0x700), (0x700, 0x900), (0x900, 0x980), (0x980, 0xE00), (0xE00, 0xE80),
           (0xE80, 0x1000), (0x1000, 0x10A0), (0x10A0, 0x1100), (0x1100, 0x1200), (0x1200, 0x1400), (0x1400, 0x1780),
           (0x1780, 0x1800), (0x1800, 0x1E00), (0x1E00, 0x1F00), (0x1F00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2150),
           (0x2150, 0x2400), (0x2400, 0x2E80), (0x2E80, 0x3000), (0x3000, 0x3100), (0x3100, 0x3400), (0x3400, 0x4E00),
           (0x4E00, 0xA000), (0xA000, 0xAC00), (0xAC00, 0xD7A4), (0xE000, 0xE100), (0xF900, 0xFB00), (0xFB00, 0xFE00),
           (0xFE00, 0xFF00), (0xFF00, 0x10000), (0x10000, 0x10400), (0x10400, 0x11000), (0x11000, 0x12000),
           (0x12000, 0x17000), (0x1B000, 0x1B300), (0x1D000, 0x1D800), (0x1E000, 0x1F000), (0x1F000, 0x1F700),
           (0x1F700, 0x20000), (0x20000, 0x20200), (0x2F800, 0x2FA20), (0xE0000, 0xE0200), (0x10FFF0, 0x110000)]
MARKS = list(range(0x300, 0x370)) + [0x5B0, 0x5B7, 0x5BC, 0x64B, 0x651, 0x93C, 0x94D, 0x9BE, 0xBBE, 0x3099, 0x309A,
                                     0x20D0, 0x20E3, 0x1DC0, 0x8CA, 0x11938, 0x1D165, 0x1D16D, 0x345, 0x1AC1]
SPACES = [" ", " ", " ", "\n", "\n", "\t", "\r", "\r\n", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2028", "\u0085",
          "\u1680", "\x0b", "\x0c", "\x1c", "\x1f", "\u202f", "\u205f", "\ufeff"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'Re", "'rE", "'VE", "'M", "'LL", "'lL", "'D",
                "'\u017f", "'\u017fs", "\u2019s", "''s", "'", "'x", "'l", "'r", "'v", "'\u212a", "'\u00df", "' s"]
EMOJI = ["\U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F44D\U0001F3FD", "\U0001F1E9\U0001F1EA",
         "\u2764\ufe0f", "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "1\ufe0f\u20e3",
         "\u00a9", "\u2122", "\U0001F9D1\u200d\U0001F4BB"]
CODE = ["def f(x):\n    return x**2\n", "for (int i = 0; i < n; ++i) {\n\t\ta[i] += 0x1F;\n\t}\n", "SELECT * FROM t;",
        "<div class=\"a\">&nbsp;</div>", "let x: [UInt8] = []\r\n", "#include <stdio.h>\n", "x = {'a': 1, \"b\": [2.5e-3]}",
        "\\frac{a}{b}", "https://example.com/a?b=c&d=%20#e", "a_b-c.d/e\\f", "!!!???...,,,;;;", "$100.00", "1,234,567.89",
        "2024-01-31T23:59:59Z", "\x1b[31mred\x1b[0m", "```swift\nlet a = 1\n```", "==>", "-->", "/* */", "\u2581", "\u0120"]
NUMBERS = ["0", "12", "123", "1234567", "\u0663\u0664", "\u00b2\u00b3\u00b9", "\u2167", "\u00bd", "\u0967\u0968",
           "\U0001D7D8", "\uff11\uff12", "\u3007", "\u4e00", "\U00011DE0", "\U00016FF4", "\u2460"]


def scalar(rng):
    while True:
        if rng.random() < 0.15:
            c = rng.randrange(0x110000)
        else:
            low, high = rng.choice(SCRIPTS)
            c = rng.randrange(low, high)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def atom(rng, words, specials):
    """One piece of a text."""
    kind = rng.randrange(16)
    if kind <= 3:
        return rng.choice(words)
    if kind == 4:
        return " " + rng.choice(words)
    if kind == 5:
        low, high = rng.choice(SCRIPTS)
        run = [chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 8))]
        return "".join(c for c in run if not 0xD800 <= ord(c) < 0xE000)
    if kind == 6:
        return "".join(scalar(rng) for _ in range(rng.randrange(1, 5)))
    if kind == 7:
        return rng.choice("aeiouAEnocsdgKj\u0915\u304b\u1100\u1112\uac00\u03b1\u0627\u05d0 ") + "".join(
            chr(rng.choice(MARKS)) for _ in range(rng.randrange(1, 5)))
    if kind == 8:
        return "".join(rng.choice(SPACES) for _ in range(rng.randrange(1, 6)))
    if kind == 9:
        return rng.choice(" \n\t0a!-=.A\u00e9\u4e2d'\r") * rng.choice([1, 2, 3, 5, 8, 17, 40, 120])
    if kind == 10:
        return rng.choice(CONTRACTIONS)
    if kind == 11:
        return rng.choice(EMOJI)
    if kind == 12:
        return rng.choice(CODE)
    if kind == 13:
        return rng.choice(NUMBERS)
    if kind == 14:
        token = rng.choice(specials)
        return token if rng.random() < 0.7 else token[:rng.randrange(len(token)) + 1]
    return rng.choice(["\ufffd", "\x00", "\x01", "\x7f", "\ue000", "\uffff", "\U0010ffff", "\u0378", "\u00ad", "\u200d",
                       "\u1161\u11a8", "\u1100\u1161\u11a8", "\u212b", "\u0340", "\u0958", "\ufb1d", "\U0001D15E", ""])


def text(rng, words, specials):
    """A text of up to eight pieces."""
    return "".join(atom(rng, words, specials) for _ in range(rng.choice([1, 1, 2, 3, 4, 5, 8])))


def byte_alphabet():
    """The character that byte-level BPE writes for each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(rest)}


def random_model(rng, is_byte_level):
    """A tiny vocabulary with random merges; some characters, byte tokens and merges are missing on purpose."""
    alphabet = list(" \n\t'abcstr1.<>|-\u00e9\u4e2d\u2581e")
    if is_byte_level:
        names = byte_alphabet()
        alphabet = [names[byte] for byte in "".join(alphabet + ["\u017f"]).encode()]
        if rng.random() < 0.2:
            alphabet = list(names.values())
    if rng.random() < 0.25:
        alphabet = rng.sample(alphabet, len(alphabet) * 2 // 3)
    alphabet = list(dict.fromkeys(alphabet))
    tokens, pool, merges = list(alphabet), list(alphabet), []
    if rng.random() < 0.3:
        values = range(256) if rng.random() < 0.7 else rng.sample(range(256), 128)
        tokens += [f"<0x{byte:02X}>" for byte in values]
    unknown = "<unk>" if rng.random() < 0.5 else None
    if unknown:
        tokens.append(unknown)
    for _ in range(rng.randrange(60)):
        left, right = rng.choice(pool), rng.choice(pool)
        if len(left + right) > 8:
            continue
        if left + right not in tokens:
            tokens.append(left + right)
        pool.append(left + right)
        if rng.random() < 0.9 and [left, right] not in merges:
            merges.append([left, right])
    if rng.random() < 0.3:
        rng.shuffle(merges)
    if rng.random() < 0.3 and not any(" " in half for merge in merges for half in merge):
        merges = [" ".join(merge) for merge in merges]
    rng.shuffle(tokens)
    return {"type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": rng.random() < 0.5, "byte_fallback": rng.random() < 0.5,
            "ignore_merges": rng.random() < 0.25, "vocab": {token: place for place, token in enumerate(tokens)},
            "merges": merges}


def random_added_tokens(rng, vocab):
    contents = ["<s>", "</s>", "<unk>", "ab", "abc", " ", "  ", "\n", "\u00e9", "e\u0301", "a b", "tr", "<|x|>", "<|", "1",
                "\u2581", "\u212b", "ba "]
    result, free = [], len(vocab)
    for content in rng.sample(contents, rng.randrange(7)):
        place = vocab.get(content, free)
        free += place == free
        result.append({"id": place, "content": content, "single_word": rng.random() < 0.3, "lstrip": rng.random() < 0.3,
                       "rstrip": rng.random() < 0.3, "normalized": rng.random() < 0.4, "special": rng.random() < 0.5})
    return sorted(result, key=lambda token: token["id"])


def random_steps(rng, is_byte_level, is_normalized, patterns):
    """The pre-tokenizer."""
    digits = {"type": "Digits", "individual_digits": rng.random() < 0.5}
    split = {"type": "Split", "pattern": {"Regex": rng.choice(patterns)}, "behavior": "Isolated", "invert": False}
    if rng.random() < 0.3:
        split |= {"behavior": "Removed", "invert": True}
    scheme = rng.choice(["always", "never"] if is_normalized else ["always", "first", "never"])
    mark = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme}
    if rng.random() < 0.7:
        mark["split"] = rng.random() < 0.5
    if is_byte_level:
        steps = rng.choice([[], [digits], [split], [digits, split], [split, digits]])
        steps = steps + [{"type": "ByteLevel", "add_prefix_space": rng.random() < 0.4, "trim_offsets": True,
                          "use_regex": rng.random() < 0.5}]
    else:
        steps = rng.choice([[], [mark], [mark], [digits], [split], [mark, digits]])
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}


def random_decoder(rng, is_byte_level):
    def replace(pattern, content):
        return {"type": "Replace", "pattern": {"String": pattern}, "content": content}

    def sequence(*steps):
        return {"type": "Sequence", "decoders": list(steps)}

    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if is_byte_level and rng.random() < 0.7:
        return byte_level
    fallback, fuse, back = {"type": "ByteFallback"}, {"type": "Fuse"}, replace("\u2581", " ")
    strip = {"type": "Strip", "content": " ", "start": rng.randrange(3), "stop": 0}
    scheme = rng.choice(["always", "never"])
    return rng.choice([
        byte_level, None, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme},
        sequence(back, fallback, fuse, strip), sequence(back, fallback, fuse),
        sequence(replace("a", "bb"), replace("bb", "<0x41>"), fallback), sequence(fuse, strip), fallback, fuse,
        replace("ab", "x")])


def random_tokenizer(rng, patterns):
    """A tokenizer.json of what Crumb reads, put together at random."""
    def replace(pattern, content):
        return {"type": "Replace", "pattern": {"String": pattern}, "content": content}

    is_byte_level = rng.random() < 0.5
    model = random_model(rng, is_byte_level)
    added = random_added_tokens(rng, model["vocab"])
    prepend = {"type": "Prepend", "prepend": "\u2581"}
    normalizer = rng.choice([
        None, None, {"type": "NFC"}, {"type": "Sequence", "normalizers": [prepend, replace(" ", "\u2581")]},
        replace(" ", "\u2581"), {"type": "Prepend", "prepend": "ab"}, replace("aa", "b"),
        {"type": "Sequence", "normalizers": [{"type": "NFC"}, replace("a", "")]}])
    size = 1 + max([*model["vocab"].values(), *(token["id"] for token in added)])
    ids = {"X": [rng.randrange(size)], "Y": [rng.randrange(size), rng.randrange(size)]}
    x, y = ({"SpecialToken": {"id": name, "type_id": 0}} for name in "XY")
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    template = {"type": "TemplateProcessing", "single": rng.choice([[x, first], [x, first, y], [first, y], [first]]),
                "pair": [first, second],
                "special_tokens": {name: {"id": name, "ids": ids[name], "tokens": [name] * len(ids[name])} for name in ids}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    post = rng.choice([None, byte_level, template, {"type": "Sequence", "processors": [byte_level, template]}])
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": random_steps(rng, is_byte_level, normalizer is not None, patterns), "post_processor": post,
            "decoder": random_decoder(rng, is_byte_level), "model": model}


def option_text(rng, definition):
    """A text of the few characters that the random tokenizers know, and some that they do not."""
    pieces = list("abcstr1.<>|- \n\t'\u00e9\u00e5\u4e2d\u2581e 12 '") + SPACES[:8] + CONTRACTIONS[:6]
    pieces += ["e\u0301", "A\u030a", "<s>", "</s>", "<unk>", "ab", "abc", "a b", "<|x|>", "  ", "x", "Z", "\u0661", "\u00b2",
               "\U0001F600"]
    pieces += [token["content"] for token in definition["added_tokens"]] * 3
    return "".join(rng.choice(pieces) for _ in range(rng.randrange(25)))
