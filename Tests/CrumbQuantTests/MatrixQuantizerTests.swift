import CrumbABI
import CrumbBLAS
import CrumbPacked
import CrumbQuant
import CrumbTestSupport
import CrumbThreads
import Testing

/// Weights and correlated inputs with a few strong channels, as in a real layer.
struct SyntheticLayer {
    let n: Int
    let k: Int
    let weights: [Float]
    let statistics: InputStatistics

    init(n: Int, k: Int, tokens: Int, seed: UInt64, blas: BLAS, pool: ThreadPool) {
        self.n = n
        self.k = k
        var random = SeededGenerator(seed: seed)
        weights = (0..<n * k).map { _ in random.normal() * (Int.random(in: 0..<200, using: &random) == 0 ? 5 : 1) }
        let strength = (0..<k).map { _ in Float.random(in: 0...1, using: &random) < 0.1 ? Float(4) : 1 }
        var inputs = [Float](repeating: 0, count: tokens * k)
        for token in 0..<tokens {
            let shared = random.normal()
            for channel in 0..<k {
                inputs[token * k + channel] = strength[channel] * (random.normal() + 0.5 * shared)
            }
        }
        statistics = InputStatistics(channels: k)
        let half = tokens / 2
        inputs.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            statistics.add(base, count: half, blas: blas, pool: pool)
            statistics.add(base + half * k, count: tokens - half, blas: blas, pool: pool)
        }
        statistics.finish()
    }
}

@Suite struct MatrixQuantizerTests {
    let blas: BLAS
    let pool = ThreadPool(threadCount: 2)

    init() throws { blas = try BLAS.load() }

