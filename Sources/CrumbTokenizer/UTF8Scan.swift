// Reading scalars out of UTF-8 that is known to be valid, because it came from a Swift string or was put together
// from whole scalars.

/// The number of bytes of a scalar with this first byte.
@inline(__always)
func scalarLength(_ lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
}

/// The scalar that starts at `position`.
@inline(__always)
func scalar(_ text: Span<UInt8>, at position: Int) -> UInt32 {
    let lead = UInt32(text[position])
    if lead < 0x80 { return lead }
    if lead < 0xE0 { return (lead & 0x1F) << 6 | UInt32(text[position + 1] & 0x3F) }
    if lead < 0xF0 {
        return (lead & 0x0F) << 12 | UInt32(text[position + 1] & 0x3F) << 6 | UInt32(text[position + 2] & 0x3F)
    }
    return (lead & 0x07) << 18 | UInt32(text[position + 1] & 0x3F) << 12 | UInt32(text[position + 2] & 0x3F) << 6
        | UInt32(text[position + 3] & 0x3F)
}

/// The start of the scalar that ends before `end`; `end` is above 0.
@inline(__always)
func scalarStart(_ text: Span<UInt8>, before end: Int) -> Int {
    var start = end - 1
    while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
}

/// Appends a scalar value as UTF-8. Surrogates and values above U+10FFFF never get here.
func appendUTF8(_ value: UInt32, to bytes: inout [UInt8]) {
    if value < 0x80 {
        bytes.append(UInt8(value))
    } else if value < 0x800 {
        bytes.append(UInt8(0xC0 | value >> 6))
        bytes.append(UInt8(0x80 | value & 0x3F))
    } else if value < 0x10000 {
        bytes.append(UInt8(0xE0 | value >> 12))
        bytes.append(UInt8(0x80 | value >> 6 & 0x3F))
        bytes.append(UInt8(0x80 | value & 0x3F))
    } else {
        bytes.append(UInt8(0xF0 | value >> 18))
        bytes.append(UInt8(0x80 | value >> 12 & 0x3F))
        bytes.append(UInt8(0x80 | value >> 6 & 0x3F))
        bytes.append(UInt8(0x80 | value & 0x3F))
    }
}

/// Appends a part of a text.
func append(_ text: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]) {
    let part = text.extracting(range)
    unsafe part.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
}

/// Whether `part` stands in `text` at `position`.
func matches(_ text: Span<UInt8>, at position: Int, _ part: [UInt8]) -> Bool {
    guard text.count - position >= part.count else { return false }
    for index in part.indices where text[position + index] != part[index] { return false }
    return true
}
