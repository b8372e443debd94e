import CrumbABI
import CrumbSIMD
import Testing

extension KernelTests {
    static let tokenCounts = [1, 2, 5, 7, 12, 13, 31]

    @Test("X times a panel equals the plain loop for every M and width", arguments: levels, tokenCounts)
    func panelProduct(level: crumb_level, m: Int) {
        var random = Generator(state: 21)
        for (depth, width) in [(1, 32), (40, 32), (64, 17), (300, 5)] {
            let ldx = depth + 3
            let ldy = 35
            let x = random.floats(m * ldx)
            let panel = random.floats(depth * 32)
            let start = random.floats(m * ldy)
            for accumulate in [false, true] {
                var y = start
                at(level) { crumb_gemm_panel(x, ldx, m, panel, depth, &y, ldy, width, accumulate) }
                var expected = start.map(Double.init)
                var bounds = [Double](repeating: 1, count: expected.count)
                for token in 0..<m {
                    for j in 0..<width {
                        var sum = accumulate ? expected[token * ldy + j] : 0
                        for k in 0..<depth {
                            let term = Double(x[token * ldx + k]) * Double(panel[k * 32 + j])
                            sum += term
                            bounds[token * ldy + j] += abs(term)
                        }
                        expected[token * ldy + j] = sum
                    }
                }
                expectClose(y, expected, bounds: bounds, share: 2e-6, floor: 0)
            }
        }
    }

    @Test("Packed tiles times any M equal the plain loop", arguments: levels, RandomPackedMatrix.cases)
    func packedProduct(level: crumb_level, matrix: RandomPackedMatrix) {
        var random = Generator(state: 22)
        var shape = matrix.shape
        let n = Int(shape.rows)
        var scratch = [UInt8](repeating: 0, count: crumb_gemm_scratch_bytes())
        for m in [1, 14] {
            let x = random.floats(m * Int(shape.columns))
            var slabs = [Float](repeating: .nan, count: crumb_slab_floats(m, matrix.channels))
            var y = [Float](repeating: 0.5, count: m * n)
            at(level) {
                crumb_fill_slabs(x, Int(shape.columns), m, matrix.channels, matrix.order, 0, (m + 11) / 12, &slabs)
                crumb_gemm_packed(&shape, matrix.records, 0, Int(shape.row_tiles), slabs, m, &scratch, &y, n, true)
            }
            let expected = product(matrix.ordered(x, m: m), matrix.weights, m: m, n: n, k: matrix.channels)
            expectClose(y, expected.y.map { $0 + 0.5 }, bounds: expected.bounds, share: 2e-6)
        }
    }

    @Test("A panel of a packed matrix holds its weights exactly", arguments: levels, RandomPackedMatrix.cases)
    func packedPanel(level: crumb_level, matrix: RandomPackedMatrix) {
        var shape = matrix.shape
        let weights = matrix.weights
        let segmentChannels = Int(shape.segment_channels)
        for tile in 0..<Int(shape.row_tiles) {
            var first = 0
            var turn = 0
            while first < matrix.channels {
                let left = segmentChannels - first % segmentChannels
                let depth = min([32, 256, 96, 64][turn % 4], left)
                // A row more, which must stay as it is.
                var panel = [Float](repeating: -77, count: (depth + 1) * 32)
                at(level) { crumb_fill_panel_packed(&shape, matrix.records, tile, first, depth, &panel) }
                let expected = (0..<depth * 32).map {
                    weights[(tile * 32 + $0 % 32) * matrix.channels + first + $0 / 32]
                }
                #expect(panel == expected + [Float](repeating: -77, count: 32))
                first += depth
                turn += 1
            }
        }
    }

