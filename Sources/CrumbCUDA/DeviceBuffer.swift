/// An owner of memory on a card; freed with the last use of it, after the card has finished what it was doing.
package struct DeviceBuffer<Element: BitwiseCopyable>: ~Copyable, Sendable {
    package let device: Device
    package let view: DeviceView<Element>

    /// Memory for `count` elements, its contents undefined.
    ///
    /// - Parameter purpose: the subject of the error's sentence when it does not fit, such as "the KV cache".
    package init(count: Int, on device: Device, for purpose: String) throws(CUDAError) {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard !overflow, count >= 0 else {
            throw CUDAError(.outOfMemory, "\(purpose): \(count) elements are more than any card holds")
        }
        let address = try device.allocate(bytes: bytes, for: purpose)
        self.device = device
        view = DeviceView(address: address, count: count)
    }

    deinit { device.release { $0.memFree(view.address) } }

    /// Where the memory starts, as kernels take it.
    package var address: UInt64 { view.address }
    package var count: Int { view.count }
    package var byteCount: Int { view.byteCount }
}

/// A window on memory of a card that somebody else owns and keeps.
package struct DeviceView<Element: BitwiseCopyable>: Sendable {
    /// Where the window starts, as kernels take it.
    package let address: UInt64
    package let count: Int

    package init(address: UInt64, count: Int) {
        self.address = address
        self.count = count
    }

    package var byteCount: Int { count * MemoryLayout<Element>.stride }

    /// The window on some of the elements.
    package subscript(range: Range<Int>) -> DeviceView {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count) elements")
        let offset = UInt64(range.lowerBound * MemoryLayout<Element>.stride)
        return DeviceView(address: address + offset, count: range.count)
    }

    /// The same bytes as elements of another type.
    package func rebound<Other: BitwiseCopyable>(to type: Other.Type = Other.self) -> DeviceView<Other> {
        precondition(
            byteCount % MemoryLayout<Other>.stride == 0 && address % UInt64(MemoryLayout<Other>.alignment) == 0,
            "\(byteCount) bytes at \(address) are no whole elements of \(type)")
        return DeviceView<Other>(address: address, count: byteCount / MemoryLayout<Other>.stride)
    }
}

/// An owner of host memory that the card reads and writes by itself: copies to and from it do not wait for the host.
///
/// It must outlive every copy that was started; synchronize the stream, or an event behind the copies, first.
package struct PinnedBuffer<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {  // one owner of its memory
    package let device: Device
    /// The memory, for reading and writing by the host while no copy is under way.
    package let elements: UnsafeMutableBufferPointer<Element>

    /// Memory for `count` elements, all bytes zero.
    package init(count: Int, on device: Device, for purpose: String) throws(CUDAError) {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard !overflow, count >= 0 else {
            throw CUDAError(.outOfMemory, "\(purpose): \(count) elements are more than any machine holds")
        }
        var start: UnsafeMutableRawPointer?
        try device.call("allocating \(ByteText.of(bytes)) of pinned host memory for \(purpose)") { table in
            table.memHostAlloc(&start, max(bytes, 1), 0)
        }
        guard let start else {
            throw CUDAError(.outOfMemory, "the driver gave no pinned host memory for \(purpose)")
        }
        start.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        self.device = device
        elements = UnsafeMutableBufferPointer(start: start.assumingMemoryBound(to: Element.self), count: count)
    }

    deinit { device.release { $0.memFreeHost(elements.baseAddress) } }

    package var count: Int { elements.count }
}
