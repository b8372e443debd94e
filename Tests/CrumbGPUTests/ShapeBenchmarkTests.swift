import CrumbCUDA
import CrumbEval
import CrumbGPU
import CrumbModel
import CrumbThreads
import Testing

extension EmulatedCardTests {
    @Suite struct ShapeBenchmarkTests {
        private func decoder() throws -> GPUDecoder {
            try RandomModel.decoder(
                SmallModel().configuration(), RandomModelOptions(outliersPerTile: 3),
                library: EmulatedCard.library(on: EmulatedCard.device()), blas: EmulatedBLAS.table())
        }

        @Test func `every batch size is timed, its bytes counted, and its energy shared out`() throws {
            let gpu = try decoder()
            var millijoules: UInt64 = 0
            let benchmark = try ShapeBenchmark.measure(
                gpu,
                options: ShapeBenchmark.Options(
                    batches: [1, 4], context: 10, steps: 6, promptTokens: 9, repetitions: 2, energySeconds: 0),
                energy: {
                    millijoules += 1000
                    return millijoules
                })
            #expect(benchmark.results.map(\.test) == ["pp9", "tg6", "tg6"])
            #expect(benchmark.results.map(\.batch) == [1, 1, 4])
            #expect(benchmark.device == "cuda:0 (Emulated)" && benchmark.kernels.hasPrefix("sm_90a, packed codes"))
            // Keys and values of 3 layers, 64 features of 2 bytes, 13 positions in the middle.
            let cache = 13 * 2 * 2 * 3 * 64
            let bytes: [Int?] = [nil, gpu.bytesPerToken + cache, gpu.bytesPerToken + 4 * cache]
            #expect(benchmark.results.map(\.bytesPerStep) == bytes)
            #expect(benchmark.results[2].bytesPerToken == Double(gpu.bytesPerToken + 4 * cache) / 4)
            #expect(benchmark.results[1].tokensPerSecond > 0)
            // One joule over two prompts of 9, or two repetitions that run their 6 steps twice.
            let joules: [Double?] = [1.0 / 18, 1.0 / 24, 1.0 / 96]
            #expect(benchmark.results.map(\.joulesPerToken) == joules)
        }

        @Test func `without a counter there is no energy, and what does not fit is refused before it runs`() throws {
            let gpu = try decoder()
            var options = ShapeBenchmark.Options(batches: [2], context: 4, steps: 3, promptTokens: 0, repetitions: 1)
            #expect(try ShapeBenchmark.measure(gpu, options: options).results.map(\.joulesPerToken) == [nil])
            options.context = 254
            #expect(throws: EvaluationError.self) { try ShapeBenchmark.measure(gpu, options: options) }
            options = ShapeBenchmark.Options(batches: [65], context: 4, steps: 3)
            #expect(throws: EvaluationError.self) { try ShapeBenchmark.measure(gpu, options: options) }
            options = ShapeBenchmark.Options(batches: [64], context: 100, steps: 3, promptTokens: 0)
            EmulatedCard.state.freeBytes = 1 << 20
            let error = #expect(throws: CUDAError.self) { try ShapeBenchmark.measure(gpu, options: options) }
            #expect(error?.kind == .outOfMemory && error?.description.contains("64 sequences of 103") == true)
        }

        @Test func `a model on a GPU is measured by its own steps`() throws {
            let benchmark = try SpeedBenchmark.measure(
                decoder(), beginning: nil, pool: ThreadPool(threadCount: 1),
                options: SpeedBenchmark.Options(
                    promptTokens: 9, generatedTokens: 6, repetitions: 2, bandwidthBytes: 1 << 20))
            #expect(benchmark.results.map(\.test) == ["pp9", "tg6"])
            #expect(benchmark.isOnCard && benchmark.device == "cuda:0 (Emulated)")
            #expect(benchmark.results[1].backend.hasPrefix("sm_90a, packed codes"))
            #expect(benchmark.results.allSatisfy { $0.tokensPerSecond.count == 2 })
            #expect(benchmark.results[1].tokensPerSecond.mean > 0 && benchmark.results[0].bytesPerToken == nil)
            #expect(EmulatedCard.state.launches["read_memory"] ?? 0 > 0)
        }
    }
}
