import CrumbABI
package import CrumbCUDA
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor
package import CrumbThreads

/// Quantizes a random matrix on the card and measures the result on the CPU: whether what the card says it lost is what was
/// lost, whether each method loses less than the one before, and whether no variant of the storage loses much more.
package struct QuantizerCheck {
    /// |(W - Q) X|^2 / |W X|^2 with `rtn`, `gptq`, `full` and the variants, as the card says and as it is.
    package private(set) var claimed: [Double] = []
    package private(set) var measured: [Double] = []

    /// fp32 sums against fp64 ones.
    package var isPassed: Bool {
        !measured.isEmpty && zip(claimed, measured).allSatisfy { abs($0 - $1) < 1e-3 * $1 }
            && measured.prefix(3).elementsEqual(measured.prefix(3).sorted(by: >))
            // Descent ends in a valley near where it began: finer scales need not lose less.
            && measured.dropFirst(3).allSatisfy { $0 < 1.05 * measured[2] }
            && measured.allSatisfy { $0 > 0 && $0 < 0.5 }
    }

    /// First-order scales; outliers everywhere; 3 bits in place of 2; groups that rows choose, which have no outliers, with 3.
    private static let variants: [StorageVariant] = (0..<4).map { index in
        var variant = StorageVariant()
        variant.hasFirstOrderScales = index == 0
        variant.hasOutliersEverywhere = index == 1
        variant.narrowBits = index >= 2 ? 3 : 2
        variant.choosesGroups = index == 3
        return variant
    }

    private static let (rows, columns, tokens) = (75, 352, 600)

    /// - Throws: `QuantizationError`, `CUDAError`.
    package init(library: KernelLibrary, blas: CuBLASTable, pool: ThreadPool) throws {
        let configuration = try ModelConfiguration(
            [
                "model_type": "llama", "hidden_size": JSONValue(Self.columns), "intermediate_size": 96,
                "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 16, "vocab_size": 83,
                "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
            ], source: "random")
        let pass = try TunePass(
            configuration, sizes: TuneSizes(configuration, texts: 1, length: 8), element: .float, library: library,
            blas: blas, room: .forward)
        let queue = QuantizeQueue(pass: pass, kernels: try QuantizeKernels(library))
        guard
            let shape = crumb_packed_shape(
                rows: Self.rows, columns: Self.columns, segments: 2, fourBitChannels: 64, outliersPerTile: 4)
        else { return }
        var random = RandomStream(seed: 5)
        // Channels of very different sizes that have much in common.
        let common = (0..<Self.tokens).map { _ in random.normal() }
        let inputs = (0..<Self.tokens * Self.columns).map { index in
            (common[index / Self.columns] + random.normal()) * (index % 7 == 0 ? 4 : 1)
        }
        let weights = (0..<Self.rows * Self.columns).map { _ in
            random.normal() * (Int.random(in: 0..<99, using: &random) == 0 ? 6 : 1)
        }
        let address = try pass.stream.upload(inputs, for: "a check")
        let scratch = try DeviceBuffer<Float>(count: inputs.count, on: library.device, for: "a check")
        let source = try pass.stream.upload(weights, for: "a check")
        let dense = try DeviceBuffer<Float>(count: weights.count, on: library.device, for: "a check")
        let arena = try DeviceBuffer<UInt8>(count: CardMatrix.byteCount(shape), on: library.device, for: "a check")
        let statistics = try CardStatistics(channels: Self.columns, queue)
        try statistics.add(address.address, weights: 0, count: Self.tokens, scratch: scratch.address)
        let meanSquares = try statistics.meanSquares()
        let order = ChannelOrder.sorted(by: meanSquares, shape: shape)
        let methods = [QuantizationMethod.rtn, .gptq, .full].map { QuantizerSettings(method: $0) }
        for settings in methods + Self.variants.map({ QuantizerSettings(storage: $0) }) {
            let factor = try CardFactor(statistics, meanSquares: meanSquares, order: order, settings: settings, queue)
            var shape = shape
            if settings.storage.choosesGroups { shape.outliers_per_tile = 0 }
            let matrix = CardMatrix(
                shape, storage: settings.storage, factor: factor, arena: arena.address, queue)
            try matrix.quantize(source.address, settings)
            let quantized = try matrix.store(dense: dense.address)
            claimed.append(try matrix.error().relativeOutputError)
            // As a reader of the packed file gets it, all the way; of a variant, as the next layers do.
            let read =
                settings.storage.isPacked
                ? try BlockUnpacker.unpack(PackedMatrix(quantized, name: "a check", order: order))
                    .dequantized(order: order) : try pass.stream.download(dense.view)
            measured.append(Self.loss(weights, read, inputs, settings))
        }
    }

    /// With H as the quantizer has it: compressed tokens, shrunk to its diagonal, damped.
    private static func loss(
        _ weights: [Float], _ quantized: [Float], _ inputs: [Float], _ settings: QuantizerSettings
    ) -> Double {
        var squares = [Double](repeating: 0, count: tokens)
        for (index, x) in inputs.enumerated() { squares[index / columns] += Double(x) * Double(x) }
        let factors = squares.map { Double(InputStatistics.factor(squaredNorm: Float($0))) }
        var diagonal = [Double](repeating: 0, count: columns)
        for (index, x) in inputs.enumerated() {
            let scaled = Double(x) * factors[index / columns]
            diagonal[index % columns] += scaled * scaled
        }
        let damping = Double(settings.damping) * diagonal.reduce(0, +) / Double(columns)
        let keep = 1 - Double(settings.shrinkage)
        /// tr(E H E^T) = keep |E X|^2 + sum of E^2 ((1 - keep) diagonal + damping)
        func energy(_ matrix: (Int) -> Double) -> Double {
            var sum = 0.0
            for row in 0..<rows {
                let own = (0..<columns).map { matrix(row * columns + $0) }
                for token in 0..<tokens {
                    var product = 0.0
                    for k in 0..<columns { product += own[k] * Double(inputs[token * columns + k]) }
                    sum += keep * product * product * factors[token] * factors[token]
                }
                for k in 0..<columns { sum += own[k] * own[k] * ((1 - keep) * diagonal[k] + damping) }
            }
            return sum
        }
        return energy { Double(weights[$0]) - Double(quantized[$0]) } / energy { Double(weights[$0]) }
    }
}
