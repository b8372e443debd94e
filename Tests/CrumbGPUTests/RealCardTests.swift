import CrumbCPU
import CrumbCUDA
import CrumbEngine
import CrumbGPU
import CrumbModel
import CrumbTensor
import CrumbThreads
import Foundation
import Logging
import Testing

/// The first card of this machine; nil where there is none or the program has no kernels for it.
private let realLibrary: KernelLibrary? = try? KernelLibrary(on: Device(driver: Driver.load()))

/// What a variable of the environment lists, separated by commas.
private func listed(_ variable: String) -> [String] {
    (ProcessInfo.processInfo.environment[variable] ?? "").split(separator: ",").map(String.init)
}

/// Folders or files of models to compare.
private let modelPaths = listed("CRUMB_GPU_MODELS")
/// Shapes to time.
private let shapes = listed("CRUMB_GPU_SHAPES").compactMap { ModelShape(rawValue: $0) }

extension EmulatedCardTests {
    /// The same comparisons on a real card, where there is one.
    @Suite(.enabled(if: realLibrary != nil)) struct RealCardTests {
        private func pair(_ model: SmallModel) throws -> ModelPair {
            try ModelPair(
                model, library: #require(realLibrary), blas: try? CuBLASTable.load(), pool: ThreadPool(threadCount: 2))
        }

        @Test func `the self-test of crumb doctor passes`() throws {
            let test = SelfTest(
                library: try #require(realLibrary), blas: try? CuBLASTable.load(), pool: ThreadPool(threadCount: 2))
            for check in test.run(progress: { _, _ in }) {
                print("\(check.name): \(check.detail)")
                #expect(check.isPassed, "\(check.name): \(check.detail)")
            }
        }

        @Test(arguments: [1, 5, 16]) func `tokens chosen on the card are the same, run after run`(
            _ sequences: Int
        ) throws {
            let pair = try pair(SmallModel())
            let runs = try (0..<2).map { _ in try pair.chosenTokens(sequences: sequences, steps: 60) }
            #expect(runs[0] == runs[1])
        }

        @Test(.enabled(if: !shapes.isEmpty), arguments: shapes, [true, false])
        func `random weights of a model's shape are run, and timed`(_ shape: ModelShape, _ isPacked: Bool) throws {
            let gpu = try RandomModel.decoder(
                shape.configuration, RandomModelOptions(isPacked: isPacked), library: #require(realLibrary),
                blas: try? CuBLASTable.load())
            print("\(shape.rawValue): \(gpu.name), \(gpu.pathName), \(gpu.bytesPerToken) bytes a token")
            for sequences in [1, 8, 16, 64] {
                let timing = try gpu.timeSteps(sequences: sequences, context: 256, steps: 64, repetitions: 5)
                let seconds = StepTiming.median(timing.deviceSeconds)
                print(
                    "  batch \(sequences): \(Double(sequences) / seconds) tokens/s on the card, "
                        + "\(Double(sequences) / StepTiming.median(timing.hostSeconds)) read by the host, "
                        + "\(Double(timing.bytes) / seconds / 1e9) GB/s")
            }
            let prefill = try gpu.timePrefill(tokens: 512, repetitions: 5)
            print("  prefill of 512: \(512 / StepTiming.median(prefill.deviceSeconds)) tokens/s")
            let cache = try gpu.makeCache(capacity: 16)
            #expect(try gpu.logits(for: Batch([1, 2, 3], cache: cache)).array.allSatisfy(\.isFinite))
        }

        /// The plain backend is what it is compared with: the fast one of the CPU rounds activations to 8 bits.
        @Test(.enabled(if: !modelPaths.isEmpty), arguments: modelPaths)
        func `a real model agrees with the reference`(_ path: String) throws {
            let model = try ModelLoader(device: .cuda(0), pool: ThreadPool(), logger: Logger(label: "test")).load(path)
            let text = "The river rose in the night, and by morning the lower road was gone. "
            let tokens = Array(model.encodePrompt(String(repeating: text, count: 20)).prefix(128))
            let reference = DecoderForward(
                model.configuration, weights: model.forward.weights, backend: ReferenceBackend())
            let caches = (try model.decoder.makeCache(capacity: 128), try reference.makeCache(capacity: 128))
            var (agreeing, count, worst): (Int, Int, Float) = (0, 0, 0)
            // Prefill by cuBLAS, by packed products, and single steps.
            for block in [70, 20, 1, 1, 1, 8, 9] {
                let part = Array(tokens[caches.0.length..<caches.0.length + block])
                let gpu = try model.decoder.logits(for: Batch(part, cache: caches.0, logits: .all)).array
                let cpu = try reference.logits(for: Batch(part, cache: caches.1, logits: .all)).array
                let difference = largestDifference(gpu, cpu)
                print("\(path), pass of \(block): largest difference \(difference)")
                worst = max(worst, difference)
                let width = model.configuration.vocabSize
                for row in 0..<block {
                    func top(_ logits: [Float]) -> Int {
                        let line = logits[row * width..<(row + 1) * width]
                        return line.indices.max { line[$0] < line[$1] }.map { $0 - line.startIndex } ?? -1
                    }
                    agreeing += top(gpu) == top(cpu) ? 1 : 0
                    count += 1
                }
            }
            print("\(path): \(agreeing) of \(count) most likely tokens agree, largest difference \(worst)")
            #expect(worst < bound && Double(agreeing) >= 0.99 * Double(count))
        }
    }
}
