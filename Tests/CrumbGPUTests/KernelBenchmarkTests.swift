import CrumbCUDA
import CrumbEval
import CrumbGPU
import CrumbModel
import Testing

extension EmulatedCardTests {
    @Suite struct KernelBenchmarkTests {
        private let options = KernelBenchmark.Options(
            tokens: [1, 9, 70], contexts: [5, 12], timer: KernelTimerOptions(pieces: 2, shortPieces: 3, runs: 2))

        /// A cache of 10 kB, so that a few layers are enough; a millisecond between any two events.
        private func decoder(hasBLAS: Bool = true, leavingOut: (String) -> Bool = { _ in false }) throws -> GPUDecoder {
            let device = try EmulatedCard.device { state in
                state.l2Bytes = 10_000
                state.milliseconds = 1
            }
            return try KernelTimer.decoder(
                { layers in
                    try SmallModel().sized(
                        hidden: 96, intermediate: 176, heads: 6, keyValueHeads: 2, headDim: 32, layers: layers
                    ).configuration()
                }, library: EmulatedCard.library(on: device, leavingOut: leavingOut),
                blas: hasBLAS ? EmulatedBLAS.table() : nil)
        }

        private func timing(_ benchmark: KernelBenchmark, _ kernel: String, _ m: Int?) throws -> KernelTiming {
            try #require(benchmark.timings.first { $0.kernel == kernel && $0.m == m })
        }

        @Test func `layers are enough for three times the cache, and all of them are read`() throws {
            let gpu = try decoder()
            let layers = gpu.configuration.numHiddenLayers
            let timer = try KernelTimer(gpu, mostTokens: 1, mostContext: 1, options: options.timer)
            let o = try timer.product(.attentionOutput, rows: 1)
            let bytes = try #require(o.bytes)
            #expect(layers * bytes >= 30_000 && (layers - 1) * bytes < 30_000)
            // One matrix in each layer, none of another kind.
            #expect(EmulatedCard.unpacked.count == layers)
            // A first piece, then five runs of a graph of whole rounds.
            let pieces = (3 + layers - 1) / layers * layers
            #expect(EmulatedCard.state.launches["packed_product_m1"] == 1 + 5 * pieces)
            #expect(abs(o.seconds - 0.001 / Double(pieces)) < 1e-12)
            #expect(o.n == 96 && o.k == 192 && o.m == 1 && o.path == "packed")
            // Of fp16 matrices one is more than the cache.
            #expect(abs(try #require(o.librarySeconds) - 0.001 / 3) < 1e-12)
            #expect(abs(try #require(o.ratio) - Double(pieces) / 3) < 1e-9)
        }

