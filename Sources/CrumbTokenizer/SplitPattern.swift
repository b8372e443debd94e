// The regular expressions that pre-tokenizers name. They are recognised by their exact text and run as hand-written
// scanners (WordScanner), so that time is linear whatever the text; any other expression is refused.

/// A regular expression that Crumb knows. Each of them covers every text without a gap.
enum SplitPattern: Sendable, Equatable {
    /// GPT-2, also what a `ByteLevel` pre-tokenizer runs by itself.
    case gpt2
    /// Llama 3: contractions in any case, up to three digits together.
    case llama3
    /// Qwen2: as Llama 3, digits one by one.
    case qwen2

    /// All known patterns with their text in tokenizer.json.
    static let known: [(text: String, pattern: SplitPattern)] = [
        (#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
        (
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            .llama3
        ),
        (
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            .qwen2
        ),
    ]

    /// The text in tokenizer.json.
    var text: String {
        Self.known.first { $0.pattern == self }?.text ?? ""
    }

    /// The pattern with this text, nil where it is not known.
    init?(text: String) {
        guard let match = Self.known.first(where: { Array($0.text.utf8) == Array(text.utf8) }) else { return nil }
        self = match.pattern
    }
}
