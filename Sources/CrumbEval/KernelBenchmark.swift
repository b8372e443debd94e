import CrumbCUDA
package import CrumbGPU
import CrumbModel

/// Every kernel of a decode or prefill step on a GPU, one by one, with cuBLAS in fp16 beside the products.
package struct KernelBenchmark: Sendable {
    package struct Options: Sendable {
        /// M of the products. Kernels of a decode step are timed for those up to `GPUDecoder.stepRows`.
        package var tokens: [Int]
        /// Tokens that each sequence has before attention_decode.
        package var contexts: [Int]
        package var timer: KernelTimerOptions

        package init(
            tokens: [Int] = [1, 2, 4, 8, 16, 32, 64, 256, 1024], contexts: [Int] = [256, 4096],
            timer: KernelTimerOptions = KernelTimerOptions()
        ) {
            self.tokens = tokens
            self.contexts = contexts
            self.timer = timer
        }
    }

    /// Tokens of a product at most: what passes of the engine have at most, with room to look beyond.
    package static let mostTokens = 8192

    package let timings: [KernelTiming]
    /// The GPU's number and name, and the image that serves it: "sm_90a".
    package let device: String
    package let image: String
    /// How the engine makes products, and cuBLAS's version.
    package let path: String
    package let hasLibrary: Bool
    /// Bytes that the card reads in a second from a buffer larger than its cache.
    package let readBytesPerSecond: Double

    /// The share of the card's read bandwidth that a kernel uses; nil where it reads the cache, or nothing was measured.
    package func share(of timing: KernelTiming) -> Double? {
        timing.bytesPerSecond.flatMap { readBytesPerSecond > 0 ? $0 / readBytesPerSecond : nil }
    }

    /// Times the kernels.
    ///
    /// - Parameters:
    ///   - gpu: As `KernelTimer.decoder` makes it.
    ///   - progress: Called before each kernel with its name and the share that is done.
    /// - Throws: `EvaluationError` for options out of range; `CUDAError` where memory is short, before anything runs, or
    ///   the card fails.
    package static func measure(
        _ gpu: GPUDecoder, readBytesPerSecond: Double, options: Options = Options(),
        progress: (_ next: String, _ fraction: Double) throws -> Void = { _, _ in }
    ) throws -> KernelBenchmark {
        guard let most = options.tokens.max(), options.tokens.allSatisfy({ (1...mostTokens).contains($0) }),
            options.contexts.allSatisfy({ (1...1_000_000).contains($0) }), options.timer.runs >= 1
        else {
            throw EvaluationError(
                "kernels cannot be timed with \(options.tokens) tokens at contexts of \(options.contexts), "
                    + "\(options.timer.runs) times: tokens go from 1 to \(mostTokens), contexts and runs from 1")
        }
        let timer = try KernelTimer(
            gpu, mostTokens: most, mostContext: options.contexts.max() ?? 1, options: options.timer)
        let works = works(timer, options)
        var timings: [KernelTiming] = []
        for (index, work) in works.enumerated() {
            try progress(work.name, Double(index) / Double(works.count))
            timings += try work.run()
        }
        return KernelBenchmark(
            timings: timings, device: gpu.device.label, image: gpu.imageName, path: gpu.pathName,
            hasLibrary: gpu.hasLibrary, readBytesPerSecond: readBytesPerSecond)
    }

    private typealias Work = (name: String, run: () throws -> [KernelTiming])

    private static func works(_ timer: KernelTimer, _ options: Options) -> [Work] {
        var works: [Work] = []
        for role in InputRole.allCases {
            for rows in options.tokens {
                works.append(("\(role.matrixName), M \(rows)", { [try timer.product(role, rows: rows)] }))
            }
        }
        for role in InputRole.allCases {
            works.append(("dequantize \(role.matrixName)", { [try timer.dequantize(role)].compactMap { $0 } }))
        }
        let steps = options.tokens.filter { $0 <= GPUDecoder.stepRows }
        for context in options.contexts {
            for rows in steps {
                works.append(
                    (
                        "attention at \(context), M \(rows)",
                        { [try timer.attention(rows: rows, context: context)] }
                    ))
            }
        }
        for rows in steps { works.append(("head, M \(rows)", { [try timer.head(rows: rows)] })) }
        for rows in options.tokens where rows > 1 {
            works.append(("attention of a prompt, M \(rows)", { try timer.prefillAttention(rows: rows) }))
        }
        for rows in options.tokens {
            works.append(("elementwise, M \(rows)", { try timer.elementwise(rows: rows) }))
        }
        return works
    }
}
