import CrumbGPU

/// When and on what something was measured: what every row of a table of results begins with.
package struct MeasuredOn: Sendable {
    /// UTC, as "2026-11-21T18:09:10Z".
    package let date: String
    /// Of Crumb's sources; empty where it is unknown.
    package let commit: String
    /// "NVIDIA H200".
    package let card: String
    /// NVIDIA's release number, or the driver's CUDA version.
    package let driver: String

    package init(date: String, commit: String, card: String, driver: String) {
        self.date = date
        self.commit = commit
        self.card = card
        self.driver = driver
    }

    static let columns = ["date", "commit", "card", "driver", "kernel image"]

    func cells(image: String) -> [String] { [date, commit, card, driver, image] }
}

extension KernelBenchmark {
    /// The titles of `records`.
    package static let recordColumns =
        MeasuredOn.columns + [
            "kernel", "M", "N", "K", "microseconds", "bytes", "share of read limit", "cublas microseconds", "ratio",
            "path", "shape",
        ]

    /// One row for each kernel; what there is not is empty.
    package func records(_ on: MeasuredOn, shape: String) -> [[String]] {
        timings.map { timing in
            on.cells(image: image) + [
                timing.kernel, Cell.whole(timing.m), Cell.whole(timing.n), Cell.whole(timing.k),
                Cell.number(timing.seconds * 1e6, places: 3), Cell.whole(timing.bytes),
                Cell.number(share(of: timing), places: 4),
                Cell.number(timing.librarySeconds.map { $0 * 1e6 }, places: 3), Cell.number(timing.ratio, places: 3),
                timing.path, shape,
            ]
        }
    }
}

extension AblationBenchmark {
    /// The titles of `records`.
    package static let recordColumns =
        MeasuredOn.columns + [
            "kernel", "M", "N", "K", "microseconds", "bytes", "microseconds without outliers",
            "bytes without outliers", "cost of outliers", "microseconds with synchronous copies",
            "gain of asynchronous copies", "path", "shape",
        ]

    /// One row for each product; what there is not is empty.
    package func records(_ on: MeasuredOn, shape: String) -> [[String]] {
        results.map { result in
            let (full, plain) = (result.full, result.withoutOutliers)
            return on.cells(image: image) + [
                full.kernel, Cell.whole(full.m), Cell.whole(full.n), Cell.whole(full.k),
                Cell.number(full.seconds * 1e6, places: 3), Cell.whole(full.bytes),
                Cell.number(plain.seconds * 1e6, places: 3), Cell.whole(plain.bytes),
                Cell.number(result.outlierCost, places: 4),
                Cell.number(result.synchronous.map { $0.seconds * 1e6 }, places: 3),
                Cell.number(result.asynchronousGain, places: 3), full.path, shape,
            ]
        }
    }
}

extension ShapeBenchmark {
    /// The titles of `records`.
    package static let recordColumns =
        MeasuredOn.columns + [
            "shape", "weights", "test", "batch", "context", "tokens per second", "milliseconds",
            "milliseconds on the card", "bytes per token", "share of read limit", "joules per token", "path",
        ]

    /// One row for each result; what there is not is empty.
    ///
    /// - Parameter readBytesPerSecond: The card's read limit.
    package func records(
        _ on: MeasuredOn, shape: String, weights: String, context: Int, readBytesPerSecond: Double
    ) -> [[String]] {
        results.map { result in
            let share = result.bytesPerSecond.flatMap { readBytesPerSecond > 0 ? $0 / readBytesPerSecond : nil }
            return on.cells(image: image) + [
                shape, weights, result.test, "\(result.batch)",
                // Prompts start from an empty cache.
                result.bytesPerStep == nil ? "0" : "\(context)", Cell.number(result.tokensPerSecond, places: 1),
                Cell.number(result.seconds * 1e3, places: 4), Cell.number(result.deviceSeconds * 1e3, places: 4),
                Cell.number(result.bytesPerToken, places: 0), Cell.number(share, places: 4),
                Cell.number(result.joulesPerToken, places: 4), kernels,
            ]
        }
    }
}

/// Numbers for programs: a point, no thousands, no unit.
private enum Cell {
    static func whole(_ value: Int?) -> String { value.map { "\($0)" } ?? "" }

    /// With so many decimal places at most; empty for what is no number.
    static func number(_ value: Double?, places: Int) -> String {
        guard let value, value.isFinite, value.magnitude < 1e15 else { return "" }
        let scale = (0..<places).reduce(1.0) { scale, _ in scale * 10 }
        let rounded = (value * scale).rounded() / scale
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}