    @Test("Dense tiles of every type equal the plain loop", arguments: levels, BlockVectors.types)
    func denseProduct(level: crumb_level, type: crumb_type) {
        var random = Generator(state: 23)
        let m = 13
        let n = 50
        // Block types come in whole blocks; plain ones with a remainder.
        let block = crumb_block_weights(type)
        let k = block == 1 ? 301 : 512 + block
        let rowBytes = k / crumb_block_weights(type) * crumb_block_bytes(type)
        let w = BlockVectors.randomRows(type, rows: n, k: k, random: &random)
        var values = [Float](repeating: 0, count: n * k)
        for row in 0..<n {
            var one = [Float](repeating: 0, count: k)
            at(CRUMB_PORTABLE) { crumb_dequantize_row(type, Array(w[row * rowBytes..<(row + 1) * rowBytes]), &one, k) }
            values.replaceSubrange(row * k..<(row + 1) * k, with: one)
        }
        let x = random.floats(m * k)
        let expected = product(x, values, m: m, n: n, k: k)
        var slabs = [Float](repeating: .nan, count: crumb_slab_floats(m, k))
        var scratch = [UInt8](repeating: 0, count: crumb_gemm_scratch_bytes())
        var y = [Float](repeating: .nan, count: m * n)
        var decoded = [Float](repeating: .nan, count: n)
        at(level) {
            crumb_fill_slabs(x, k, m, k, nil, 0, 2, &slabs)
            crumb_gemm_dense(type, w, rowBytes, n, k, 0, 2, slabs, m, &scratch, &y, n, false)
            crumb_gemv_dense(type, w, rowBytes, 0, 7, k, x, &decoded, false)
            crumb_gemv_dense(type, w, rowBytes, 7, n, k, x, &decoded, false)
        }
        expectClose(y, expected.y, bounds: expected.bounds, share: 2e-6)
        expectClose(decoded, Array(expected.y[0..<n]), bounds: Array(expected.bounds[0..<n]), share: 2e-6)
    }

    @Test("The bits of an output depend neither on M nor on the split of rows", arguments: levels)
    func reproducible(level: crumb_level) {
        var random = Generator(state: 24)
        // More row tiles than are expanded together.
        let matrix = RandomPackedMatrix(
            rows: 290, columns: 314, segments: 2, segmentChannels: 160, fourBit: 32, outliers: 2, seed: 12)
        var shape = matrix.shape
        let n = Int(shape.rows)
        let k = Int(shape.columns)
        let x = random.floats(40 * k)
        var scratch = [UInt8](repeating: 0, count: crumb_gemm_scratch_bytes())
        func run(tokens: Range<Int>, tilesPerCall: Int) -> [Float] {
            let m = tokens.count
            var slabs = [Float](repeating: 0, count: crumb_slab_floats(m, matrix.channels))
            var y = [Float](repeating: 0, count: m * n)
            let part = Array(x[tokens.lowerBound * k..<tokens.upperBound * k])
            crumb_fill_slabs(part, k, m, matrix.channels, matrix.order, 0, (m + 11) / 12, &slabs)
            let tiles = Int(shape.row_tiles)
            for tile in stride(from: 0, to: tiles, by: tilesPerCall) {
                crumb_gemm_packed(
                    &shape, matrix.records, tile, min(tile + tilesPerCall, tiles), slabs, m, &scratch, &y, n, false)
            }
            return y
        }
        at(level) {
            let all = run(tokens: 0..<40, tilesPerCall: 10)
            for (tokens, tiles) in [(0..<1, 1), (3..<5, 3), (10..<21, 9), (20..<40, 1)] {
                let part = run(tokens: tokens, tilesPerCall: tiles)
                #expect(part == Array(all[tokens.lowerBound * n..<tokens.upperBound * n]))
            }
        }
        let w = random.floats(9 * k)
        at(level) {
            var all = [Float](repeating: 0, count: 9)
            crumb_gemv_dense(CRUMB_F32, w, 4 * k, 0, 9, k, x, &all, false)
            var parts = all
            for row in 0..<9 { crumb_gemv_dense(CRUMB_F32, w, 4 * k, row, row + 1, k, x, &parts, false) }
            #expect(all == parts)
        }
    }
}