    private func quantize(
        _ layer: SyntheticLayer, method: QuantizationMethod, fourBit: Int = 64, outliers: Int = 4, segments: Int = 1,
        threads: ThreadPool? = nil
    ) throws -> (matrix: QuantizedMatrix, error: MatrixError, order: ChannelOrder) {
        let shape = try #require(
            crumb_packed_shape(
                rows: layer.n, columns: layer.k, segments: segments, fourBitChannels: fourBit,
                outliersPerTile: outliers))
        let order = ChannelOrder.sorted(by: layer.statistics.meanSquares, shape: shape)
        let factor = try ErrorFactor(layer.statistics, order: order, damping: 0.01, shrinkage: 0, blas: blas)
        let quantizer = MatrixQuantizer(
            settings: QuantizerSettings(method: method), blas: blas, pool: threads ?? pool)
        let source = MatrixQuantizer.Source(name: "w", weights: layer.weights, shape: shape)
        let result = try quantizer.quantize([source], order: order, factor: factor)[0]
        return (result.matrix, result.error, order)
    }

    @Test("each part of the method lowers the output error")
    func methodsRank() throws {
        let layer = SyntheticLayer(n: 80, k: 300, tokens: 1200, seed: 1, blas: blas, pool: pool)
        let rtn = try quantize(layer, method: .rtn).error.relativeOutputError
        let gptq = try quantize(layer, method: .gptq).error.relativeOutputError
        let full = try quantize(layer, method: .full).error.relativeOutputError
        let plain = try quantize(layer, method: .full, outliers: 0).error.relativeOutputError
        let allTwo = try quantize(layer, method: .full, fourBit: 0, outliers: 0).error.relativeOutputError
        let allFour = try quantize(layer, method: .full, fourBit: 320, outliers: 0).error.relativeOutputError
        #expect(gptq < 0.9 * rtn)
        #expect(full < 0.95 * gptq)
        #expect(full < plain)
        #expect(plain < allTwo)
        #expect(allFour < 0.35 * full)
    }

    @Test("the error reported is that of the dequantized matrix")
    func reportedError() throws {
        let layer = SyntheticLayer(n: 40, k: 200, tokens: 800, seed: 2, blas: blas, pool: pool)
        let result = try quantize(layer, method: .full)
        let dequantized = result.matrix.dequantized(order: result.order)
        var error = 0.0
        var norm = 0.0
        for index in dequantized.indices {
            error +=
                Double(layer.weights[index] - dequantized[index]) * Double(layer.weights[index] - dequantized[index])
            norm += Double(layer.weights[index]) * Double(layer.weights[index])
        }
        #expect(abs(error / norm - result.error.relativeWeightError) < 1e-4 * result.error.relativeWeightError + 1e-6)
    }

    @Test("codes do not depend on the number of threads", arguments: [1, 3])
    func threads(_ count: Int) throws {
        let layer = SyntheticLayer(n: 500, k: 200, tokens: 500, seed: 3, blas: blas, pool: pool)
        let one = try quantize(layer, method: .full).matrix
        let other = try quantize(layer, method: .full, threads: ThreadPool(threadCount: count)).matrix
        #expect(one == other)
    }

    @Test("matrices that share an input are quantized as each alone, tiny and zero weights too")
    func shared() throws {
        let layer = SyntheticLayer(n: 250, k: 128, tokens: 500, seed: 6, blas: blas, pool: pool)
        let shape = try #require(
            crumb_packed_shape(rows: 250, columns: 128, segments: 1, fourBitChannels: 64, outliersPerTile: 2))
        let order = ChannelOrder.sorted(by: layer.statistics.meanSquares, shape: shape)
        let factor = try ErrorFactor(layer.statistics, order: order, damping: 0.01, shrinkage: 0, blas: blas)
        let quantizer = MatrixQuantizer(settings: QuantizerSettings(), blas: blas, pool: pool)
        var tiny = layer.weights.map { $0 * 1e-4 }
        for index in 0..<128 { tiny[index] = 0 }
        let sources = [layer.weights, tiny].map { MatrixQuantizer.Source(name: "w", weights: $0, shape: shape) }
        let together = try quantizer.quantize(sources, order: order, factor: factor)
        let alone = try sources.map { try quantizer.quantize([$0], order: order, factor: factor)[0] }
        for (a, b) in zip(together, alone) {
            #expect(a.matrix == b.matrix)
            #expect(a.error.relativeOutputError < 0.1)
        }
    }

    @Test("segments keep their channels and quantize as well")
    func segments() throws {
        let layer = SyntheticLayer(n: 64, k: 512, tokens: 1500, seed: 4, blas: blas, pool: pool)
        let whole = try quantize(layer, method: .full, fourBit: 128)
        let cut = try quantize(layer, method: .full, fourBit: 64, segments: 2)
        #expect(cut.order.channels.prefix(256).allSatisfy { $0 < 256 })
        #expect(cut.error.relativeOutputError < 1.5 * whole.error.relativeOutputError)
    }

    @Test("a weight that is not finite or too large is refused by row and column", arguments: [Float.nan, 1e20])
    func notFinite(_ value: Float) throws {
        let layer = SyntheticLayer(n: 32, k: 64, tokens: 200, seed: 5, blas: blas, pool: pool)
        var weights = layer.weights
        weights[3 * 64 + 7] = value
        let shape = try #require(
            crumb_packed_shape(rows: 32, columns: 64, segments: 1, fourBitChannels: 0, outliersPerTile: 0))
        let order = ChannelOrder.sorted(by: layer.statistics.meanSquares, shape: shape)
        let factor = try ErrorFactor(layer.statistics, order: order, damping: 0.01, shrinkage: 0, blas: blas)
        let quantizer = MatrixQuantizer(settings: QuantizerSettings(), blas: blas, pool: pool)
        let error = #expect(throws: QuantizationError.self) {
            try quantizer.quantize(
                [MatrixQuantizer.Source(name: "w", weights: weights, shape: shape)], order: order, factor: factor)
        }
        #expect(error?.description.contains("row 3, column 7") == true)
    }
}
