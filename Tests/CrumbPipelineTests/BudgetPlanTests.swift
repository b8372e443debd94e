import CrumbABI
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbPipeline
import Testing

@Suite struct BudgetPlanTests {
    /// Sizes of published models: hidden, intermediate, layers, heads, key-value heads.
    struct Model: Sendable, CustomTestStringConvertible {
        let name: String
        let sizes: [Int]
        /// Runs into which the inputs of o and down are cut.
        let segments: Int
        var testDescription: String { name }

        static let all = [
            Model(name: "SmolLM2-135M", sizes: [576, 1536, 30, 9, 3], segments: 1),
            Model(name: "Qwen2.5-1.5B", sizes: [1536, 8960, 28, 12, 2], segments: 2),
            Model(name: "Llama-2-7B", sizes: [4096, 11008, 32, 32, 32], segments: 8),
            Model(name: "Llama-3-70B", sizes: [8192, 28672, 80, 64, 8], segments: 8),
            // 29568 / 8 is no whole number of 32-row tiles.
            Model(name: "Qwen2.5-72B", sizes: [8192, 29568, 80, 64, 8], segments: 4),
        ]

        func configuration() throws -> ModelConfiguration {
            let json: JSONObject = [
                "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": JSONValue(sizes[0]),
                "intermediate_size": JSONValue(sizes[1]), "num_hidden_layers": JSONValue(sizes[2]),
                "num_attention_heads": JSONValue(sizes[3]), "num_key_value_heads": JSONValue(sizes[4]),
                "vocab_size": 32000, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 4096,
            ]
            return try ModelConfiguration(json, source: "test")
        }
    }

    @Test("the budget is kept and nearly used up", arguments: Model.all, [2.4, 2.85, 3.5])
    func budget(_ model: Model, bits: Double) throws {
        let plan = try BudgetPlan(model.configuration(), bits: bits, fourBitShare: nil, outliersPerTile: 4)
        #expect(plan.bitsPerWeight <= bits)
        #expect(plan.bitsPerWeight > bits - 0.01)
    }

    @Test("channels whose errors cost more have 4 bits, under the same budget", arguments: Model.all)
    func costs(_ model: Model) throws {
        let configuration = try model.configuration()
        // Layer 1's down costs ten times what all others cost; its costs fall from channel to channel as theirs do.
        let costs = (0..<configuration.numHiddenLayers).map { layer in
            Dictionary(
                uniqueKeysWithValues: Projection.allCases.map { projection in
                    let (rows, columns) = configuration.shape(of: projection)
                    let weight = Float(rows) * (layer == 1 && projection == .down ? 10 : 1)
                    return (projection, (0..<columns).map { weight / Float($0 + columns / 8) })
                })
        }
        let plan = try BudgetPlan(
            configuration, bits: 2.85, fourBitShare: nil, outliersPerTile: 4, channelCosts: costs)
        #expect(plan.bitsPerWeight <= 2.85 && plan.bitsPerWeight > 2.84)
        func share(_ layer: Int, _ projection: Projection) throws -> Double {
            let shape = try #require(plan.shapes[layer][projection])
            return Double(shape.fourBitChannels) / Double(shape.segmentChannels)
        }
        #expect(try share(1, .down) > 1.5 * share(2, .down))
        for layer in plan.shapes { #expect(layer[.q]?.fourBitChannels == layer[.k]?.fourBitChannels) }
        for layer in plan.shapes { #expect(layer[.gate]?.fourBitChannels == layer[.up]?.fourBitChannels) }
    }

    @Test("o and down are cut as far as the heads allow, without padding", arguments: Model.all)
    func segments(_ model: Model) throws {
        let plan = try BudgetPlan(model.configuration(), bits: 2.85, fourBitShare: nil, outliersPerTile: 4)
        for layer in plan.shapes {
            for projection in [Projection.o, .down] {
                let shape = try #require(layer[projection])
                #expect(Int(shape.segments) == model.segments)
                #expect(shape.orderCount == shape.k)
            }
            for projection in [Projection.q, .k, .v, .gate, .up] { #expect(layer[projection]?.segments == 1) }
        }
    }

    @Test("matrices with one input have orders of one length", arguments: Model.all)
    func sharedOrders(_ model: Model) throws {
        let plan = try BudgetPlan(model.configuration(), bits: 2.85, fourBitShare: nil, outliersPerTile: 4)
        for layer in plan.shapes {
            for role in InputRole.allCases {
                #expect(Set(role.projections.compactMap { layer[$0]?.orderCount }).count == 1)
            }
        }
    }

    @Test("shares of 0 and 1 are plain 2 and plain 4 bits", arguments: Model.all)
    func extremes(_ model: Model) throws {
        for (share, bits) in [(0.0, 2.1...2.3), (1.0, 4.1...4.3)] {
            let plan = try BudgetPlan(model.configuration(), bits: 2.85, fourBitShare: share, outliersPerTile: 0)
            #expect(bits.contains(plan.bitsPerWeight))
            for shape in plan.shapes.flatMap(\.values) {
                #expect(shape.fourBitChannels == (share == 0 ? 0 : shape.segmentChannels))
            }
        }
    }

    @Test("a budget below 2-bit codes is refused with the numbers")
    func tooSmall() throws {
        let configuration = try Model.all[0].configuration()
        let error = #expect(throws: PipelineError.self) {
            try BudgetPlan(configuration, bits: 2.1, fourBitShare: nil, outliersPerTile: 64)
        }
        #expect(error?.description.contains("raise --bits") == true)
    }
}
