package import CrumbCUDA
import CrumbModel
package import CrumbThreads

/// Compares the gradients of all operators, in fp32, with finite differences: of a small model's divergence, by each of
/// its matrices and vectors, along the gradient itself.
package struct GradientCheck {
    /// One tensor's.
    package struct Result: Sendable {
        package let name: String
        /// The gradient's length, and the same as (L(w + e g / |g|) - L(w - e g / |g|)) / 2 e.
        package let length: Double
        package let measured: Double

        /// Infinite for a gradient of zeros: along it nothing can be measured.
        package var error: Double { length > 0 ? abs(measured - length) / length : .infinity }
    }

    /// Errors of fp32 sums and of the differences' third order stay below: what is wrong is wrong by much more.
    package static let bound = 0.02

    private let pair: TunePair
    private let texts: [[Int32]]

    /// - Parameter keepsActivations: Whether the backward pass finds all blocks' activations, or makes them again.
    /// - Throws: `CUDAError` where the card cannot.
    package init(library: KernelLibrary, blas: CuBLASTable, pool: ThreadPool, keepsActivations: Bool) throws {
        let configuration = try CheckModel.configuration()
        let sizes = try TuneSizes(configuration, texts: 3, length: 24)
        let pass = try TunePass(
            configuration, sizes: sizes, element: .float, library: library, blas: blas,
            room: keepsActivations ? .keeping : .recomputing)
        let upload = ElementUpload(element: .float, pool: pool)
        func model(seed: UInt64) throws -> DenseModel {
            let model = try DenseModel(configuration, .float, on: library.device)
            try model.fill(from: CheckModel.weights(configuration, seed: seed), upload, in: pass.stream)
            return model
        }
        pair = TunePair(pass: pass, teacher: try model(seed: 1), student: try model(seed: 2))
        texts = CheckModel.texts(sizes.texts, length: sizes.length, configuration)
    }

    /// All tensors' results.
    package func run() throws -> [Result] {
        var gradients: [(name: String, address: UInt64, numbers: [Float])] = []
        let (pass, student) = (pair.pass, pair.student)
        func take(_ name: String, _ address: UInt64, from gradient: UInt64, _ count: Int) throws(CUDAError) {
            let numbers = try pass.stream.download(DeviceView<Float>(address: gradient, count: count))
            gradients.append((name, address, numbers))
        }
        try pair.forward(texts)
        try pair.backward(
            product: { layer, product throws(CUDAError) in
                let (s, block) = (pass.sizes, student.blocks[layer])
                let (address, count): (UInt64, Int) =
                    switch product {
                    case .queryKeyValue: (block.queryKeyValue, s.rowFeatures * s.hidden)
                    case .attentionOutput: (block.output, s.hidden * s.queryFeatures)
                    case .gateUp: (block.gateUp, 2 * s.intermediate * s.hidden)
                    case .down: (block.down, s.hidden * s.intermediate)
                    }
                try take("layer \(layer), \(product)", address, from: pass.work.weightGradient, count)
            },
            vector: { vector throws(CUDAError) in
                let (address, count) =
                    switch vector {
                    case .inputNorm(let layer): (student.blocks[layer].inputNorm, pass.sizes.hidden)
                    case .postNorm(let layer): (student.blocks[layer].postNorm, pass.sizes.hidden)
                    case .bias(let layer): (student.blocks[layer].bias, pass.sizes.rowFeatures)
                    case .finalNorm: (student.finalNorm, pass.sizes.hidden)
                    }
                try take("\(vector)", address, from: pass.work.sums, count)
            })
        let divergence = try pair.meanDivergence()
        return try gradients.map { try measure($0.name, $0.address, $0.numbers, loss: divergence) }
    }

    private func measure(
        _ name: String, _ address: UInt64, _ gradient: [Float], loss: Double
    ) throws(CUDAError) -> Result {
        let pass = pair.pass
        let length = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        let values = try pass.stream.download(DeviceView<Float>(address: address, count: gradient.count))
        // A hundredth of the divergence: far above fp32's rounding of it, and nearly straight.
        let distance = 0.01 * loss / max(length, 1e-30)
        func divergence(at share: Double) throws(CUDAError) -> Double {
            let moved = zip(values, gradient).map { $0 + Float(share * Double($1) / max(length, 1e-30)) }
            try ElementUpload.copy(moved, to: address, in: pass.stream)
            return try pair.divergence(texts)
        }
        let (above, below) = (try divergence(at: distance), try divergence(at: -distance))
        try ElementUpload.copy(values, to: address, in: pass.stream)
        return Result(name: name, length: length, measured: (above - below) / (2 * distance))
    }
}
