import CrumbCUDA

/// What one kernel, or one matrix product, of a step takes.
package struct KernelTiming: Sendable {
    /// As in a step: "qkv", "gate+up", "attention_decode".
    package let kernel: String
    /// How it is made: "packed", "dequantize + cuBLAS", or the kernel's own name.
    package let path: String
    /// Tokens; nil where they do not count.
    package let m: Int?
    /// Output features and input features; positions of the cache for attention. nil where there are none.
    package let n: Int?
    package let k: Int?
    /// Median over the runs of a graph, for one of its pieces.
    package let seconds: Double
    /// Bytes of weights, or of keys and values, that must be read from memory; nil for kernels that only read what the
    /// one before them left in the cache.
    package let bytes: Int?
    /// The same product of an fp16 matrix by cuBLAS, fp16 in and out; nil where there is none.
    package let librarySeconds: Double?

    package var bytesPerSecond: Double? { bytes.flatMap { seconds > 0 ? Double($0) / seconds : nil } }
    /// How many times as long cuBLAS takes; above 1 it is the slower one.
    package var ratio: Double? { librarySeconds.flatMap { seconds > 0 && $0 > 0 ? $0 / seconds : nil } }
}

/// How kernels are timed: many in one graph, whose runs are timed as a whole.
package struct KernelTimerOptions: Sendable {
    /// Pieces of a graph at least, for products with many tokens, and for up to `GPUDecoder.stepRows` tokens, which are
    /// so short that the start of a graph would count.
    package var pieces: Int
    package var shortPieces: Int
    /// Counted runs of a graph; three more run first.
    package var runs: Int
    /// Whether cuBLAS, where it is there, is timed beside the products.
    package var comparesLibrary: Bool

    package init(pieces: Int = 40, shortPieces: Int = 160, runs: Int = 11, comparesLibrary: Bool = true) {
        self.pieces = pieces
        self.shortPieces = shortPieces
        self.runs = runs
        self.comparesLibrary = comparesLibrary
    }
}

extension KernelTimer {
    /// What is read by pieces of work that follow each other is this often the second-level cache, so that nothing of it
    /// is still there when its turn comes again.
    static let cacheMultiple = 3
    /// Runs of a graph before the counted ones.
    private static let warmups = 3

    /// Copies of something of so many bytes that are rotated.
    static func copies(of bytes: Int, _ info: DeviceInfo) -> Int {
        max((cacheMultiple * info.l2Bytes + bytes - 1) / max(bytes, 1), 1)
    }

    func copies(of bytes: Int) -> Int { Self.copies(of: bytes, gpu.device.info) }

    /// Seconds of a piece of work within a graph of whole rounds over the copies, median over its runs.
    ///
    /// - Parameters:
    ///   - rows: M.
    ///   - work: Puts a piece into the decoder's stream; piece p is to read copy p % `copies`.
    func time(
        rows: Int, copies: Int, _ work: (_ piece: Int) throws(CUDAError) -> Void
    ) throws(CUDAError) -> Double {
        let wanted = rows <= GPUDecoder.stepRows ? options.shortPieces : options.pieces
        let pieces = max((wanted + copies - 1) / copies, 1) * copies
        // Libraries load what they need on the first call, which they must not do in a recording.
        try work(0)
        try gpu.stream.synchronize()
        let graph = try gpu.stream.capture { () throws(CUDAError) in
            for piece in 0..<pieces { try work(piece) }
        }
        try graph.upload(in: gpu.stream)
        var seconds: [Double] = []
        for run in 0..<Self.warmups + options.runs {
            let all = try gpu.timed { () throws(CUDAError) in try graph.launch(in: gpu.stream) }
            if run >= Self.warmups { seconds.append(all / Double(pieces)) }
        }
        return StepTiming.median(seconds)
    }
}