        @Test func `every kernel of a step is timed, each product as the engine makes it`() throws {
            let gpu = try decoder()
            var names: [String] = []
            let benchmark = try KernelBenchmark.measure(gpu, readBytesPerSecond: 1e9, options: options) {
                next, fraction in
                #expect((0..<1).contains(fraction))
                names.append(next)
            }
            #expect(names.count == Set(names).count && names.first == "qkv, M 1")
            for kernel in ["qkv", "o", "gate+up", "down"] {
                let paths = try [1, 9, 70].map { try timing(benchmark, kernel, $0).path }
                #expect(paths == ["packed", "packed m16", "dequantize + cuBLAS"])
                #expect(try timing(benchmark, "dequantize \(kernel)", nil).bytes == timing(benchmark, kernel, 1).bytes)
            }
            let attention = benchmark.timings.filter { $0.kernel == "attention_decode" }
            #expect(attention.map(\.m) == [1, 9, 1, 9] && attention.map(\.k) == [5, 5, 12, 12])
            // Two heads of 32, keys and values, 2 bytes each.
            #expect(attention.map(\.bytes) == [1, 9].map { $0 * 5 * 256 } + [1, 9].map { $0 * 12 * 256 })
            let head = try timing(benchmark, "head + argmax", 9)
            #expect(head.bytes == 83 * 96 + 83 * 3 * 2 && head.n == 83 && head.librarySeconds != nil)
            // Steps fold the norm and SiLU into the products, prompts do not.
            #expect(try timing(benchmark, "stream_input", 9).bytes == nil)
            #expect(try timing(benchmark, "rmsnorm", 70).path == "rmsnorm_gather_f16")
            _ = try timing(benchmark, "silu_multiply", 70)
            #expect(!benchmark.timings.contains { $0.kernel == "silu_multiply" && $0.m == 9 })
            for m in [9, 70] { #expect(try timing(benchmark, "rope_append", m).n == 320) }
            #expect(!benchmark.timings.contains { $0.kernel == "attention_prefill" && $0.m == 1 })
            #expect(benchmark.timings.allSatisfy { $0.seconds > 0 })
            #expect(benchmark.image == "sm_90a" && benchmark.hasLibrary)
            let qkv = try timing(benchmark, "qkv", 1)
            #expect(benchmark.share(of: qkv) == Double(try #require(qkv.bytes)) / qkv.seconds / 1e9)
        }

        @Test func `without cuBLAS its column is empty and products are made from packed codes`() throws {
            let benchmark = try KernelBenchmark.measure(
                decoder(hasBLAS: false), readBytesPerSecond: 0, options: options)
            #expect(!benchmark.hasLibrary && benchmark.timings.allSatisfy { $0.librarySeconds == nil })
            #expect(try timing(benchmark, "down", 70).path == "packed x 18")
            #expect(!benchmark.timings.contains { $0.kernel.hasPrefix("dequantize") || $0.kernel == "rmsnorm" })
            #expect(benchmark.timings.allSatisfy { benchmark.share(of: $0) == nil })
        }

        @Test func `without packed products all go by cuBLAS`() throws {
            let benchmark = try KernelBenchmark.measure(
                decoder { $0.hasPrefix("packed_product") }, readBytesPerSecond: 1e9, options: options)
            #expect(try timing(benchmark, "qkv", 1).path == "dequantize + cuBLAS")
            _ = try timing(benchmark, "silu_multiply", 1)
        }

        @Test func `what does not fit is refused before it runs, and all memory goes back`() throws {
            do {
                let gpu = try decoder()
                #expect(throws: EvaluationError.self) {
                    try KernelBenchmark.measure(
                        gpu, readBytesPerSecond: 1, options: KernelBenchmark.Options(tokens: [0]))
                }
                #expect(throws: EvaluationError.self) {
                    try KernelBenchmark.measure(
                        gpu, readBytesPerSecond: 1, options: KernelBenchmark.Options(tokens: []))
                }
                EmulatedCard.state.freeBytes = 1 << 16
                EmulatedCard.state.launches = [:]
                let error = #expect(throws: CUDAError.self) {
                    try KernelBenchmark.measure(gpu, readBytesPerSecond: 1, options: options)
                }
                #expect(error?.kind == .outOfMemory && error?.description.contains("70 tokens") == true)
                #expect(EmulatedCard.state.launches.isEmpty)
            }
            _ = try KernelBenchmark.measure(
                decoder(), readBytesPerSecond: 1,
                options: KernelBenchmark.Options(tokens: [2], contexts: [3], timer: options.timer))
            #expect(EmulatedCard.state.alive.isEmpty)
        }

        @Test func `results become rows with a cell for every title`() throws {
            let on = MeasuredOn(date: "2026-11-21T18:09:10Z", commit: "abc", card: "NVIDIA H200", driver: "580.95.05")
            let gpu = try decoder()
            let kernels = try KernelBenchmark.measure(gpu, readBytesPerSecond: 1e9, options: options)
            let rows = kernels.records(on, shape: "llama2-7b")
            #expect(rows.count == kernels.timings.count)
            #expect(rows.allSatisfy { $0.count == KernelBenchmark.recordColumns.count })
            let first = try #require(rows.first)
            let qkv = kernels.timings[0]
            #expect(
                Array(first[0..<9]) == [on.date, "abc", "NVIDIA H200", "580.95.05", "sm_90a", "qkv", "1", "320", "96"])
            #expect(abs(try #require(Double(first[9])) - qkv.seconds * 1e6) < 0.001)
            #expect(first[10] == "\(try #require(qkv.bytes))" && !first[11].isEmpty && !first[12].isEmpty)
            #expect(Array(first[14...]) == ["packed", "llama2-7b"])
            let embed = try #require(rows.first { $0[5] == "embed" })
            #expect(embed[8] == "" && embed[10...13].allSatisfy(\.isEmpty))

            let shape = try ShapeBenchmark.measure(
                gpu,
                options: ShapeBenchmark.Options(
                    batches: [2], context: 10, steps: 4, promptTokens: 9, repetitions: 1, energySeconds: 0))
            let records = shape.records(
                on, shape: "llama2-7b", weights: "crumb", context: 10, readBytesPerSecond: 1e9)
            #expect(records.allSatisfy { $0.count == ShapeBenchmark.recordColumns.count })
            #expect(records.map { $0[7] } == ["pp9", "tg4"] && records.map { $0[9] } == ["0", "10"])
            // A millisecond for 9 tokens.
            #expect(records[0][10] == "9000" && records[0][11] == "1" && records[0][13] == "")
        }
    }
}
