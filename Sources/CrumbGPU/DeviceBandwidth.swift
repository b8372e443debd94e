import CrumbABI
package import CrumbCUDA

/// How fast a card reads its memory: the limit of decoding, where every weight is read once for each step.
package enum DeviceBandwidth {
    /// Bytes that are read at a time where the card has room: a millisecond on the fastest cards of today, so that the
    /// launch does not count.
    private static let wantedBytes = 4 << 30

    /// The buffer is more than this often the second-level cache.
    private static let cacheMultiple = 4

    /// Measures streaming reads of a buffer that the second-level cache holds nothing of.
    ///
    /// - Parameters:
    ///   - bytes: Of the buffer; nil takes 4 GiB, or half of what is free, and at least four times the cache.
    ///   - repetitions: Passes over the buffer, after one to warm up.
    /// - Returns: Bytes per second of the fastest pass; 0 where the card's clock did not move.
    /// - Throws: `CUDAError` where the memory cannot be had or the card fails.
    package static func bytesPerSecond(
        library: KernelLibrary, bytes: Int? = nil, repetitions: Int = 5
    ) throws(CUDAError) -> Double {
        let device = library.device
        let kernel = try library.kernel("read_memory", arguments: crumb_read_memory_args.self)
        let cache = device.info.l2Bytes
        let free = try device.memory().free
        let size = wholeBlocks(max(bytes ?? min(wantedBytes, free / 2), cacheMultiple * cache))
        let others = wholeBlocks(2 * cache)
        let stream = try Stream(on: device)
        let buffer = try DeviceBuffer<UInt8>(count: size + others, on: device, for: "measuring the read bandwidth")
        let sink = try DeviceBuffer<UInt32>(count: 1, on: device, for: "measuring the read bandwidth")
        try stream.fill(buffer.view, with: 0x5A)
        func read(_ view: DeviceView<UInt8>) throws(CUDAError) {
            try kernel.launch(
                grid: LaunchExtent(Int(CRUMB_READ_BLOCKS_PER_PROCESSOR) * device.info.multiprocessors),
                block: LaunchExtent(Int(CRUMB_READ_THREADS)), stream: stream,
                arguments: crumb_read_memory_args(
                    bytes: view.address, count: UInt64(view.count), sink: sink.address))
        }
        var best = 0.0
        for repetition in 0...repetitions {
            // What the last pass left in the cache goes.
            try read(buffer.view[size..<size + others])
            let start = try Event(on: device, isTimed: true)
            let end = try Event(on: device, isTimed: true)
            try start.record(in: stream)
            try read(buffer.view[0..<size])
            try end.record(in: stream)
            try end.synchronize()
            let seconds = Double(try end.milliseconds(since: start)) / 1000
            if repetition > 0, seconds > 0 { best = max(best, Double(size) / seconds) }
        }
        return best
    }

    /// At least as many bytes, and as many as blocks read at a time.
    private static func wholeBlocks(_ bytes: Int) -> Int {
        let block = Int(CRUMB_READ_BLOCK_BYTES)
        return max((bytes + block - 1) / block, 1) * block
    }
}
