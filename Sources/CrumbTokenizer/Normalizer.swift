// What happens to a text before it is cut into words. Enters: a part of the text between added tokens; leaves: its
// normalized bytes.

/// One step of normalization.
enum NormalizerStep: Sendable {
    case nfc
    /// Puts bytes before a text that is not empty.
    case prepend([UInt8])
    /// Replaces every occurrence of `pattern`, from the left.
    case replace(pattern: [UInt8], content: [UInt8])
}

/// The steps in their order.
struct Normalizer: Sendable {
    var steps: [NormalizerStep] = []

    /// Bytes that one step may put in for each byte of the text, or before it: the limit of its output.
    static let maximalInsertion = 64

    /// The normalized text, nil where nothing changes.
    func normalize(_ text: Span<UInt8>) -> [UInt8]? {
        var current: [UInt8]?
        for step in steps {
            let next: [UInt8]?
            if let current {
                next = Self.apply(step, current.span)
            } else {
                next = Self.apply(step, text)
            }
            if let next { current = next }
        }
        return current
    }

    private static func apply(_ step: NormalizerStep, _ text: Span<UInt8>) -> [UInt8]? {
        switch step {
        case .nfc:
            return CanonicalComposition.shared.normalize(text)
        case .prepend(let head):
            if text.isEmpty { return nil }
            var bytes = head
            bytes.reserveCapacity(head.count + text.count)
            append(text, 0..<text.count, to: &bytes)
            return bytes
        case .replace(let pattern, let content):
            return replace(text, pattern, content)
        }
    }
}

/// The text with every occurrence of `pattern` replaced, from the left; nil where there is none.
func replace(_ text: Span<UInt8>, _ pattern: [UInt8], _ content: [UInt8]) -> [UInt8]? {
    guard let first = pattern.first else { return nil }
    var bytes: [UInt8] = []
    var copied = 0
    var position = 0
    while position + pattern.count <= text.count {
        guard text[position] == first, matches(text, at: position, pattern) else {
            position += 1
            continue
        }
        if copied == 0 { bytes.reserveCapacity(text.count + text.count / 4) }
        append(text, copied..<position, to: &bytes)
        bytes += content
        position += pattern.count
        copied = position
    }
    if copied == 0 { return nil }
    append(text, copied..<text.count, to: &bytes)
    return bytes
}
