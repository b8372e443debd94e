import CrumbEval
import CrumbGPU
import CrumbJSON
import CrumbReport

/// What `crumb bench --shape` found, for people and for programs.
struct ShapeReport {
    let shape: ModelShape
    let weights: ShapeWeights
    let context: Int
    let runs: Int
    let card: MeasuredCard
    let benchmark: ShapeBenchmark
    /// Bytes that the card reads in a second from a buffer larger than its cache.
    let readBytesPerSecond: Double

    var outcome: Outcome { Outcome(text: text, json: json) }

    private func share(_ result: ShapeBenchmark.Result) -> Double? {
        result.bytesPerSecond.flatMap { readBytesPerSecond > 0 ? $0 / readBytesPerSecond : nil }
    }

    private var text: String {
        var table = TextTable([
            ("shape", .left), ("weights", .left), ("test", .left), ("batch", .right), ("t/s", .right), ("ms", .right),
            ("ms on the card", .right), ("MB/token", .right), ("GB/s", .right), ("of read", .right),
            ("J/token", .right),
        ])
        for result in benchmark.results {
            table.append([
                shape.rawValue, weights.rawValue, result.test, "\(result.batch)",
                Figures.decimal(result.tokensPerSecond, places: 1), Figures.decimal(result.seconds * 1e3, places: 3),
                Figures.decimal(result.deviceSeconds * 1e3, places: 3),
                result.bytesPerToken.map { Figures.decimal($0 / 1e6, places: 1) } ?? "",
                result.bytesPerSecond.map { Figures.decimal($0 / 1e9, places: 1) } ?? "",
                share(result).map { Figures.percent($0) } ?? "",
                result.joulesPerToken.map { Figures.significant($0) } ?? "",
            ])
        }
        let read = Figures.decimal(readBytesPerSecond / 1e9, places: 1)
        return table.markdown() + "\n"
            + """
            \(benchmark.device), \(card.driver), kernels \(benchmark.kernels). A context of \
            \(context) tokens, medians of \(runs) runs. This card reads \(read) GB/s from memory at most.

            """
    }

    private var json: JSONObject {
        JSONObject(
            [
                ("results", .array(benchmark.results.map(entry))), ("shape", .string(shape.rawValue)),
                ("weights", .string(weights.rawValue)), ("context", JSONValue(context)), ("runs", JSONValue(runs)),
                ("device", .string(benchmark.device)), ("card", .string(card.name)),
                ("backend", .string(benchmark.kernels)),
            ] + card.driverFields + [("readGigabytesPerSecond", JSONValue(readBytesPerSecond / 1e9))])
    }

    private func entry(_ result: ShapeBenchmark.Result) -> JSONValue {
        [
            "test": .string(result.test), "batch": JSONValue(result.batch),
            "tokensPerSecond": JSONValue(result.tokensPerSecond), "milliseconds": JSONValue(result.seconds * 1e3),
            "deviceMilliseconds": JSONValue(result.deviceSeconds * 1e3),
            "bytesPerToken": result.bytesPerToken.map { JSONValue($0) } ?? .null,
            "gigabytesPerSecond": result.bytesPerSecond.map { JSONValue($0 / 1e9) } ?? .null,
            "shareOfReadBandwidth": share(result).map { JSONValue($0) } ?? .null,
            "joulesPerToken": result.joulesPerToken.map { JSONValue($0) } ?? .null,
        ]
    }
}
