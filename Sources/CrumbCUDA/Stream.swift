/// An owner of a queue of work for a card: what is put in runs in that order, behind the host's back.
///
/// Streams do not wait for one another or for the default stream; events order them.
package struct Stream: ~Copyable, @unchecked Sendable {  // the driver lets any thread use a stream
    package let device: Device
    let handle: DriverTable.Handle

    package init(on device: Device) throws(CUDAError) {
        handle = try device.make("making a stream") { $0.streamCreate($1, DriverFlag.streamNonBlocking) }
        self.device = device
    }

    deinit { device.release { $0.streamDestroy(handle) } }

    /// The stream as other libraries of CUDA take it; it stays this owner's.
    package var borrowedHandle: OpaquePointer { handle }

    /// Waits until everything in the stream has run. Faults of kernels launched earlier surface here.
    package func synchronize() throws(CUDAError) {
        try device.call("waiting for the stream") { $0.streamSynchronize(handle) }
    }

    /// What is put in from now on waits for the event.
    package func wait(for event: borrowing Event) throws(CUDAError) {
        let event = event.handle
        try device.call("ordering two streams") { $0.streamWaitEvent(handle, event, 0) }
    }
}

// MARK: copies

extension Stream {
    /// Host to card. Ordinary memory is read before this returns, pinned memory when the stream comes to it.
    package func copy<Element: BitwiseCopyable>(
        _ source: UnsafeBufferPointer<Element>, to target: DeviceView<Element>
    ) throws(CUDAError) {
        precondition(source.count == target.count, "\(source.count) elements into \(target.count)")
        guard target.byteCount > 0 else { return }
        try device.call("copying \(ByteText.of(target.byteCount)) to the card") {
            $0.memcpyHtoDAsync(target.address, source.baseAddress, target.byteCount, handle)
        }
    }

    /// New memory on the card with a copy of `elements`, which is there for what follows in this stream.
    package func upload<Element: BitwiseCopyable>(
        _ elements: UnsafeBufferPointer<Element>, for purpose: String
    ) throws(CUDAError) -> DeviceBuffer<Element> {
        let buffer = try DeviceBuffer<Element>(count: elements.count, on: device, for: purpose)
        try copy(elements, to: buffer.view)
        return buffer
    }

    /// New memory on the card with a copy of an array.
    package func upload<Element: BitwiseCopyable>(
        _ elements: [Element], for purpose: String
    ) throws(CUDAError) -> DeviceBuffer<Element> {
        let buffer = try DeviceBuffer<Element>(count: elements.count, on: device, for: purpose)
        try elements.withUnsafeBufferPointer { elements throws(CUDAError) in try copy(elements, to: buffer.view) }
        return buffer
    }

    /// Card to host. Into ordinary memory this waits for the copy, into pinned memory it does not.
    package func copy<Element: BitwiseCopyable>(
        _ source: DeviceView<Element>, to target: UnsafeMutableBufferPointer<Element>
    ) throws(CUDAError) {
        precondition(source.count == target.count, "\(source.count) elements into \(target.count)")
        guard source.byteCount > 0 else { return }
        try device.call("copying \(ByteText.of(source.byteCount)) from the card") {
            $0.memcpyDtoHAsync(target.baseAddress, source.address, source.byteCount, handle)
        }
    }

    /// Within the card; the windows must not overlap.
    package func copy<Element: BitwiseCopyable>(
        _ source: DeviceView<Element>, to target: DeviceView<Element>
    ) throws(CUDAError) {
        precondition(source.count == target.count, "\(source.count) elements into \(target.count)")
        guard source.byteCount > 0 else { return }
        try device.call("copying \(ByteText.of(source.byteCount)) within the card") {
            $0.memcpyDtoDAsync(target.address, source.address, source.byteCount, handle)
        }
    }

    /// Every byte of the window becomes `byte`.
    package func fill<Element: BitwiseCopyable>(
        _ target: DeviceView<Element>, with byte: UInt8 = 0
    ) throws(CUDAError) {
        guard target.byteCount > 0 else { return }
        try device.call("filling \(ByteText.of(target.byteCount))") {
            $0.memsetD8Async(target.address, byte, target.byteCount, handle)
        }
    }

    /// The elements of a window on the host, once everything ahead has run.
    package func download<Element: BitwiseCopyable>(_ source: DeviceView<Element>) throws(CUDAError) -> [Element] {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(source.byteCount, 1), alignment: MemoryLayout<Element>.alignment)
        defer { bytes.deallocate() }
        let elements = UnsafeMutableBufferPointer(
            start: bytes.baseAddress?.bindMemory(to: Element.self, capacity: source.count), count: source.count)
        try copy(source, to: elements)
        try synchronize()
        return Array(elements)
    }
}
