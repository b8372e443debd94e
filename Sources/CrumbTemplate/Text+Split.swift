extension Text {
    /// `str.split` and `str.rsplit` with a separator, which must not be empty; `limit` < 0 means no limit.
    func split(_ separator: Text, limit: Int, fromRight: Bool = false) -> [Text] {
        let limit = limit < 0 ? Int.max : limit
        var cuts: [Int]
        if fromRight {
            // Cuts are taken from the right, where overlapping candidates fall differently than from the left.
            cuts = TextSearch(separator.bytes.reversed())
                .all(in: bytes.reversed(), 0..<bytes.count, limit: limit)
                .map { bytes.count - $0 - separator.bytes.count }
            cuts.reverse()
        } else {
            cuts = TextSearch(separator.bytes).all(in: bytes, 0..<bytes.count, limit: limit)
        }
        var parts: [Text] = []
        var start = 0
        for cut in cuts {
            parts.append(Text(Array(bytes[start..<cut])))
            start = cut + separator.bytes.count
        }
        parts.append(Text(Array(bytes[start...])))
        return parts
    }

    /// `str.split()` and `str.rsplit()` on runs of whitespace; `limit` < 0 means no limit.
    func splitWhitespace(limit: Int, fromRight: Bool = false) -> [Text] {
        fromRight ? splitWhitespaceFromRight(limit: limit) : splitWhitespaceFromLeft(limit: limit)
    }

    private func splitWhitespaceFromLeft(limit: Int) -> [Text] {
        var parts: [Text] = []
        var rest = bytes[...]
        while true {
            rest = rest.dropFirst(Text.trimmedStart(rest, \.isPythonSpace))
            guard !rest.isEmpty else { return parts }
            if limit >= 0, parts.count == limit {
                parts.append(Text(Array(rest)))
                return parts
            }
            let length = Text.trimmedStart(rest) { !$0.isPythonSpace }
            parts.append(Text(Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
    }

    private func splitWhitespaceFromRight(limit: Int) -> [Text] {
        var parts: [Text] = []
        var rest = bytes[...]
        while true {
            rest = rest.prefix(Text.trimmedEnd(rest))
            guard !rest.isEmpty else { break }
            if limit >= 0, parts.count == limit {
                parts.append(Text(Array(rest)))
                break
            }
            let kept = Text.trimmedEnd(rest) { !$0.isPythonSpace }
            parts.append(Text(Array(rest.dropFirst(kept))))
            rest = rest.prefix(kept)
        }
        return parts.reversed()
    }

    /// `str.splitlines`.
    func lines(keepEnds: Bool = false) -> [Text] {
        var parts: [Text] = []
        var start = 0
        var index = 0
        while index < bytes.count {
            let (scalar, length) = Text.decode(bytes, at: index)
            guard scalar.isLineBreak else {
                index += length
                continue
            }
            var next = index + length
            if scalar == "\r", next < bytes.count, bytes[next] == UInt8(ascii: "\n") { next += 1 }
            parts.append(Text(Array(bytes[start..<(keepEnds ? next : index)])))
            start = next
            index = next
        }
        if start < bytes.count { parts.append(Text(Array(bytes[start...]))) }
        return parts
    }

    /// Occurrences of `old` replaced from the left, at most `limit` of them (< 0 means all), as `str.replace`.
    /// The caller has checked the size of the result.
    func replacing(_ old: Text, with new: Text, limit: Int) -> Text {
        var result: [UInt8] = []
        if old.isEmpty {
            var remaining = limit < 0 ? Int.max : limit
            for byte in bytes {
                if byte & 0xC0 != 0x80, remaining > 0 {
                    result += new.bytes
                    remaining -= 1
                }
                result.append(byte)
            }
            if remaining > 0 { result += new.bytes }
            return Text(result)
        }
        var start = 0
        for cut in TextSearch(old.bytes).all(in: bytes, 0..<bytes.count, limit: limit < 0 ? .max : limit) {
            result += bytes[start..<cut]
            result += new.bytes
            start = cut + old.bytes.count
        }
        result += bytes[start...]
        return Text(result)
    }

    /// How often `needle` occurs without overlap in the bytes `range`, as `str.count`.
    func occurrences(of needle: Text, in range: Range<Int>) -> Int {
        needle.isEmpty
            ? bytes[range].reduce(1) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
            : TextSearch(needle.bytes).all(in: bytes, range).count
    }
}
