import CrumbJSON
import CrumbTokenizer

/// Tokenizers of every family with a vocabulary of some 270 tokens, so that a run spends its time on texts.
enum SmallTokenizers {
    static let byteLevel: [Tokenizer] = ["gpt-2", "smollm", "llama-bpe", "qwen2"].map { family in
        var tokens = alphabet + ["\u{120}t", "th", "\u{120}th", "in", "1\u{120}", "\u{c3}\u{a9}"]
        let merges = ["\u{120} t", "t h", "\u{120}t h", "i n", "1 \u{120}", "\u{c3} \u{a9}"]
        tokens += ["<|im_start|>", "<|im_end|>"]
        var arrays = GGUFVocabularyArrays(model: "gpt2", tokens: tokens)
        arrays.preTokenizer = family
        arrays.merges = merges
        arrays.tokenTypes = tokens.map { $0.hasPrefix("<|") ? 3 : 1 }
        arrays.bosID = tokens.count - 2
        arrays.eosID = tokens.count - 1
        return make(arrays)
    }

    static let sentencePiece: Tokenizer = {
        let bytes = (0..<256).map { "<0x" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) + ">" }
        let pieces = ["\u{2581}", "t", "h", "e", "\u{2581}t", "th", "\u{2581}th", "the", "\u{e9}", "\u{2581}\u{2581}"]
        var arrays = GGUFVocabularyArrays(model: "llama", tokens: ["<unk>", "<s>", "</s>"] + bytes + pieces)
        arrays.tokenTypes = [2, 3, 3] + bytes.map { _ in 6 } + pieces.map { _ in 1 }
        arrays.scores = [0, 0, 0] + bytes.map { _ in 0 } + pieces.indices.map { -Float($0) }
        arrays.bosID = 1
        arrays.eosID = 2
        arrays.unknownID = 0
        return make(arrays)
    }()

    private static func make(_ arrays: GGUFVocabularyArrays) -> Tokenizer {
        do {
            let files = try TokenizerJSON.synthesize(arrays)
            return try Tokenizer(json: files.tokenizer, configuration: files.configuration)
        } catch { fatalError("\(error)") }
    }

    /// GPT-2's character for each byte: printable Latin-1 stands for itself, the others for U+0100 and on.
    private static let alphabet: [String] = {
        var next: UInt32 = 0x100
        return (UInt32(0)..<256).map { byte in
            if (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174 {
                return UnicodeScalar(byte).map { String($0) } ?? ""
            }
            defer { next += 1 }
            return UnicodeScalar(next).map { String($0) } ?? ""
        }
    }()

    /// A tokenizer.json of each family, for seeds.
    static func seedJSON() -> [String] {
        var arrays = GGUFVocabularyArrays(
            model: "llama", tokens: ["<unk>", "<s>", "</s>", "\u{2581}", "a", "\u{2581}a"])
        arrays.scores = [0, 0, 0, -1, -2, -3]
        arrays.tokenTypes = [2, 3, 3, 1, 1, 1]
        arrays.bosID = 1
        var small = GGUFVocabularyArrays(model: "gpt2", tokens: ["a", "b", "ab", "\u{120}", "<|x|>"])
        small.merges = ["a b"]
        small.tokenTypes = [1, 1, 1, 1, 4]
        var texts: [String] = []
        for family in ["gpt-2", "llama-bpe", "qwen2", "smollm"] {
            small.preTokenizer = family
            if let files = try? TokenizerJSON.synthesize(small) { texts.append(JSON.serialize(files.tokenizer)) }
        }
        if let files = try? TokenizerJSON.synthesize(arrays) { texts.append(JSON.serialize(files.tokenizer)) }
        return texts
    }
}
