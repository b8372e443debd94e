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
        private let passes = [1, 3, 8, 13, 70, 1, 1, 2].enumerated().map { randomTokens($1, seed: UInt64($0)) }

        private func pair(_ model: SmallModel, hasBLAS: Bool = true) throws -> SmallModel.Pair {
            let library = try #require(realLibrary)
            let sizes = try model.configuration()
            let weights = try model.weights(sizes)
            return SmallModel.Pair(
                gpu: try GPUDecoder(
                    sizes, weights: weights, library: library, blas: hasBLAS ? try? CuBLASTable.load() : nil,
                    pool: ThreadPool(threadCount: 2)),
                cpu: DecoderForward(sizes, weights: weights, backend: ReferenceBackend()))
        }

        @Test(arguments: [
            SmallModel(), SmallModel(segments: 2, headBits: 4), SmallModel(headBits: 16, tied: false, hasBiases: true),
            SmallModel(window: 5), SmallModel(isPacked: false, headBits: 16, hasBiases: true),
            SmallModel(isPacked: false, headBits: 16, tied: false, type: .bf16),
        ]) func `small models give the CPU's logits`(_ model: SmallModel) throws {
            let pair = try pair(model)
            let difference = try pair.difference(passes)
            print("\(pair.gpu.name), \(pair.gpu.pathName): largest difference \(difference) of \(bound)")
            #expect(difference < bound)
        }

        @Test func `packed codes alone give the CPU's logits`() throws {
            let pair = try pair(SmallModel(segments: 2, hasBiases: true), hasBLAS: false)
            let difference = try pair.difference(passes)
            print("\(pair.gpu.pathName): largest difference \(difference) of \(bound)")
            #expect(difference < bound)
        }

        @Test(arguments: [1, 5, 16]) func `tokens chosen on the card are the CPU's, run after run`(
            _ sequences: Int
        ) throws {
            let pair = try pair(SmallModel())
            var runs: [[[Int32]]] = []
            for _ in 0..<2 {
                let caches = try pair.gpu.makeCaches(sequences, capacity: 80)
                let loop = try #require(
                    try pair.gpu.runAhead(
                        caches.enumerated().map {
                            RunAheadSequence(cache: $1, token: Int32($0), choice: TokenChoice())
                        }))
                runs.append(try (0..<60).map { _ in try loop.next() })
                try loop.stop()
            }
            #expect(runs[0] == runs[1])
            // The CPU's logits after the same tokens must have the token on top, or as good as that.
            for row in 0..<sequences {
                let tokens = [Int32(row)] + runs[0].map { $0[row] }
                let logits = try pair.cpu.logits(
                    for: Batch(Array(tokens.dropLast()), cache: pair.cpu.makeCache(capacity: 80), logits: .all))
                for (step, token) in tokens.dropFirst().enumerated() {
                    let line = UnsafeBufferPointer(start: logits.row(step), count: logits.columns)
                    let (low, high) = (line.min() ?? 0, line.max() ?? 0)
                    #expect(line[Int(token)] >= high - 2 * bound * (high - low), "row \(row), step \(step)")
                }
            }
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
