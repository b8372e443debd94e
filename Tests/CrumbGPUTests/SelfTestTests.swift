import CrumbGPU
import CrumbTensor
import CrumbThreads
import Testing

extension EmulatedCardTests {
    @Suite struct SelfTestTests {
        private func run(
            _ models: [SmallModel], leavingOut: (String) -> Bool = { _ in false },
            configure: (inout EmulatedCard.State) -> Void = { _ in }
        ) throws -> [SelfTest.Check] {
            let library = try EmulatedCard.library(on: EmulatedCard.device(configure), leavingOut: leavingOut)
            return SelfTest(library: library, blas: try EmulatedBLAS.table(), pool: ThreadPool(threadCount: 2))
                .run(models: models) { _, _ in }
        }

        @Test func `a card that works passes every test, and all memory goes back`() throws {
            let checks = try run(SelfTest.models)
            for check in checks { #expect(check.isPassed, "\(check.name): \(check.detail)") }
            #expect(checks.count == SelfTest.copySizes.count + SelfTest.models.count + 6)
            #expect(EmulatedCard.state.alive.isEmpty)
        }

        @Test func `a kernel that does nothing is found out, and the other tests go on`() throws {
            let models = [SmallModel(), SmallModel(isPacked: false, headBits: 16, type: .f16)]
            let checks = try run(models, configure: { $0.broken = "silu_multiply_f16" })
            let failed = checks.filter { !$0.isPassed }
            #expect(failed.count < checks.count && failed.contains { $0.name.contains("16-bit matrices") })
            #expect(checks.count == SelfTest.copySizes.count + models.count + 6)
        }

        @Test func `a kernel that is missing is named`() throws {
            let failed = try run([], leavingOut: { $0 == "random_words" }).filter { !$0.isPassed }
            #expect(failed.count == 1 && failed.first?.name == "weights made on the card")
            #expect(failed.first?.detail.contains("random_words") == true)
        }
    }
}
