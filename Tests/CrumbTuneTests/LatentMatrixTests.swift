import CrumbABI
import CrumbModel
import CrumbPacked
import CrumbTune
import Testing

@Suite struct LatentMatrixTests {
    /// A random quantized matrix with outliers and, in its last row, no scales; its order; and a source that differs.
    private struct Case {
        let matrix: QuantizedMatrix
        let order: ChannelOrder
        let source: [Float]

        init(_ shape: Shape) throws {
            var random = RandomStream(seed: UInt64(shape.rows))
            order = RandomWeights.order(
                shape.columns, segments: shape.segments, fourBit: shape.fourBitChannels, &random)
            var matrix = try BlockUnpacker.unpack(
                RandomWeights.packed(
                    shape.rows, shape.columns, segments: shape.segments, order: order,
                    fourBitChannels: shape.fourBitChannels, &random))
            for slot in 0..<2 * shape.segments { matrix.rowScales[(shape.rows - 1) * 2 * shape.segments + slot] = 0 }
            for group in 0..<matrix.shape.orderCount / 32 {
                matrix.scaleCodes[(shape.rows - 1) * matrix.shape.orderCount / 32 + group] = 0
            }
            matrix.outliers.removeAll { $0.row == shape.rows - 1 }
            self.matrix = matrix
            source = (0..<shape.rows * shape.columns).map { _ in 0.3 * random.symmetric() }
        }

        func latent() -> LatentMatrix {
            LatentMatrix(matrix, order: order) { row, output in
                for k in 0..<matrix.shape.k { output[k] = source[row * matrix.shape.k + k] }
            }
        }
    }

    struct Shape: Sendable {
        let rows, columns, segments, fourBitChannels: Int
    }

    static let shapes = [
        Shape(rows: 1, columns: 64, segments: 1, fourBitChannels: 64),
        Shape(rows: 33, columns: 96, segments: 1, fourBitChannels: 32),
        Shape(rows: 40, columns: 352, segments: 2, fourBitChannels: 32),
        Shape(rows: 7, columns: 200, segments: 4, fourBitChannels: 0),
    ]

    @Test("numbers that were not moved round to the matrix they came from", arguments: shapes)
    func unmoved(_ shape: Shape) throws {
        let made = try Case(shape)
        let rounded = made.latent().rounded()
        #expect(rounded.rowScales == made.matrix.rowScales)
        #expect(rounded.scaleCodes == made.matrix.scaleCodes)
        let (expected, got) = (made.matrix.dequantized(order: made.order), rounded.dequantized(order: made.order))
        // An outlier may have another code beside another delta.
        for (a, b) in zip(expected, got) { #expect(abs(a - b) <= 1e-3 * abs(a) + 1e-6) }
        let places = made.matrix.outliers.map { [$0.row, $0.position] }
        #expect(Set(rounded.outliers.map { [$0.row, $0.position] }).isSubset(of: places))
    }

    @Test("latent weights are the source's, as far as they round to the same code")
    func nearSource() throws {
        let made = try Case(Self.shapes[1])
        let latent = made.latent()
        let positions = made.matrix.shape.orderCount
        for (index, weight) in latent.weights.enumerated() {
            let scale = latent.scales[index / 32]
            let channel = Int(made.order.channels[index % positions])
            guard channel != Int(CRUMB_PADDING_CHANNEL), latent.outliers[index / 32] >> UInt32(index % 32) & 1 == 0
            else {
                continue
            }
            let level = Float(made.matrix.codes[index]) - (made.matrix.isFourBit(index % positions) ? 7.5 : 1.5)
            let wanted = made.source[index / positions * made.matrix.shape.k + channel]
            #expect(abs(weight - level * scale) <= 0.46 * scale)
            #expect(abs(weight - wanted) <= abs(level * scale - wanted))
        }
    }

    @Test("a moved weight gets the nearest code, a moved scale the nearest multiple of the row's, an outlier its value")
    func moved() throws {
        let made = try Case(Self.shapes[2])
        var latent = made.latent()
        let positions = made.matrix.shape.orderCount
        let outlier = try #require(made.matrix.outliers.first)
        let group = outlier.row * positions / 32 + outlier.position / 32
        let rowScale = latent.rowScales[outlier.row * 4 + outlier.position / made.matrix.shape.segmentChannels * 2 + 1]
        latent.scales[group] = 40 * rowScale
        latent.weights[outlier.row * positions + outlier.position] = 0.125
        let neighbour = outlier.position % 32 == 0 ? outlier.position + 1 : outlier.position - 1
        latent.outliers.withUnsafeBufferPointer { #expect($0[group] >> UInt32(outlier.position % 32) & 1 == 1) }
        latent.weights[outlier.row * positions + neighbour] = -100
        let rounded = latent.rounded()
        #expect(rounded.scaleCodes[group] == 15)
        #expect(rounded.codes[outlier.row * positions + neighbour] == 0)
        let weights = rounded.dequantized(order: made.order)
        let channel = Int(made.order.channels[outlier.position])
        #expect(abs(weights[outlier.row * made.matrix.shape.k + channel] - 0.125) < 1e-3)
    }
}
