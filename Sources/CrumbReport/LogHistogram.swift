import Glibc

/// Counts of positive values in bins of equal width on a logarithmic scale.
package struct LogHistogram: Sendable, Equatable {
    /// Bins between a value and its double.
    package static let binsPerOctave = 8
    /// The lowest bin begins at 2^lowestOctave; smaller values count there, too large ones in the last bin.
    package static let lowestOctave = -2
    package static let highestOctave = 7

    package private(set) var counts = [Int](repeating: 0, count: binsPerOctave * (highestOctave - lowestOctave))

    package init() {}

    /// All values counted.
    package var total: Int { counts.reduce(0, +) }

    /// Counts a value; what is no positive number goes to the lowest bin.
    package mutating func add(_ value: Float) {
        let place = (log2f(value) - Float(Self.lowestOctave)) * Float(Self.binsPerOctave)
        // The comparison is false for NaN, and a value of zero is below every bin.
        let bin = place >= 0 ? Int(min(place, Float(counts.count - 1))) : 0
        counts[bin] += 1
    }

    /// Adds the counts of another histogram.
    package mutating func add(_ other: LogHistogram) {
        for bin in counts.indices { counts[bin] += other.counts[bin] }
    }
}
