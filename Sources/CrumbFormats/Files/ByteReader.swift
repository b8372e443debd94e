// The one place where numbers are taken out of foreign bytes. Every read is checked against the end first.

/// A cursor over little-endian bytes.
///
/// It borrows its memory: the caller keeps the owner alive while reading.
@safe
struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private let path: String
    /// The position of the next byte.
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer, path: String) {
        unsafe self.bytes = bytes
        self.path = path
    }

    var remaining: Int { unsafe bytes.count - offset }

    /// Reads an integer; `what` names it in the error.
    mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type, _ what: @autoclosure () -> String
    ) throws(FormatError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw truncated(size, what()) }
        let value = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
        offset += size
        return T(littleEndian: value)
    }

    mutating func float(_ what: @autoclosure () -> String) throws(FormatError) -> Float {
        Float(bitPattern: try integer(UInt32.self, what()))
    }

    mutating func double(_ what: @autoclosure () -> String) throws(FormatError) -> Double {
        Double(bitPattern: try integer(UInt64.self, what()))
    }

    /// Reads `count` bytes as a string of valid UTF-8.
    mutating func text(_ count: Int, _ what: @autoclosure () -> String) throws(FormatError) -> String {
        guard count >= 0, count <= remaining else { throw truncated(count, what()) }
        let window = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
        guard let text = unsafe String(validating: window, as: UTF8.self) else {
            throw FormatError(path: path, reason: "\(what()) at byte \(offset) is not valid UTF-8")
        }
        offset += count
        return text
    }

    private func truncated(_ count: Int, _ what: String) -> FormatError {
        FormatError(
            path: path,
            reason: "\(what) at byte \(offset) needs \(count) bytes but only \(remaining) are left;"
                + " the file is truncated or damaged")
    }
}

/// The product of dimensions in the given order, nil where it or a partial product does not fit in an Int.
func checkedProduct(_ dimensions: some Sequence<Int>) -> Int? {
    var product = 1
    for dimension in dimensions {
        let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
        guard dimension >= 0, !overflow else { return nil }
        product = next
    }
    return product
}
