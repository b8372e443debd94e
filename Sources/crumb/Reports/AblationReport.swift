import CrumbEval
import CrumbGPU
import CrumbJSON
import CrumbReport

/// What `crumb bench --kernels --ablation` found, for people and for programs.
struct AblationReport {
    let shape: ModelShape
    let card: MeasuredCard
    let runs: Int
    let benchmark: AblationBenchmark

    var outcome: Outcome { Outcome(text: text, json: json) }

    private var text: String {
        var table = TextTable([
            ("kernel", .left), ("path", .left), ("M", .right), ("µs", .right), ("µs without outliers", .right),
            ("cost of outliers", .right), ("µs with synchronous copies", .right),
            ("gain of asynchronous copies", .right),
        ])
        for result in benchmark.results {
            table.append([
                result.full.kernel, result.full.path, result.full.m.map { "\($0)" } ?? "",
                result.full.microseconds, result.withoutOutliers.microseconds,
                result.outlierCost.map { Figures.percent($0) } ?? "", result.synchronous?.microseconds ?? "",
                result.asynchronousGain.map { Figures.decimal($0, places: 2) + " x" } ?? "",
            ])
        }
        return table.markdown() + "\n"
            + """
            \(shape.rawValue) on \(benchmark.device), \(card.driver), kernels \(benchmark.image), \
            \(benchmark.path). Medians of \(runs) runs. Synchronous: a block asks for one piece of a record only when \
            the one before it has arrived; packed_product, up to M = 4, can be run so.

            """
    }

    private var json: JSONObject {
        JSONObject(
            [
                ("results", .array(benchmark.results.map(entry))), ("shape", .string(shape.rawValue)),
                ("runs", JSONValue(runs)), ("device", .string(benchmark.device)), ("card", .string(card.name)),
                ("image", .string(benchmark.image)), ("backend", .string(benchmark.path)),
            ] + card.driverFields)
    }

    private func entry(_ result: AblationBenchmark.Result) -> JSONValue {
        let plain = result.withoutOutliers
        return .object(
            JSONObject(
                result.full.fields + [
                    ("microsecondsWithoutOutliers", JSONValue(plain.seconds * 1e6)),
                    ("bytesWithoutOutliers", plain.bytes.map { JSONValue($0) } ?? .null),
                    ("outlierCost", result.outlierCost.map { JSONValue($0) } ?? .null),
                    ("synchronousMicroseconds", result.synchronous.map { JSONValue($0.seconds * 1e6) } ?? .null),
                    ("asynchronousGain", result.asynchronousGain.map { JSONValue($0) } ?? .null),
                ]))
    }
}
