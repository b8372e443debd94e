/// Why a tokenizer cannot be read: one sentence that names the file, the place and the way out.
package struct TokenizerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was read, usually a file name.
    package let source: String
    /// What was wrong and what would be right, without a full stop.
    package let reason: String

    package init(source: String, reason: String) {
        self.source = source
        self.reason = reason
    }

    /// The whole sentence.
    package var description: String { "\(source): \(reason)." }
}

/// A text from a file, shortened for an error message.
func quoted(_ text: String) -> String {
    let head = text.unicodeScalars.prefix(48)
    let clean = head.map { $0.value < 0x20 || $0.value == 0x7F ? "\\u{\(String($0.value, radix: 16))}" : String($0) }
    return "\"\(clean.joined())\(head.endIndex == text.unicodeScalars.endIndex ? "" : "...")\""
}
