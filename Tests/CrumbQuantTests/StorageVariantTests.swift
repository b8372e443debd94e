import CrumbABI
import CrumbBLAS
import CrumbPacked
import CrumbQuant
import CrumbThreads
import Testing

@Suite struct StorageVariantTests {
    let blas: BLAS
    let pool = ThreadPool(threadCount: 2)

    init() throws { blas = try BLAS.load() }

    private func variant(_ change: (inout StorageVariant) -> Void) -> StorageVariant {
        var variant = StorageVariant()
        change(&variant)
        return variant
    }

    /// 75 x 300 in one segment with 64 4-bit channels: 256 2-bit ones with their padding, 3 tiles of rows.
    private func shape(outliers: Int = 4) throws -> crumb_packed_shape {
        try #require(
            crumb_packed_shape(rows: 75, columns: 300, segments: 1, fourBitChannels: 64, outliersPerTile: outliers))
    }

    private func quantize(
        _ storage: StorageVariant, _ shape: crumb_packed_shape, threads: ThreadPool? = nil
    ) throws -> (weights: [Float], error: MatrixError) {
        let layer = SyntheticLayer(n: shape.n, k: shape.k, tokens: 900, seed: 11, blas: blas, pool: pool)
        let order = ChannelOrder.sorted(by: layer.statistics.meanSquares, shape: shape)
        let factor = try ErrorFactor(layer.statistics, order: order, damping: 0.01, shrinkage: 0.05, blas: blas)
        let quantizer = MatrixQuantizer(
            settings: QuantizerSettings(storage: storage), blas: blas, pool: threads ?? pool)
        let source = MatrixQuantizer.Source(name: "w", weights: layer.weights, shape: shape)
        return try quantizer.quantizeDense([source], order: order, factor: factor)[0]
    }

    @Test("dense weights are those of the packed matrix")
    func dense() throws {
        let shape = try shape()
        let layer = SyntheticLayer(n: 75, k: 300, tokens: 900, seed: 11, blas: blas, pool: pool)
        let order = ChannelOrder.sorted(by: layer.statistics.meanSquares, shape: shape)
        let factor = try ErrorFactor(layer.statistics, order: order, damping: 0.01, shrinkage: 0.05, blas: blas)
        let quantizer = MatrixQuantizer(settings: QuantizerSettings(), blas: blas, pool: pool)
        let source = MatrixQuantizer.Source(name: "w", weights: layer.weights, shape: shape)
        let packed = try quantizer.quantize([source], order: order, factor: factor)[0].matrix
        // Outliers' deltas are in half precision.
        for (a, b) in zip(packed.dequantized(order: order), try quantize(StorageVariant(), shape).weights) {
            #expect(abs(a - b) < 1e-3 * max(abs(a), 1))
        }
    }

    @Test("what takes more bits loses less, on as many threads as there are")
    func losses() throws {
        let packed = try quantize(StorageVariant(), shape()).error.relativeOutputError
        let first = try quantize(variant { $0.hasFirstOrderScales = true }, shape())
        #expect(first.error.relativeOutputError < packed)
        let everywhere = try quantize(variant { $0.hasOutliersEverywhere = true }, shape())
        #expect(everywhere.error.relativeOutputError < packed)
        #expect(try quantize(variant { $0.narrowBits = 3 }, shape()).error.relativeOutputError < 0.5 * packed)
        let alone = try quantize(
            variant { $0.hasFirstOrderScales = true }, shape(), threads: ThreadPool(threadCount: 1))
        #expect(alone.weights == first.weights)
    }

    @Test("a group has at most as many values as its codes, rows that choose in as many groups as the shape has")
    func groups() throws {
        let shape = try shape(outliers: 0)
        let layer = SyntheticLayer(n: 75, k: 300, tokens: 900, seed: 11, blas: blas, pool: pool)
        let order = ChannelOrder.sorted(by: layer.statistics.meanSquares, shape: shape)
        let weights = try quantize(variant { $0.choosesGroups = true }, shape).weights
        var wide = 0
        var wideChannels: Set<Int> = []
        for row in 0..<75 {
            for first in stride(from: 0, to: 320, by: 32) {
                let channels = order.channels[first..<first + 32].filter { $0 != UInt16(CRUMB_PADDING_CHANNEL) }
                let values = Set(channels.map { weights[row * 300 + Int($0)] })
                #expect(values.count <= 16)
                if values.count > 4 {
                    wide += 1
                    wideChannels.insert(first)
                }
            }
        }
        // A few with one giant weight have hardly more values than 2 bits give.
        #expect((140...75 * 64 / 32).contains(wide))
        #expect(wideChannels.count > 2)
    }

    @Test("the groups that gain most are chosen in every block of rows, of equal ones the first")
    func choice() {
        // 3 groups of 2 rows; 1 group a row: 2 in all.
        #expect(GroupChoice.widest([1, 5, 0, 5, 5, 0], count: 2, perRow: 1) == [0, 1, 0, 1, 0, 0])
        // The second block of rows has its own.
        let rows = GroupChoice.rows + 1
        let gains = (0..<2 * rows).map { Float($0 % rows == rows - 1 ? 0 : 1) }
        let choice = GroupChoice.widest(gains, count: rows, perRow: 1)
        #expect(choice[rows - 1] == 1 && choice[2 * rows - 1] == 0)
        #expect(choice.reduce(0) { $0 + Int($1) } == rows)
    }

    @Test("bytes are those of the packed layout and what the variant adds")
    func bytes() throws {
        let shape = try shape()
        func added(_ change: (inout StorageVariant) -> Void) -> Int {
            variant(change).byteCount(shape) - shape.byteCount
        }
        #expect(added { _ in } == 0)
        // 96 rows of 10 groups: 12 bits more each, less two fp16 numbers a row.
        #expect(added { $0.hasFirstOrderScales = true } == 96 * 10 * 12 / 8 - 96 * 4)
        // 3 records with 4 outliers of 4 bytes for their 32 x 64 weights.
        #expect(added { $0.hasOutliersEverywhere = true } == 3 * 4 * 4)
        #expect(added { $0.choosesGroups = true } == 96 * 10 / 8)
        #expect(added { $0.narrowBits = 3 } == 96 * 256 / 8)
    }
}
