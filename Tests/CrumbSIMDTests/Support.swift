import CrumbSIMD
import Testing

/// The level is process wide, so all kernel tests are one serialized suite.
@Suite(.serialized) struct KernelTests {
    /// Every level this machine has.
    static let levels: [crumb_level] = (0...crumb_simd_best_level().rawValue).map { crumb_level(rawValue: $0) }
}

/// Runs `body` at a level and goes back to the best one.
func at<Result>(_ level: crumb_level, _ body: () throws -> Result) rethrows -> Result {
    crumb_set_simd_level(level)
    defer { crumb_set_simd_level(crumb_simd_best_level()) }
    return try body()
}

/// SplitMix64: the same numbers on every machine.
struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }

    mutating func halves(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [UInt16] {
        floats(count, in: range).map { Float16($0).bitPattern }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }
}

func value(_ half: UInt16) -> Float { Float(Float16(bitPattern: half)) }

/// Fails with the worst place when |actual - expected| > floor + share x bound anywhere. `bounds` are sums of
/// magnitudes: what rounding errors are proportional to.
func expectClose(
    _ actual: [Float], _ expected: [Double], bounds: [Double]? = nil, share: Double = 1e-5, floor: Double = 1e-6,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    guard actual.count == expected.count else {
        Issue.record("\(actual.count) values instead of \(expected.count)", sourceLocation: sourceLocation)
        return
    }
    var worst = (ratio: 0.0, index: 0)
    for index in actual.indices {
        let allowed = floor + share * (bounds?[index] ?? abs(expected[index]))
        let difference = abs(Double(actual[index]) - expected[index])
        let ratio = difference.isNaN ? .infinity : difference / allowed
        if ratio > worst.ratio { worst = (ratio, index) }
    }
    #expect(
        worst.ratio <= 1,
        "at \(worst.index): \(actual[worst.index]) instead of \(expected[worst.index]), \(worst.ratio) x the tolerance",
        sourceLocation: sourceLocation)
}

/// y = X W^T in double precision with the sums of magnitudes beside it. X (M, K), W (N, K).
func product(_ x: [Float], _ w: [Float], m: Int, n: Int, k: Int) -> (y: [Double], bounds: [Double]) {
    var y = [Double](repeating: 0, count: m * n)
    var bounds = y
    for token in 0..<m {
        for row in 0..<n {
            for channel in 0..<k {
                let term = Double(x[token * k + channel]) * Double(w[row * k + channel])
                y[token * n + row] += term
                bounds[token * n + row] += abs(term)
            }
        }
    }
    return (y, bounds)
}

/// Activations after rounding to int8 in groups of 32, as the decode kernels see them.
func roundedToInt8(_ x: [Float]) -> [Float] {
    var out = x
    for start in stride(from: 0, to: x.count, by: 32) {
        let group = start..<min(start + 32, x.count)
        let largest = x[group].map(abs).max() ?? 0
        for index in group {
            out[index] = largest == 0 ? 0 : (x[index] * (127 / largest)).rounded(.toNearestOrEven) * (largest / 127)
        }
    }
    return out
}
