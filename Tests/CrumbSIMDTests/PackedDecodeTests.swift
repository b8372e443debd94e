import CrumbABI
import CrumbSIMD
import Testing

extension KernelTests {
    @Test("A packed matrix times one token equals the plain loop", arguments: levels, RandomPackedMatrix.cases)
    func packedDecode(level: crumb_level, matrix: RandomPackedMatrix) {
        var random = Generator(state: 11)
        var shape = matrix.shape
        let rows = Int(shape.rows)
        let x = random.floats(Int(shape.columns), in: -3...3)
        var prepared = [UInt8](repeating: 0xAA, count: crumb_packed_input_bytes(&shape))
        let start = random.floats(rows)
        var y = start
        at(level) {
            crumb_prepare_packed_input(&shape, matrix.order, x, &prepared)
            crumb_packed_gemv(&shape, matrix.records, 0, 1, prepared, &y, true)
            crumb_packed_gemv(&shape, matrix.records, 1, Int(shape.row_tiles), prepared, &y, true)
        }
        let ordered = matrix.ordered(x, m: 1)
        var expected = product(
            roundedToInt8(ordered), matrix.weightsWithoutOutliers, m: 1, n: rows, k: matrix.channels)
        let outliers = product(ordered, matrix.outlierWeights, m: 1, n: rows, k: matrix.channels)
        for row in 0..<rows { expected.y[row] += outliers.y[row] + Double(start[row]) }
        expectClose(y, expected.y, bounds: expected.bounds, share: 1e-6, floor: 1e-5)

        var again = [Float](repeating: .nan, count: rows)
        at(level) { crumb_packed_gemv(&shape, matrix.records, 0, Int(shape.row_tiles), prepared, &again, false) }
        let fresh = zip(expected.y, start).map { $0 - Double($1) }
        expectClose(again, fresh, bounds: expected.bounds, share: 1e-6, floor: 1e-5)
    }

    @Test("A prepared input has the same bytes at every level", arguments: levels)
    func preparedInputIsTheSame(level: crumb_level) {
        var random = Generator(state: 12)
        for matrix in RandomPackedMatrix.cases {
            var shape = matrix.shape
            let x = random.floats(Int(shape.columns), in: -100...100)
            var bytes = [[UInt8]](repeating: .init(repeating: 0, count: crumb_packed_input_bytes(&shape)), count: 2)
            at(CRUMB_PORTABLE) { crumb_prepare_packed_input(&shape, matrix.order, x, &bytes[0]) }
            at(level) { crumb_prepare_packed_input(&shape, matrix.order, x, &bytes[1]) }
            #expect(bytes[0] == bytes[1])
        }
    }

    @Test("A token of zeros gives zeros, and one channel gives its column", arguments: levels)
    func oneChannel(level: crumb_level) {
        let matrix = RandomPackedMatrix.cases[2]
        var shape = matrix.shape
        for channel in [nil, 0, 100, 575] {
            var x = [Float](repeating: 0, count: Int(shape.columns))
            if let channel { x[channel] = 2 }
            var prepared = [UInt8](repeating: 0, count: crumb_packed_input_bytes(&shape))
            var y = [Float](repeating: .nan, count: Int(shape.rows))
            at(level) {
                crumb_prepare_packed_input(&shape, matrix.order, x, &prepared)
                crumb_packed_gemv(&shape, matrix.records, 0, Int(shape.row_tiles), prepared, &y, false)
            }
            let place = channel.flatMap { matrix.order.firstIndex(of: UInt16($0)) }
            let expected = y.indices.map { row in
                place.map { 2 * Double(matrix.weights[row * matrix.channels + $0]) } ?? 0
            }
            expectClose(y, expected, share: 1e-5, floor: 1e-5)
        }
    }
}
