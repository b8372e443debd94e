/// An owner of aligned heap memory, for tensors that were made rather than mapped.
///
/// Written through `mutableBytes` before it is shared; read-only afterwards.
package final class HeapBuffer: @unchecked Sendable {  // see above: writes end before the buffer is shared
    package let mutableBytes: UnsafeMutableRawBufferPointer

    /// Zeroed memory of `byteCount` bytes, aligned to 64 bytes (a cache line, and the widest SIMD load).
    package init(byteCount: Int) {
        mutableBytes = .allocate(byteCount: max(byteCount, 1), alignment: 64)
        mutableBytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// A copy of an array.
    package convenience init<Number: BitwiseCopyable>(_ numbers: [Number]) {
        self.init(byteCount: numbers.count * MemoryLayout<Number>.stride)
        numbers.withUnsafeBytes { mutableBytes.copyMemory(from: $0) }
    }

    deinit { mutableBytes.deallocate() }

    /// The whole memory for reading.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutableBytes) }

    /// A view of this memory from `offset` on as a tensor.
    package func tensor(_ name: String, _ type: StorageType, _ shape: [Int], offset: Int = 0) -> TensorView {
        let count = shape.reduce(1, *)
        guard let byteCount = type.byteCount(of: count), offset + byteCount <= mutableBytes.count else {
            preconditionFailure("\(name): \(type) \(shape) at \(offset) does not fit in \(mutableBytes.count) bytes")
        }
        let window = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + byteCount])
        return TensorView(name: name, type: type, shape: shape, bytes: window, owner: self)
    }
}
