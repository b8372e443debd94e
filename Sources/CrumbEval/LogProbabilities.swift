import CrumbEngine
import CrumbSIMD
import Glibc

/// One row of logits as a distribution over the vocabulary.
///
/// Exponentials are in fp32, with relative errors below 2e-6 that average out over the vocabulary; sums are in double.
struct LogProbabilities {
    /// The row, unchanged.
    let logits: UnsafeBufferPointer<Float>
    /// log(sum(exp(logits))): what is subtracted from a logit to make a log probability.
    let normalizer: Double
    /// The most likely token, the lowest id among equals.
    let mostLikely: Int

    /// Numbers handled at once, so that scratch memory stays in the first-level cache.
    private static let block = 1024

    init(_ logits: UnsafeBufferPointer<Float>) {
        self.logits = logits
        mostLikely = Int(Sampler.mostLikely(logits))
        let largest = logits[mostLikely]
        var sum = 0.0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.block) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            for start in stride(from: 0, to: logits.count, by: Self.block) {
                let count = min(Self.block, logits.count - start)
                for index in 0..<count { scratch[index] = logits[start + index] - largest }
                crumb_exp(scratch, count, scratch)
                var part: Float = 0
                for index in 0..<count { part += scratch[index] }
                sum += Double(part)
            }
        }
        normalizer = Double(largest) + log(sum)
    }

    /// log p(token).
    subscript(_ token: Int) -> Double { Double(logits[token]) - normalizer }

    /// The Kullback-Leibler divergence sum(p (log p - log q)) of `other` = q from this distribution p, in nats. Both have
    /// the same vocabulary.
    func divergence(of other: LogProbabilities) -> Double {
        let shift = other.normalizer - normalizer
        let normalizer = Float(normalizer)
        var sum = 0.0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.block) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            for start in stride(from: 0, to: logits.count, by: Self.block) {
                let count = min(Self.block, logits.count - start)
                for index in 0..<count { scratch[index] = logits[start + index] - normalizer }
                crumb_exp(scratch, count, scratch)
                for index in 0..<count {
                    let distance = Double(logits[start + index]) - Double(other.logits[start + index]) + shift
                    sum += Double(scratch[index]) * distance
                }
            }
        }
        return sum
    }
}
