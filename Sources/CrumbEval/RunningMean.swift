/// Mean and standard error of numbers that arrive one by one.
///
/// Updated as by Welford (Technometrics, 1962), which does not cancel where the mean is large beside the spread.
package struct RunningMean: Sendable, Equatable {
    package private(set) var count = 0
    package private(set) var mean = 0.0
    /// Sum of squared distances from the mean.
    private var spread = 0.0

    package init() {}

    package mutating func add(_ value: Double) {
        count += 1
        let distance = value - mean
        mean += distance / Double(count)
        spread += distance * (value - mean)
    }

    /// The standard deviation of a sample, with count - 1 in the denominator; 0 for fewer than two numbers.
    package var deviation: Double { count > 1 ? (spread / Double(count - 1)).squareRoot() : 0 }

    /// The standard error of the mean as llama.cpp computes it, sqrt((mean of squares - square of the mean) / (n - 1));
    /// 0 for fewer than two numbers.
    package var standardError: Double {
        count > 1 ? (spread / Double(count) / Double(count - 1)).squareRoot() : 0
    }
}
