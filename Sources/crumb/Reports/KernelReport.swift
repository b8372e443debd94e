import CrumbEval
import CrumbGPU
import CrumbJSON
import CrumbReport

/// What `crumb bench --kernels` found, for people and for programs.
struct KernelReport {
    let shape: ModelShape
    let card: MeasuredCard
    let runs: Int
    let benchmark: KernelBenchmark

    var outcome: Outcome { Outcome(text: text, json: json) }

    private var text: String {
        var table = TextTable([
            ("kernel", .left), ("path", .left), ("M", .right), ("N", .right), ("K", .right), ("µs", .right),
            ("MB", .right), ("GB/s", .right), ("of read", .right), ("cuBLAS fp16 µs", .right), ("ratio", .right),
        ])
        for timing in benchmark.timings {
            table.append([
                timing.kernel, timing.path, timing.m.map { "\($0)" } ?? "", timing.n.map { "\($0)" } ?? "",
                timing.k.map { "\($0)" } ?? "", timing.microseconds,
                timing.bytes.map { Figures.decimal(Double($0) / 1e6, places: 2) } ?? "",
                timing.bytesPerSecond.map { Figures.decimal($0 / 1e9, places: 1) } ?? "",
                benchmark.share(of: timing).map { Figures.percent($0) } ?? "",
                timing.librarySeconds.map { Figures.decimal($0 * 1e6, places: 2) } ?? "",
                timing.ratio.map { Figures.decimal($0, places: 2) } ?? "",
            ])
        }
        let read = Figures.decimal(benchmark.readBytesPerSecond / 1e9, places: 1)
        let library = benchmark.hasLibrary ? "" : " cuBLAS cannot be loaded, so its column is empty."
        return table.markdown() + "\n"
            + """
            \(shape.rawValue) on \(benchmark.device), \(card.driver), kernels \(benchmark.image), \
            \(benchmark.path). Medians of \(runs) runs. This card reads \(read) GB/s from memory at most.\(library)

            """
    }

    private var json: JSONObject {
        JSONObject(
            [
                ("results", .array(benchmark.timings.map(entry))), ("shape", .string(shape.rawValue)),
                ("runs", JSONValue(runs)), ("device", .string(benchmark.device)), ("card", .string(card.name)),
                ("image", .string(benchmark.image)), ("backend", .string(benchmark.path)),
                ("cublas", .bool(benchmark.hasLibrary)),
            ] + card.driverFields + [
                ("readGigabytesPerSecond", JSONValue(benchmark.readBytesPerSecond / 1e9))
            ])
    }

    private func entry(_ timing: KernelTiming) -> JSONValue {
        .object(
            JSONObject(
                timing.fields + [
                    ("gigabytesPerSecond", timing.bytesPerSecond.map { JSONValue($0 / 1e9) } ?? .null),
                    ("shareOfReadBandwidth", benchmark.share(of: timing).map { JSONValue($0) } ?? .null),
                    ("cublasMicroseconds", timing.librarySeconds.map { JSONValue($0 * 1e6) } ?? .null),
                    ("ratio", timing.ratio.map { JSONValue($0) } ?? .null),
                ]))
    }
}
