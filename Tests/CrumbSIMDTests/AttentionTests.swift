import CrumbSIMD
import Testing

extension KernelTests {
    @Test("Decode attention equals the plain loops", arguments: levels, [8, 64, 80, 128, 200])
    func decodeAttention(level: crumb_level, d: Int) {
        var random = Generator(state: UInt64(d))
        for count in [1, 2, 7, 65] {
            let stride = d + 8
            let cache = random.halves(count * stride)
            let q = random.floats(d)
            let weights = random.floats(count, in: 0...1)
            var scores = [Float](repeating: .nan, count: count)
            var sums = [Float](repeating: .nan, count: d)
            at(level) {
                crumb_attention_scores(q, cache, stride, count, d, &scores)
                crumb_attention_values(weights, cache, stride, count, d, &sums)
            }
            let rows = (0..<count).map { j in (0..<d).map { Double(value(cache[j * stride + $0])) } }
            expectClose(scores, rows.map { row in (0..<d).reduce(0.0) { $0 + row[$1] * Double(q[$1]) } }, floor: 1e-5)
            expectClose(
                sums, (0..<d).map { i in (0..<count).reduce(0.0) { $0 + rows[$1][i] * Double(weights[$1]) } },
                floor: 1e-5)
        }
    }

    @Test("Panels of keys and of values hold them exactly", arguments: levels, [(32, 64), (5, 80), (17, 8)])
    func attentionPanels(level: crumb_level, size: (width: Int, d: Int)) {
        var random = Generator(state: 61)
        let stride = size.d + 4
        let cache = random.halves(40 * stride)
        var scratch = [UInt8](repeating: 0, count: crumb_gemm_scratch_bytes())
        var keys = [Float](repeating: .nan, count: size.d * 32)
        var values = [Float](repeating: .nan, count: 40 * 32)
        let width = min(size.width, size.d)
        at(level) {
            crumb_fill_panel_dense(CRUMB_F16, cache, 2 * stride, size.width, 0, size.d, &scratch, &keys)
            crumb_fill_panel_halves(cache, stride, width, 40, &values)
        }
        for k in 0..<size.d {
            for j in 0..<32 {
                #expect(keys[k * 32 + j] == (j < size.width ? value(cache[j * stride + k]) : 0))
            }
        }
        for k in 0..<40 {
            for j in 0..<32 { #expect(values[k * 32 + j] == (j < width ? value(cache[k * stride + j]) : 0)) }
        }
    }
}
