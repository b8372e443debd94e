import CrumbABI
import CrumbGPU
import CrumbModel
import CrumbPacked
import Testing

extension EmulatedCardTests {
    @Suite struct RandomModelTests {
        private func decoder(_ options: RandomModelOptions) throws -> GPUDecoder {
            try RandomModel.decoder(
                SmallModel().configuration(), options, library: EmulatedCard.library(on: EmulatedCard.device()),
                blas: EmulatedBLAS.table())
        }

        @Test(arguments: [8, 4, 16]) func `random weights keep activations finite, and no two tokens' logits alike`(
            _ headBits: Int
        ) throws {
            for isPacked in [true, false] {
                let gpu = try decoder(RandomModelOptions(isPacked: isPacked, outliersPerTile: 3, headBits: headBits))
                let cache = try gpu.makeCache(capacity: 90)
                let logits = try gpu.logits(for: Batch(randomTokens(80, seed: 1), cache: cache, logits: .all))
                let numbers = logits.array
                let power = numbers.reduce(0) { $0 + $1 * $1 } / Float(numbers.count)
                #expect(numbers.allSatisfy(\.isFinite) && (0.2...5).contains(power))
                #expect(Set(numbers).count > numbers.count / 2)
            }
        }

        @Test func `steps and prefills are timed`() throws {
            let gpu = try decoder(RandomModelOptions())
            let steps = try gpu.timeSteps(sequences: 3, context: 10, steps: 6, repetitions: 2)
            #expect(steps.deviceSeconds.count == 2 && steps.hostSeconds.count == 2 && steps.tokens == 3)
            #expect(steps.bytes == gpu.bytesPerToken + 3 * 13 * 2 * 2 * 3 * 64)
            let prefill = try gpu.timePrefill(tokens: 70, repetitions: 1)
            #expect(prefill.deviceSeconds.count == 1 && prefill.tokens == 70)
            #expect(throws: ModelError.self) {
                try gpu.timeSteps(sequences: 65, context: 10, steps: 6, repetitions: 2)
            }
        }

        @Test func `the named shapes are those of the models, and their packed weights take 2.86 bits`() throws {
            for shape in ModelShape.allCases { try GPUDecoder.check(shape.configuration) }
            let sizes = try ModelShape.llama2_7b.configuration
            let weights = Projection.allCases.reduce(0) {
                $0 + sizes.shape(of: $1).rows * sizes.shape(of: $1).columns
            }
            #expect(weights * sizes.numHiddenLayers == 6_476_005_376)
            let options = RandomModelOptions()
            let bytes = try Projection.allCases.reduce(0) { sum, projection in
                let (rows, columns) = sizes.shape(of: projection)
                let four = Int((options.fourBitShare * Double(columns) / 32).rounded()) * 32
                let shape = try #require(
                    crumb_packed_shape(
                        rows: rows, columns: columns, segments: 1, fourBitChannels: four,
                        outliersPerTile: options.outliersPerTile))
                return sum + shape.byteCount
            }
            print("\(Double(8 * bytes) / Double(weights)) bits a weight")
            #expect(abs(Double(8 * bytes) / Double(weights) - 2.86) < 0.005)
        }
    }
}
