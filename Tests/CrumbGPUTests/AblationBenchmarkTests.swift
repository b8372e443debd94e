import CrumbABI
import CrumbCUDA
import CrumbEval
import CrumbGPU
import CrumbModel
import Testing

extension EmulatedCardTests {
    @Suite struct AblationBenchmarkTests {
        private let options = KernelTimerOptions(pieces: 2, shortPieces: 3, runs: 2)

        /// The same card for both; a cache of 10 kB, so that a few layers are enough; a millisecond between any two events.
        private func library(leavingOut: (String) -> Bool = { _ in false }) throws -> KernelLibrary {
            let device = try EmulatedCard.device { state in
                state.l2Bytes = 10_000
                state.milliseconds = 1
            }
            return try EmulatedCard.library(on: device, leavingOut: leavingOut)
        }

        private func decoder(_ library: KernelLibrary, outliers: Int) throws -> GPUDecoder {
            try KernelTimer.decoder(
                { layers in
                    try SmallModel().sized(
                        hidden: 96, intermediate: 176, heads: 6, keyValueHeads: 2, headDim: 32, layers: layers
                    ).configuration()
                }, RandomModelOptions(outliersPerTile: outliers), library: library, blas: EmulatedBLAS.table())
        }

        private func measure(
            _ library: KernelLibrary, tokens: [Int],
            progress: (_ next: String, _ fraction: Double) -> Void = { _, _ in }
        ) throws -> AblationBenchmark {
            try AblationBenchmark.measure(
                decoder(library, outliers: 4), withoutOutliers: decoder(library, outliers: 0), tokens: tokens,
                timer: options, progress: progress)
        }

        @Test func `every product has a row for every number of tokens`() throws {
            var names: [String] = []
            let benchmark = try measure(library(), tokens: [1, 2, 9]) { next, fraction in
                #expect((0..<1).contains(fraction))
                names.append(next)
            }
            let products = ["qkv", "o", "gate+up", "down"]
            let kernels = products.flatMap { [$0, $0, $0] }
            #expect(benchmark.results.map(\.full.kernel) == kernels)
            #expect(benchmark.results.map(\.full.m) == products.flatMap { _ in [1, 2, 9] })
            #expect(names == products.flatMap { name in [1, 2, 9].map { "\(name), M \($0)" } })
            for result in benchmark.results {
                let isPacked = try #require(result.full.m) <= 2
                #expect(result.full.path == (isPacked ? "packed" : "packed m16"))
                #expect((result.synchronous != nil) == isPacked && (result.asynchronousGain != nil) == isPacked)
                #expect(result.full.librarySeconds == nil)
                let cost = try #require(result.outlierCost)
                #expect(abs(cost - (result.full.seconds / result.withoutOutliers.seconds - 1)) < 1e-12)
            }
        }

        @Test func `without outliers there are sixteen bytes less for each tile of 2-bit codes`() throws {
            for result in try measure(library(), tokens: [1]).results {
                let (full, plain) = (result.full, result.withoutOutliers)
                #expect(
                    full.kernel == plain.kernel && full.n == plain.n && full.k == plain.k && full.path == plain.path)
                let bytes = try #require(full.bytes) - (try #require(plain.bytes))
                // Four entries for each 2-bit tile of 32 x 64 weights, so that no record needs padding.
                #expect(bytes > 0 && bytes % 16 == 0)
                #expect(result.synchronous?.bytes == full.bytes)
            }
        }

        @Test func `only synchronous products are launched with a window of one byte`() throws {
            let gpu = try decoder(library(), outliers: 4)
            let timer = try KernelTimer(gpu, mostTokens: 9, mostContext: 1, options: options)
            let planned = Int(CRUMB_PACKED_WINDOW)
            EmulatedCard.state.copyWindows = [:]
            _ = try timer.product(.attentionOutput, rows: 1)
            let launches = EmulatedCard.state.copyWindows
            #expect(Set(launches.keys) == [planned])
            EmulatedCard.state.copyWindows = [:]
            let synchronous = try timer.synchronousProduct(.attentionOutput, rows: 1)
            let count = try #require(launches[planned])
            #expect(EmulatedCard.state.copyWindows == [1: count])
            #expect(synchronous?.kernel == "o" && synchronous?.m == 1)
            // packed_matmul has no window, and what comes next is as planned.
            #expect(try timer.synchronousProduct(.attentionOutput, rows: 9) == nil)
            EmulatedCard.state.copyWindows = [:]
            _ = try timer.product(.queryKeyValue, rows: 1)
            #expect(Set(EmulatedCard.state.copyWindows.keys) == [planned])
        }

        @Test func `products that no packed kernel makes have no synchronous copies`() throws {
            let benchmark = try measure(library { $0.hasPrefix("packed_product") }, tokens: [1])
            #expect(benchmark.results.allSatisfy { $0.full.path == "dequantize + cuBLAS" && $0.synchronous == nil })
            #expect(benchmark.results.allSatisfy { $0.full.librarySeconds == nil })
        }

        @Test func `tokens out of range are refused, and all memory goes back`() throws {
            let library = try library()
            for tokens in [[], [0], [1, 65]] {
                #expect(throws: EvaluationError.self) { try measure(library, tokens: tokens) }
            }
            _ = try measure(library, tokens: [2])
            #expect(EmulatedCard.state.alive.isEmpty)
        }

        @Test func `results become rows with a cell for every title`() throws {
            let on = MeasuredOn(date: "2026-11-21T18:09:10Z", commit: "abc", card: "NVIDIA H200", driver: "580.95.05")
            let benchmark = try measure(library(), tokens: [1, 9])
            let rows = benchmark.records(on, shape: "llama2-7b")
            #expect(rows.count == 8 && rows.allSatisfy { $0.count == AblationBenchmark.recordColumns.count })
            #expect(Array(rows[0][0..<9]) == [on.date, "abc", on.card, on.driver, "sm_90a", "qkv", "1", "320", "96"])
            let (full, plain) = (benchmark.results[0].full, benchmark.results[0].withoutOutliers)
            let bytes = try [full, plain].map { "\(try #require($0.bytes))" }
            #expect([rows[0][10], rows[0][12]] == bytes)
            #expect(rows[0][9...15].allSatisfy { Double($0) != nil })
            #expect(Array(rows[1][14...]) == ["", "", "packed m16", "llama2-7b"])
        }
    }
}
