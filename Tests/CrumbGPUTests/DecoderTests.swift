import CrumbCUDA
import CrumbGPU
import CrumbModel
import CrumbTensor
import CrumbThreads
import Testing

/// All tests with an emulated card, of which there is one: they run one after another.
@Suite(.serialized) struct EmulatedCardTests {}

extension EmulatedCardTests {
    @Suite struct DecoderTests {
        /// One token, a few, more than one packed launch takes, more than the small workspace has, and steps again.
        private let passes = SelfTest.passes

        private func check(
            _ model: SmallModel, hasBLAS: Bool = true, withoutPacked: Bool = false, generation: Int32 = 9
        ) throws -> GPUDecoder {
            let pair = try model.pair(hasBLAS: hasBLAS, generation: generation) {
                withoutPacked && $0.hasPrefix("packed_product")
            }
            let difference = try pair.difference(passes)
            print("largest difference \(difference) of \(bound), \(pair.gpu.pathName)")
            #expect(difference < bound)
            return pair.gpu
        }

        @Test(arguments: [1, 2], [Int32(8), 9]) func `packed codes give the CPU's logits`(
            _ segments: Int, generation: Int32
        ) throws {
            let gpu = try check(SmallModel(segments: segments), generation: generation)
            #expect(gpu.name == "cuda:0 (Emulated), sm_\(generation)0\(generation == 9 ? "a" : "")")
            #expect(gpu.pathName == "packed codes, cuBLAS 130100 from 65 tokens on")
            let launches = EmulatedCard.state.launches
            let few =
                generation == 9
                ? ["packed_product_m2", "packed_matmul_roles_m16", "packed_matmul_roles_m32"]
                : ["packed_product_m4"] + [8, 16, 32, 64].map { "packed_matmul_m\($0)" }
            for name in ["packed_product_m1", "dequantize_packed_f16"] + few {
                #expect(launches[name] ?? 0 > 0, "\(name) was not launched")
            }
        }

        @Test func `packed codes with biases and an untied fp16 head give the CPU's logits`() throws {
            _ = try check(SmallModel(headBits: 16, tied: false, hasBiases: true))
        }

        @Test func `without cuBLAS long passes are made from packed codes`() throws {
            let gpu = try check(SmallModel(segments: 2, headBits: 4, hasBiases: true), hasBLAS: false)
            #expect(gpu.pathName == "packed codes, no cuBLAS")
            #expect(EmulatedCard.state.launches["dequantize_packed_f16"] == nil)
        }

        @Test func `without packed products codes are turned into fp16`() throws {
            let gpu = try check(SmallModel(segments: 2, hasBiases: true), withoutPacked: true)
            #expect(gpu.pathName == "codes turned into fp16, cuBLAS 130100 from 1 token on")
            #expect(EmulatedCard.state.launches["stream_input"] == nil)
        }

        @Test(arguments: [StorageType.f32, .f16, .bf16])
        func `an unquantized model gives the CPU's logits`(_ type: StorageType) throws {
            let model = SmallModel(isPacked: false, headBits: 16, tied: type != .bf16, hasBiases: true, type: type)
            let gpu = try check(model)
            #expect(gpu.pathName == "fp16 matrices, cuBLAS 130100 from 9 tokens on")
        }

        @Test func `an unquantized model without cuBLAS gives the CPU's logits`() throws {
            // 176 input features of down are no multiple of 32, which the matrix-vector product asks for.
            let error = #expect(throws: CUDAError.self) {
                try check(SmallModel(isPacked: false, headBits: 16), hasBLAS: false)
            }
            #expect(error?.kind == .library)
        }

        @Test func `a window of attention is kept`() throws { _ = try check(SmallModel(window: 5)) }

        @Test func `several sequences in one batch are kept apart`() throws {
            let pair = try SmallModel().pair()
            let gpu = try pair.gpu.makeCaches(3, capacity: 64)
            let other = try pair.gpu.makeCache(capacity: 32)
            let cpu = try (0..<4).map { _ in try pair.cpu.makeCache(capacity: 64) }
            for (step, counts) in [[3, 1, 2, 5], [1, 1, 1, 1], [1, 4, 1, 1], [1, 1, 1, 1]].enumerated() {
                let tokens = counts.enumerated().map { randomTokens($1, seed: UInt64(10 * step + $0)) }
                let batch = try Batch(
                    [gpu[2], gpu[0], other, gpu[1]].enumerated().map { ($1 as any SequenceCache, tokens[$0], .last) })
                let result = try pair.gpu.logits(for: batch).array
                let expected = try cpu.indices.flatMap {
                    try pair.cpu.logits(for: Batch(tokens[$0], cache: cpu[$0])).array
                }
                #expect(largestDifference(result, expected) < bound)
            }
        }

        @Test func `logits of some rows, and of a truncated sequence run again, are the same`() throws {
            let pair = try SmallModel().pair()
            let tokens = randomTokens(30, seed: 5)
            let cache = try pair.gpu.makeCache(capacity: 40)
            let all = try pair.gpu.logits(for: Batch(tokens, cache: cache, logits: .all)).array
            #expect(try pair.gpu.logits(rows: 7..<20).array == Array(all[7 * 83..<20 * 83]))
            cache.truncate(to: 12)
            let again = try pair.gpu.logits(for: Batch(Array(tokens[12...]), cache: cache, logits: .some(3..<18))).array
            #expect(largestDifference(again, Array(all[15 * 83..<30 * 83])) < 1e-3)
            #expect(cache.length == 30)
        }

        @Test func `a token outside the vocabulary is refused, and the cache stays as it was`() throws {
            let gpu = try SmallModel().pair().gpu
            let cache = try gpu.makeCache(capacity: 8)
            #expect(throws: ModelError.self) { try gpu.run(Batch([1, 83], cache: cache)) }
            #expect(cache.length == 0)
        }

        @Test func `all memory goes back, and a model that does not fit is refused before the upload`() throws {
            _ = try check(SmallModel())
            #expect(EmulatedCard.state.alive.isEmpty)
            let model = SmallModel()
            let sizes = try model.configuration()
            let library = try EmulatedCard.library(on: EmulatedCard.device { $0.freeBytes = 1 << 20 })
            let error = #expect(throws: CUDAError.self) {
                try GPUDecoder(
                    sizes, weights: model.weights(sizes), library: library, blas: nil, pool: .init(threadCount: 1))
            }
            #expect(error?.kind == .outOfMemory && error?.description.contains("1.00 MiB") == true)
            #expect(EmulatedCard.state.alive.isEmpty)
        }
    }
}
