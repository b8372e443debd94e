import CrumbSIMD
import Testing

extension KernelTests {
    struct GroupedRows {
        var codes: [UInt8]
        var scales: [UInt16]
        var weights: [Float]

        init(bits: Int, n: Int, k: Int, random: inout Generator) {
            codes = random.bytes(n * k * bits / 8)
            scales = random.halves(n * k / 32, in: 0.001...0.01)
            weights = []
            for index in 0..<n * k {
                let code =
                    bits == 8
                    ? Int(Int8(bitPattern: codes[index]))
                    : Int(codes[index / 2] >> (index % 2 == 0 ? 0 : 4) & 15) - 8
                weights.append(value(scales[index / 32]) * Float(code))
            }
        }
    }

    @Test("Grouped rows times one token equal the plain loop", arguments: levels, [8, 4])
    func groupedDecode(level: crumb_level, bits: Int) {
        var random = Generator(state: 41)
        for k in [32, 64, 96, 576, 1056] {
            let n = 11
            let rows = GroupedRows(bits: bits, n: n, k: k, random: &random)
            let x = random.floats(k, in: -5...5)
            var prepared = [UInt8](repeating: 0xAA, count: crumb_grouped_input_bytes(Int32(bits), k))
            var y = [Float](repeating: 1, count: n)
            at(level) {
                crumb_prepare_grouped_input(Int32(bits), x, k, &prepared)
                crumb_gemv_grouped(Int32(bits), rows.codes, rows.scales, 0, 2, k, prepared, &y, true)
                crumb_gemv_grouped(Int32(bits), rows.codes, rows.scales, 2, n, k, prepared, &y, true)
            }
            let expected = product(roundedToInt8(x), rows.weights, m: 1, n: n, k: k)
            expectClose(y, expected.y.map { $0 + 1 }, bounds: expected.bounds, share: 1e-6, floor: 1e-6)
        }
    }

    @Test("Grouped rows expand exactly and multiply like dense ones", arguments: levels, [8, 4])
    func groupedProduct(level: crumb_level, bits: Int) {
        var random = Generator(state: 42)
        let m = 14
        let n = 45
        let k = 544
        let rows = GroupedRows(bits: bits, n: n, k: k, random: &random)
        var row = [Float](repeating: .nan, count: k)
        at(level) { crumb_dequantize_grouped_row(Int32(bits), rows.codes, rows.scales, &row, k) }
        #expect(row == Array(rows.weights[0..<k]))

        let x = random.floats(m * k)
        var slabs = [Float](repeating: .nan, count: crumb_slab_floats(m, k))
        var scratch = [UInt8](repeating: 0, count: crumb_gemm_scratch_bytes())
        var y = [Float](repeating: .nan, count: m * n)
        at(level) {
            crumb_fill_slabs(x, k, m, k, nil, 0, 2, &slabs)
            crumb_gemm_grouped(Int32(bits), rows.codes, rows.scales, n, k, 0, 2, slabs, m, &scratch, &y, n, false)
        }
        let expected = product(x, rows.weights, m: m, n: n, k: k)
        expectClose(y, expected.y, bounds: expected.bounds, share: 2e-6)
    }
}
