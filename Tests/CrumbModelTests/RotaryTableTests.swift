import CrumbJSON
import CrumbModel
import Testing

@Suite struct RotaryTableTests {
    /// Growing must not change what is there: a table asked for 5 positions first equals one made for 300.
    @Test func growthKeepsEarlierRows() throws {
        let configuration = try ModelConfiguration(
            [
                "model_type": "llama", "hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 1,
                "num_attention_heads": 2, "vocab_size": 5, "max_position_embeddings": 512,
            ], source: "memory")
        func rows(_ limits: [Int]) -> [Float] {
            let table = RotaryTable(configuration)
            for limit in limits { table.reserve(limit) }
            return table.withRows { Array(UnsafeBufferPointer(start: $0, count: 300 * 8)) }
        }
        let whole = rows([300])
        #expect(rows([5, 6, 40, 300]) == whole)
        // Position 0 turns nothing; position 1 turns the first pair by one radian.
        #expect(Array(whole.prefix(8)) == [1, 1, 1, 1, 0, 0, 0, 0])
        #expect(abs(whole[8] - 0.5403023) < 1e-6 && abs(whole[12] - 0.84147098) < 1e-6)
    }
}
