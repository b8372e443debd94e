import CrumbCPU
import CrumbModel
import Testing

@Suite struct ReferenceBackendTests {
    @Test(arguments: LogitVector.names)
    func logitsEqualThoseOfTransformers(name: String) throws {
        let vector = try LogitVector(name)
        #expect(vector.logits.count == vector.tokens.count * vector.configuration.vocabSize)
        let worst = vector.worst(try vector.run(ReferenceBackend()))
        #expect(worst <= 1e-4)
    }

    @Test(arguments: LogitVector.names)
    func tokenByTokenEqualsOnePass(name: String) throws {
        let vector = try LogitVector(name)
        let logits = try vector.run(ReferenceBackend(), blocks: [Int](repeating: 1, count: vector.tokens.count))
        #expect(vector.worst(logits) <= 1e-4)
    }

    @Test func aHalfPrecisionCacheStaysClose() throws {
        for name in LogitVector.names {
            let vector = try LogitVector(name)
            let worst = vector.worst(try vector.run(ReferenceBackend(), cache: .half))
            #expect(worst <= 1e-3)
        }
    }
}
