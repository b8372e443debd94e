/// A string as templates see it: UTF-8, counted and indexed by code point, equal when the bytes are.
///
/// Swift's `String` would compare by canonical equivalence and count graphemes; Python does neither.
struct Text: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// Valid UTF-8.
    var bytes: [UInt8]

    init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    init(_ string: String) {
        bytes = Array(string.utf8)
    }

    init(_ scalar: Unicode.Scalar) {
        bytes = UTF8.encode(scalar).map(Array.init) ?? []
    }

    init(stringLiteral value: String) {
        bytes = Array(value.utf8)
    }

    static func == (left: Text, right: Text) -> Bool {
        left.bytes == right.bytes
    }

    func hash(into hasher: inout Hasher) {
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    var description: String { string }

    var string: String { String(decoding: bytes, as: UTF8.self) }

    var scalars: String.UnicodeScalarView { string.unicodeScalars }

    var isEmpty: Bool { bytes.isEmpty }

    var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }

    /// Number of code points.
    var count: Int { bytes.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }

    // MARK: Code points

    /// The code point that starts at `index` of valid UTF-8, and its length in bytes.
    static func decode<Bytes: RandomAccessCollection<UInt8>>(
        _ bytes: Bytes, at index: Bytes.Index
    ) -> (scalar: Unicode.Scalar, length: Int) {
        let lead = bytes[index]
        let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        var value = length == 1 ? UInt32(lead) : UInt32(lead) & (0x7F >> UInt32(length))
        var next = index
        for _ in 1..<length {
            bytes.formIndex(after: &next)
            guard next != bytes.endIndex else { return ("\u{FFFD}", 1) }
            value = value << 6 | UInt32(bytes[next] & 0x3F)
        }
        return (Unicode.Scalar(value) ?? "\u{FFFD}", length)
    }

    /// Byte offset of code point `index`; the end of the text if there are fewer.
    func offset(of index: Int) -> Int {
        var remaining = index
        for (offset, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 {
            if remaining == 0 { return offset }
            remaining -= 1
        }
        return bytes.count
    }

    /// Number of code points before byte `offset`.
    func index(ofOffset offset: Int) -> Int {
        bytes[..<offset].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
    }

    /// Code points `start..<stop`, which must lie inside.
    func slice(_ start: Int, _ stop: Int) -> Text {
        let from = offset(of: start)
        var end = from
        var remaining = stop - start
        while end < bytes.count {
            if bytes[end] & 0xC0 != 0x80 {
                if remaining == 0 { break }
                remaining -= 1
            }
            end += 1
        }
        return Text(Array(bytes[from..<end]))
    }

    // MARK: Ends

    /// Length of `bytes` without trailing whitespace.
    static func trimmedEnd(_ bytes: ArraySlice<UInt8>) -> Int {
        trimmedEnd(bytes) { $0.isPythonSpace }
    }

    static func trimmedEnd(_ bytes: ArraySlice<UInt8>, _ isDropped: (Unicode.Scalar) -> Bool) -> Int {
        var end = bytes.endIndex
        while end > bytes.startIndex {
            var start = end - 1
            while start > bytes.startIndex, bytes[start] & 0xC0 == 0x80 { start -= 1 }
            guard isDropped(decode(bytes, at: start).scalar) else { break }
            end = start
        }
        return end - bytes.startIndex
    }

    static func trimmedStart(_ bytes: ArraySlice<UInt8>, _ isDropped: (Unicode.Scalar) -> Bool) -> Int {
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let (scalar, length) = decode(bytes, at: start)
            guard isDropped(scalar) else { break }
            start += length
        }
        return start - bytes.startIndex
    }

    func trimmed(start: Bool = true, end: Bool = true, _ isDropped: (Unicode.Scalar) -> Bool) -> Text {
        var rest = bytes[...]
        if end { rest = rest.prefix(Text.trimmedEnd(rest, isDropped)) }
        if start { rest = rest.dropFirst(Text.trimmedStart(rest, isDropped)) }
        return rest.count == bytes.count ? self : Text(Array(rest))
    }

    func hasPrefix(_ other: Text) -> Bool { bytes.starts(with: other.bytes) }

    func hasSuffix(_ other: Text) -> Bool { bytes.suffix(other.bytes.count).elementsEqual(other.bytes) }

    // MARK: Search

    /// Byte offset of the first occurrence of `needle` inside `range`, in time linear in both.
    func find(_ needle: Text, in range: Range<Int>) -> Int? {
        TextSearch(needle.bytes).first(in: bytes, range)
    }

    func contains(_ needle: Text) -> Bool { find(needle, in: 0..<bytes.count) != nil }
}

/// Knuth-Morris-Pratt search for one byte string: no text makes it slow.
struct TextSearch {
    private let needle: [UInt8]
    /// Length of the longest proper border of each prefix.
    private let borders: [Int]

    init(_ needle: [UInt8]) {
        self.needle = needle
        var borders = [Int](repeating: 0, count: needle.count)
        var length = 0
        for index in needle.indices.dropFirst() {
            while length > 0, needle[index] != needle[length] { length = borders[length - 1] }
            if needle[index] == needle[length] { length += 1 }
            borders[index] = length
        }
        self.borders = borders
    }

    func first(in bytes: [UInt8], _ range: Range<Int>) -> Int? {
        guard !needle.isEmpty else { return range.lowerBound }
        guard range.count >= needle.count else { return nil }
        var matched = 0
        for index in range {
            while matched > 0, bytes[index] != needle[matched] { matched = borders[matched - 1] }
            if bytes[index] == needle[matched] { matched += 1 }
            if matched == needle.count { return index + 1 - matched }
        }
        return nil
    }

    /// Byte offsets of the occurrences that do not overlap, from the left, at most `limit`.
    func all(in bytes: [UInt8], _ range: Range<Int>, limit: Int = .max) -> [Int] {
        var found: [Int] = []
        var start = range.lowerBound
        while found.count < limit, let offset = first(in: bytes, start..<range.upperBound) {
            found.append(offset)
            start = offset + max(needle.count, 1)
            if start > range.upperBound { break }
        }
        return found
    }
}
