import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked
import CrumbThreads

/// The model that is tuned: latent matrices, norms and biases, and the rounded weights that the products read.
final class Student {
    let dense: DenseModel
    let vectors: [TunePass.Vector: StudentVector]
    private let matrices: [[Projection: StudentMatrix]]
    private let configuration: ModelConfiguration

    /// Bytes of the latent matrices.
    static func byteCount(_ weights: DecoderWeights) -> Int {
        weights.layers.reduce(0) { sum, layer in
            Projection.allCases.reduce(sum) {
                guard case .packed(let matrix) = layer[$1].storage else { return $0 }
                return $0 + StudentMatrix.byteCount(matrix.shape)
            }
        }
    }

    init(
        _ quantized: DecoderWeights, source: DecoderWeights, _ configuration: ModelConfiguration,
        upload: ElementUpload, pass: TunePass, progress: (Double) throws -> Void
    ) throws {
        let dense = try DenseModel(configuration, pass.element, on: pass.stream.device)
        try dense.fillTables(from: quantized, upload, in: pass.stream)
        var vectors: [TunePass.Vector: StudentVector] = [:]
        func vector(_ key: TunePass.Vector, _ numbers: [Float]) throws -> UInt64 {
            let vector = try StudentVector(numbers, pass.stream)
            vectors[key] = vector
            return vector.address
        }
        dense.finalNorm = try vector(.finalNorm, quantized.finalNorm)
        var matrices: [[Projection: StudentMatrix]] = []
        for (index, layer) in quantized.layers.enumerated() {
            dense.blocks[index].inputNorm = try vector(.inputNorm(index), layer.inputNorm)
            dense.blocks[index].postNorm = try vector(.postNorm(index), layer.postAttentionNorm)
            if let biases = TuneBlock.biases(layer) { dense.blocks[index].bias = try vector(.bias(index), biases) }
            let packed = try Projection.allCases.map { projection in
                guard case .packed(let matrix) = layer[projection].storage else {
                    throw TuneError(
                        "\(layer[projection].name) is not packed: only a model that Crumb quantized is tuned")
                }
                return matrix
            }
            let latents = try Self.latents(packed, source: source.layers[index], pool: upload.pool)
            var students: [Projection: StudentMatrix] = [:]
            for (place, projection) in Projection.allCases.enumerated() {
                students[projection] = try StudentMatrix(
                    latents[place], order: packed[place].order,
                    weights: dense.address(projection, of: index), pass)
            }
            matrices.append(students)
            try pass.stream.synchronize()
            try progress(Double(index + 1) / Double(quantized.layers.count))
        }
        self.dense = dense
        self.vectors = vectors
        self.matrices = matrices
        self.configuration = configuration
    }

    /// The latent matrices of a layer, a thread each.
    private static func latents(
        _ packed: [PackedMatrix], source: LayerWeights, pool: ThreadPool
    ) throws -> [LatentMatrix] {
        try pool.map(count: packed.count) { index in
            let rows = WeightRows(source[Projection.allCases[index]])
            let matrix = try BlockUnpacker.unpack(packed[index])
            return LatentMatrix(matrix, order: packed[index].order) { rows.read($0, into: $1) }
        }
    }

    /// A step of the matrices of a product, whose gradient is in the workspace, one matrix below the other.
    func step(
        _ product: InputRole, of layer: Int, rates: TuneRates, adam: crumb_tune_adam, _ pass: TunePass
    ) throws(CUDAError) {
        var gradient = pass.work.weightGradient
        for projection in product.projections {
            guard let matrix = matrices[layer][projection] else { continue }
            try matrix.step(gradient: gradient, rates: rates, adam: adam, pass)
            gradient += UInt64(4 * matrix.shape.n * matrix.shape.k)
        }
    }

    /// Everything as it is now, packed.
    func result(_ pass: TunePass, pool: ThreadPool) throws -> TunedWeights {
        var layers: [TunedWeights.Layer] = []
        for index in matrices.indices {
            let students = Projection.allCases.map { matrices[index][$0].unsafelyUnwrapped }
            let latents = try students.map { try $0.download(pass.stream) }
            let packed = try pool.map(count: latents.count) { place in
                try PackedMatrix(
                    latents[place].rounded(), name: "model.layers.\(index).\(Projection.allCases[place].name).weight",
                    order: students[place].order)
            }
            layers.append(
                TunedWeights.Layer(
                    inputNorm: try numbers(.inputNorm(index), pass),
                    postAttentionNorm: try numbers(.postNorm(index), pass),
                    biases: try biases(index, pass),
                    matrices: Dictionary(uniqueKeysWithValues: zip(Projection.allCases, packed))))
        }
        return TunedWeights(layers: layers, finalNorm: try numbers(.finalNorm, pass))
    }

    private func numbers(_ vector: TunePass.Vector, _ pass: TunePass) throws(CUDAError) -> [Float] {
        try vectors[vector]?.download(pass.stream) ?? []
    }

    private func biases(_ layer: Int, _ pass: TunePass) throws(CUDAError) -> [Projection: [Float]] {
        let all = try numbers(.bias(layer), pass)
        var result: [Projection: [Float]] = [:]
        var start = 0
        for projection in [Projection.q, .k, .v] {
            let end = start + configuration.shape(of: projection).rows
            if configuration.biases.contains(projection), end <= all.count {
                result[projection] = Array(all[start..<end])
            }
            start = end
        }
        return result
    }
}
