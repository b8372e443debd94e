import CrumbABI
package import CrumbEngine
import CrumbFormats
package import CrumbModel
import CrumbTensor
import CrumbThreads

/// How the ranges of a model's groups are spread: largest minus smallest of 32 weights of a row, next to each other as the
/// model has its channels.
package struct WeightRanges: Sendable {
    /// The ranges of some groups.
    package struct Spread: Sendable, Equatable {
        /// Shares of the groups whose range is at most that of `quantiles`.
        package static let shares = [0.05, 0.25, 0.5, 0.75, 0.95]
        /// In units of the weights, one for each of `shares`.
        package let quantiles: [Float]
        package let largest: Float

        /// - Parameter ranges: At least one, in any order.
        init(_ ranges: [Float]) {
            let sorted = ranges.sorted()
            // The smallest range that so large a share of the groups does not exceed.
            quantiles = Self.shares.map { sorted[Int(($0 * Double(sorted.count)).rounded(.up)) - 1] }
            largest = sorted[sorted.count - 1]
        }
    }

    /// One kind of matrix.
    package struct Kind: Sendable {
        package let projection: Projection
        /// Of each layer's matrix.
        package let layers: [Spread]
        /// Of the groups of all layers.
        package let all: Spread
    }

    package let kinds: [Kind]

    /// Reads all weights of a model's linear layers.
    ///
    /// - Parameter progress: Called with the share that is done, and may throw to stop.
    /// - Throws: `PipelineError` for a model that is quantized already.
    package init(_ source: LoadedModel, progress: (Double) throws -> Void) throws {
        guard source.quantization == nil else {
            throw PipelineError(
                "\(source.path) is quantized already; ranges are those of the unquantized weights, so give that model")
        }
        let weights = source.forward.weights
        let total = Double(Projection.allCases.count * weights.layers.count)
        var kinds: [Kind] = []
        // Kind by kind, so that only the ranges of one are in memory.
        for projection in Projection.allCases {
            var all: [Float] = []
            var layers: [Spread] = []
            for layer in weights.layers {
                try progress(Double(kinds.count * weights.layers.count + layers.count) / total)
                try source.checkpoint.checkUnchanged()
                let ranges = Self.ranges(of: layer[projection], pool: source.pool)
                layers.append(Spread(ranges))
                all += ranges
            }
            kinds.append(Kind(projection: projection, layers: layers, all: Spread(all)))
        }
        self.kinds = kinds
    }

    /// Of all groups of a matrix; the last of a row has what is left.
    private static func ranges(of weight: LinearWeight, pool: ThreadPool) -> [Float] {
        guard case .dense(let view) = weight.storage else { preconditionFailure("\(weight.name) is quantized already") }
        let size = Int(CRUMB_GROUP)
        let groups = (view.columns + size - 1) / size
        return [Float](unsafeUninitializedCapacity: view.rows * groups) { ranges, count in
            guard let base = ranges.baseAddress else { return }
            pool.run(count: view.rows) { n in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: view.columns) { row in
                    Dequantizer.dequantizeRow(view, n, into: row)
                    for group in 0..<groups {
                        var low = Float.infinity
                        var high = -Float.infinity
                        for weight in row[group * size..<min((group + 1) * size, view.columns)] {
                            low = min(low, weight)
                            high = max(high, weight)
                        }
                        base[n * groups + group] = high - low
                    }
                }
            }
            count = view.rows * groups
        }
    }
}
