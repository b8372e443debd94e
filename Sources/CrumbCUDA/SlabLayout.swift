/// Places in one piece of device memory, given out one after another.
///
/// Laid out from address 0 it plans: it says what will be needed before anything is allocated.
package struct SlabLayout: Sendable {
    /// What cuMemAlloc promises, and more than any kernel's loads ask for.
    package static let alignment = 256

    private let base: UInt64
    /// Bytes given out so far, padding included.
    package private(set) var byteCount = 0

    package init(base: UInt64 = 0) { self.base = base }

    /// Bytes of all that `place` reserves.
    package static func byteCount<Places>(_ place: (inout SlabLayout) -> Places) -> Int {
        var plan = SlabLayout()
        _ = place(&plan)
        return plan.byteCount
    }

    /// The address of the next `bytes` bytes.
    package mutating func reserve(_ bytes: Int) -> UInt64 {
        let address = base + UInt64(byteCount)
        byteCount += (bytes + Self.alignment - 1) / Self.alignment * Self.alignment
        return address
    }

    /// The address of the next `count` elements.
    package mutating func reserve<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type) -> UInt64 {
        reserve(count * MemoryLayout<Element>.stride)
    }
}
