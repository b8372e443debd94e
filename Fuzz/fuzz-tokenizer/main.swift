// Texts through small tokenizers of every family, and tokenizers that are the input themselves. The first byte chooses:
// 0-3 a byte-level family, 4 SentencePiece, everything else a tokenizer.json up to a zero byte and a text behind it.

import CrumbJSON
import CrumbTokenizer
import FuzzSupport

/// Ids of a text, with what must hold for every tokenizer.
private func check(_ tokenizer: Tokenizer, _ text: String, isLossless: Bool) {
    for parsesSpecials in [true, false] {
        let ids = tokenizer.encode(text, addSpecialTokens: false, parseSpecialTokens: parsesSpecials)
        Fuzzer.require(ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize }, "an id outside the vocabulary")
        let whole = tokenizer.decode(ids, skipSpecialTokens: false)
        Fuzzer.require(!isLossless || sameBytes(whole, text), "byte-level text changed on its way")
        var decoder = tokenizer.streamingDecoder(skipSpecialTokens: false)
        var streamed = ""
        for id in ids { streamed += decoder.append(id) }
        streamed += decoder.finish()
        Fuzzer.require(sameBytes(streamed, whole), "the streamed text is not the decoded one")
    }
    _ = tokenizer.decode(tokenizer.encode(text, addSpecialTokens: true), skipSpecialTokens: true)
}

private let texts = [
    "The quick\n\n  brown fox's 12345 \u{e9}e\u{301} \u{4f60}\u{1f469}\u{200d}\u{1f680}", "<|im_start|>x<|im_end|> ",
    "\t\r\n 's'RE",
]
private let seeds: [[UInt8]] =
    texts.flatMap { text in (UInt8(0)...4).map { [$0] + Array(text.utf8) } }
    + SmallTokenizers.seedJSON().map { [5] + Array($0.utf8) + [0] + Array(" ab a<|x|>b".utf8) }

Fuzzer.run(seeds: seeds) { start, count in
    guard count > 0 else { return 0 }
    let input = Fuzzer.bytes(start, count)
    if input[0] < 5 {
        let text = String(decoding: input[1...], as: UTF8.self)
        let isByteLevel = input[0] < 4
        // Qwen2 composes characters first.
        let isLossless = isByteLevel && input[0] != 3
        check(
            isByteLevel ? SmallTokenizers.byteLevel[Int(input[0])] : SmallTokenizers.sentencePiece, text,
            isLossless: isLossless)
        return 0
    }
    let parts = input[1...].split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    let limits = JSONLimits(maxDepth: 40, maxBytes: 1 << 16, maxValues: 2000)
    guard let json = try? JSON.parse(Array(parts[0]), source: "fuzz", limits: limits),
        let tokenizer = try? Tokenizer(json: json, vocabularyLimit: 100_000)
    else { return 0 }
    check(tokenizer, parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : "a b", isLossless: false)
    return 0
}
