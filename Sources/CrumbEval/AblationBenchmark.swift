import CrumbCUDA
package import CrumbGPU
import CrumbModel

/// What single ideas of the packed products bring: each product as it is, without outliers, and with synchronous copies.
package struct AblationBenchmark: Sendable {
    /// One product with one number of tokens.
    package struct Result: Sendable {
        package let full: KernelTiming
        /// On records of the same shape that have no room for outliers, so that bytes differ too.
        package let withoutOutliers: KernelTiming
        /// nil where the copies of the product's kernel cannot be made so.
        package let synchronous: KernelTiming?

        /// How much longer outliers make the product: 0.1 are 10 %. nil where nothing was measured.
        package var outlierCost: Double? { ratio(full, withoutOutliers).map { $0 - 1 } }
        /// How many times as long the product takes with synchronous copies.
        package var asynchronousGain: Double? { synchronous.flatMap { ratio($0, full) } }

        private func ratio(_ one: KernelTiming, _ other: KernelTiming) -> Double? {
            other.seconds > 0 ? one.seconds / other.seconds : nil
        }
    }

    /// Tokens at most: for more of them matrices are turned into fp16 for cuBLAS.
    package static let mostTokens = GPUDecoder.stepRows

    package let results: [Result]
    /// The GPU's number and name, and the image that serves it: "sm_90a".
    package let device: String
    package let image: String
    /// How the engine makes products.
    package let path: String

    /// Times the products; the variants of one right behind each other.
    ///
    /// - Parameters:
    ///   - gpu: As `KernelTimer.decoder` makes it.
    ///   - plain: The same model without outliers.
    ///   - tokens: M of the products.
    ///   - progress: Called before each product with its name and the share that is done.
    /// - Throws: `EvaluationError` for options out of range; `CUDAError` where memory is short, before anything runs, or
    ///   the card fails.
    package static func measure(
        _ gpu: GPUDecoder, withoutOutliers plain: GPUDecoder, tokens: [Int] = [1],
        timer options: KernelTimerOptions = KernelTimerOptions(),
        progress: (_ next: String, _ fraction: Double) throws -> Void = { _, _ in }
    ) throws -> AblationBenchmark {
        guard let most = tokens.max(), tokens.allSatisfy({ (1...mostTokens).contains($0) }), options.runs >= 1 else {
            throw EvaluationError(
                "packed products cannot be timed with \(tokens) tokens, \(options.runs) times: tokens go from 1 to "
                    + "\(mostTokens), runs from 1")
        }
        var options = options
        options.comparesLibrary = false
        let timer = try KernelTimer(gpu, mostTokens: most, mostContext: 1, options: options)
        let plainTimer = try KernelTimer(plain, mostTokens: most, mostContext: 1, options: options)
        let works = InputRole.allCases.flatMap { role in tokens.map { (role, $0) } }
        var results: [Result] = []
        for (index, (role, rows)) in works.enumerated() {
            try progress("\(role.matrixName), M \(rows)", Double(index) / Double(works.count))
            results.append(
                Result(
                    full: try timer.product(role, rows: rows),
                    withoutOutliers: try plainTimer.product(role, rows: rows),
                    synchronous: try timer.synchronousProduct(role, rows: rows)))
        }
        return AblationBenchmark(
            results: results, device: gpu.device.label, image: gpu.imageName, path: gpu.pathName)
    }
}
