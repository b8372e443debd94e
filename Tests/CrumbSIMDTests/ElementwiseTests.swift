import CrumbSIMD
import Glibc
import Testing

extension KernelTests {
    /// Whole vectors, remainders, and less than one vector.
    static let counts = [1, 15, 16, 33, 576, 1000]

    @Test("exp is within 4e-7 over its whole range", arguments: levels)
    func exponential(level: crumb_level) {
        var random = Generator(state: 51)
        let x = random.floats(20001, in: -87.2...88.7) + random.floats(10000, in: -1...1) + [0, -0.0]
        var y = x
        at(level) { crumb_exp(x, x.count, &y) }
        let worst = zip(x, y).map { abs(Double($1) / Glibc.exp(Double($0)) - 1) }.max() ?? 0
        #expect(worst < 4e-7)
        let ends: [Float] = [-88, -1e30, -.infinity, 89, .infinity]
        var values = ends
        at(level) { crumb_exp(ends, ends.count, &values) }
        #expect(values == [0, 0, 0, .infinity, .infinity])
    }

    @Test("Norm, activation, softmax and sums equal the plain loops", arguments: levels, counts)
    func elementwise(level: crumb_level, count: Int) {
        var random = Generator(state: UInt64(count))
        let a = random.floats(count, in: -8...8)
        let b = random.floats(count)
        let start = random.floats(count)

        var norm = [Float](repeating: .nan, count: count)
        at(level) { crumb_rmsnorm(a, b, count, 1e-5, &norm) }
        let mean = a.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(count)
        expectClose(norm, zip(a, b).map { Double($0) * Double($1) / (mean + 1e-5).squareRoot() }, share: 2e-6)

        var silu = norm
        at(level) { crumb_silu_multiply(a, b, count, &silu) }
        expectClose(silu, zip(a, b).map { Double($0) / (1 + Glibc.exp(-Double($0))) * Double($1) }, share: 3e-6)

        var soft = a
        at(level) { crumb_softmax(&soft, count, 0.5) }
        let weights = a.map { Glibc.exp(Double($0) * 0.5) }
        let total = weights.reduce(0, +)
        expectClose(soft, weights.map { $0 / total }, share: 5e-6, floor: 1e-9)

        var sum = start
        at(level) {
            crumb_add(&sum, a, count)
            crumb_add_scaled(&sum, -0.5, b, count)
        }
        expectClose(sum, (0..<count).map { Double(start[$0]) + Double(a[$0]) - 0.5 * Double(b[$0]) }, floor: 2e-6)

        let dot = at(level) { crumb_dot(a, b, count) }
        let terms = zip(a, b).map { Double($0) * Double($1) }
        expectClose([dot], [terms.reduce(0, +)], bounds: [terms.reduce(0) { $0 + abs($1) }], share: 2e-6)
        let squares = at(level) { crumb_sum_of_squares(a, count) }
        #expect(abs(squares / (mean * Double(count)) - 1) < 1e-12)
    }

    @Test("softmax ignores masked places", arguments: levels)
    func maskedSoftmax(level: crumb_level) {
        var x = [Float](repeating: -.infinity, count: 20)
        x[3] = 1
        x[19] = 1
        at(level) { crumb_softmax(&x, 20, 1) }
        #expect(x.indices.allSatisfy { x[$0] == ($0 == 3 || $0 == 19 ? 0.5 : 0) })
    }

    @Test("The streaming read sees every byte", arguments: levels)
    func streamingRead(level: crumb_level) {
        let bytes = [UInt8](repeating: 1, count: 1000)
        // 3 x 256 bytes as 192 words, then 232 single bytes.
        #expect(at(level) { crumb_read_bandwidth(bytes, bytes.count) } == 192 * 0x0101_0101 + 232)
    }
}
