import CrumbABI
package import CrumbCUDA
package import CrumbModel
package import CrumbThreads
import Glibc

/// What tuning can be asked for.
package struct TuneOptions: Sendable {
    package var steps = 1000
    /// Texts of a step. SmolLM2-135M, 2.5 million tokens in all, mean KL in nats on WikiText-2: 16 a step 0.327, 8 a step
    /// 0.315, on an H200 in the same time.
    package var texts = 8
    /// Of the steps after the first ones; they fall to a twentieth along a cosine.
    package var rates = TuneRates(codes: 2e-3, scales: 1e-3, vectors: 1e-4)
    /// Steps over which the rates rise.
    package var warmUp = 20
    package var seed: UInt64 = 0

    package init() {}

    /// The share of the rates that step `index`, from 0 on, goes with.
    package func share(of index: Int) -> Float {
        let rise = min(1, Float(index + 1) / Float(max(warmUp, 1)))
        let fall = 0.5 * (1 + cosf(.pi * Float(index) / Float(max(steps, 1))))
        return rise * (0.05 + 0.95 * fall)
    }
}

/// Moves a quantized model's numbers so that it says what its source says: codes, scales, outliers, norms and biases, by
/// the divergence of its next-token distribution from the source's, end to end.
///
/// On the card: the source's and the rounded weights (2 bytes each), latent weights and Adam's two means (12 bytes), each
/// block's input for a step's texts, and all blocks' activations, or one's where they do not fit.
package final class Tuner {
    private let options: TuneOptions
    private let pair: TunePair
    private let student: Student
    private var step = 0

    /// - Parameters:
    ///   - source: The model that was quantized.
    ///   - quantized: What it became, packed.
    ///   - length: Tokens of a text.
    ///   - element: bf16, or fp32 where gradients are checked.
    /// - Throws: `TuneError` for models that cannot be tuned, `PackedError` for damaged ones, `CUDAError` where the card
    ///   is too small or too old.
    package init(
        source: DecoderWeights, quantized: DecoderWeights, _ configuration: ModelConfiguration, options: TuneOptions,
        length: Int, library: KernelLibrary, blas: CuBLASTable, pool: ThreadPool,
        element: CuBLAS.ElementType = .bfloat, progress: (Double) throws -> Void = { _ in }
    ) throws {
        let sizes = try TuneSizes(configuration, texts: options.texts, length: length)
        let room = try TuneRoom(
            sizes, element, beside: DenseModel.byteCount(configuration, element) * 2 + Student.byteCount(quantized),
            on: library.device, for: "tuning with \(options.texts) texts of \(length) tokens")
        self.options = options
        let pass = try TunePass(
            configuration, sizes: sizes, element: element, library: library, blas: blas, room: room)
        let upload = ElementUpload(element: element, pool: pool)
        let teacher = try DenseModel(configuration, element, on: library.device)
        try teacher.fill(from: source, upload, in: pass.stream)
        student = try Student(
            quantized, source: source, configuration, upload: upload, pass: pass, progress: progress)
        pair = TunePair(pass: pass, teacher: teacher, student: student.dense)
    }

    /// One step on as many texts as the options say, each of the length that was given.
    ///
    /// - Returns: The mean divergence before the step, in nats a token.
    package func step(_ texts: [[Int32]]) throws(CUDAError) -> Double {
        let rates = options.rates * options.share(of: step)
        step += 1
        let adam = Self.adam(step)
        let pass = pair.pass
        try pair.forward(texts)
        try pair.backward(
            product: { [student] layer, product throws(CUDAError) in
                try student.step(product, of: layer, rates: rates, adam: adam, pass)
            },
            vector: { [student] vector throws(CUDAError) in
                try student.vectors[vector]?.step(gradient: pass.work.sums, rate: rates.vectors, adam: adam, pass)
            })
        return try pair.meanDivergence()
    }

    /// What the model has become.
    package func result(pool: ThreadPool) throws -> TunedWeights { try student.result(pair.pass, pool: pool) }

    /// Means over about 10 and 20 steps: there are hundreds, and gradients of 16,000 tokens are not very noisy.
    private static func adam(_ step: Int) -> crumb_tune_adam {
        let (first, second): (Double, Double) = (0.9, 0.95)
        func correction(_ decay: Double) -> Float {
            var power = 1.0
            for _ in 0..<step { power *= decay }
            return Float(1 / (1 - power))
        }
        return crumb_tune_adam(
            first_decay: Float(first), second_decay: Float(second), first_correction: correction(first),
            second_correction: correction(second))
    }
}
