import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbReport

/// What `crumb bench` found, for people and for programs.
struct BenchmarkReport {
    let model: LoadedModel
    let benchmark: SpeedBenchmark

    var outcome: Outcome { Outcome(text: text, json: json) }

    private var text: String {
        var table = TextTable([
            ("model", .left), ("format", .left), ("device", .left), ("backend", .left), ("threads", .right),
            ("test", .left),
            ("t/s", .right), ("GB/s", .right), ("of read", .right),
        ])
        for result in benchmark.results {
            let speed = result.tokensPerSecond
            table.append([
                name, Figures.bytes(model.totalBytes), benchmark.device, result.backend,
                benchmark.isOnCard ? "" : "\(result.threads)", result.test,
                "\(Figures.decimal(speed.mean, places: 2)) ± \(Figures.decimal(speed.deviation, places: 2))",
                result.bytesPerSecond.map { Figures.decimal($0 / 1e9, places: 2) } ?? "",
                benchmark.share(of: result).map { Figures.percent($0, places: 0) } ?? "",
            ])
        }
        let memory = Figures.decimal(benchmark.readBytesPerSecond / 1e9, places: 2)
        return table.markdown()
            + "\n\(benchmark.isOnCard ? "This card reads" : "These threads read") \(memory) GB/s from memory at most.\n"
    }

    private var name: String {
        let name = FileSystem.lastComponent(of: model.path)
        return name.hasSuffix(".gguf") ? String(name.dropLast(5)) : name
    }

    private var json: JSONObject {
        [
            "results": .array(benchmark.results.map(entry)),
            "model": .string(model.path), "format": .string(model.formatName), "bytes": JSONValue(model.totalBytes),
            "architecture": .string(model.configuration.modelType),
            "readGigabytesPerSecond": JSONValue(benchmark.readBytesPerSecond / 1e9),
        ]
    }

    private func entry(_ result: SpeedBenchmark.Result) -> JSONValue {
        [
            "test": .string(result.test), "device": .string(benchmark.device), "backend": .string(result.backend),
            "threads": JSONValue(result.threads),
            "tokensPerSecond": JSONValue(result.tokensPerSecond.mean),
            "standardDeviation": JSONValue(result.tokensPerSecond.deviation),
            "runs": JSONValue(result.tokensPerSecond.count),
            "bytesPerToken": result.bytesPerToken.map { JSONValue($0) } ?? .null,
            "gigabytesPerSecond": result.bytesPerSecond.map { JSONValue($0 / 1e9) } ?? .null,
            "shareOfReadBandwidth": benchmark.share(of: result).map { JSONValue($0) } ?? .null,
        ]
    }
}

extension LoadedModel {
    /// Bytes of all tensors on disk.
    fileprivate var totalBytes: Int {
        checkpoint.tensorNames.reduce(0) { $0 + ((try? checkpoint.tensorLayout($1).byteCount) ?? 0) }
    }
}
