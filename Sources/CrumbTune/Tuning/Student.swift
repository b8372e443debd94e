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
        for layers in Self.chunks(of: quantized.layers.indices, upload.pool) {
            let packed = try layers.map { try Self.packed(quantized.layers[$0]) }
            let latents = try Self.latents(packed, of: layers, source: source, pool: upload.pool)
            for (place, index) in layers.enumerated() {
                let layer = quantized.layers[index]
                dense.blocks[index].inputNorm = try vector(.inputNorm(index), layer.inputNorm)
                dense.blocks[index].postNorm = try vector(.postNorm(index), layer.postAttentionNorm)
                if let biases = TuneBlock.biases(layer) { dense.blocks[index].bias = try vector(.bias(index), biases) }
                var students: [Projection: StudentMatrix] = [:]
                for (kind, projection) in Projection.allCases.enumerated() {
                    students[projection] = try StudentMatrix(
                        latents[place * Projection.allCases.count + kind], order: packed[place][kind].order,
                        weights: dense.address(projection, of: index), pass)
                }
                matrices.append(students)
                try pass.stream.synchronize()
                try progress(Double(index + 1) / Double(quantized.layers.count))
            }
        }
        self.dense = dense
        self.vectors = vectors
        self.matrices = matrices
        self.configuration = configuration
    }

    /// Layers that are in work at a time, so that every thread has a matrix: three of a layer's seven are large.
    private static func chunks(of layers: Range<Int>, _ pool: ThreadPool) -> [Range<Int>] {
        let size = max(pool.threadCount / 4, 1)
        return stride(from: layers.lowerBound, to: layers.upperBound, by: size).map {
            $0..<min($0 + size, layers.upperBound)
        }
    }

    private static func packed(_ layer: LayerWeights) throws(TuneError) -> [PackedMatrix] {
        try Projection.allCases.map { projection throws(TuneError) in
            guard case .packed(let matrix) = layer[projection].storage else {
                throw TuneError("\(layer[projection].name) is not packed: only a model that Crumb quantized is tuned")
            }
            return matrix
        }
    }

    /// The latent matrices of some layers, layer by layer, a thread each.
    private static func latents(
        _ packed: [[PackedMatrix]], of layers: Range<Int>, source: DecoderWeights, pool: ThreadPool
    ) throws -> [LatentMatrix] {
        let kinds = Projection.allCases
        return try pool.map(count: layers.count * kinds.count) { index in
            let (layer, kind) = index.quotientAndRemainder(dividingBy: kinds.count)
            let rows = WeightRows(source.layers[layers.lowerBound + layer][kinds[kind]])
            let matrix = packed[layer][kind]
            return LatentMatrix(try BlockUnpacker.unpack(matrix), order: matrix.order) { rows.read($0, into: $1) }
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
        let kinds = Projection.allCases
        for chunk in Self.chunks(of: matrices.indices, pool) {
            let students = chunk.flatMap { layer in kinds.compactMap { matrices[layer][$0] } }
            let latents = try students.map { try $0.download(pass.stream) }
            let packed = try pool.map(count: latents.count) { place in
                let (layer, kind) = place.quotientAndRemainder(dividingBy: kinds.count)
                return try PackedMatrix(
                    latents[place].rounded(),
                    name: "model.layers.\(chunk.lowerBound + layer).\(kinds[kind].name).weight",
                    order: students[place].order)
            }
            for (place, index) in chunk.enumerated() {
                let own = packed[place * kinds.count..<(place + 1) * kinds.count]
                layers.append(
                    TunedWeights.Layer(
                        inputNorm: try numbers(.inputNorm(index), pass),
                        postAttentionNorm: try numbers(.postNorm(index), pass),
                        biases: try biases(index, pass),
                        matrices: Dictionary(uniqueKeysWithValues: zip(kinds, own))))
            }
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
