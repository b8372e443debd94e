import CrumbJSON
import CrumbModel
import CrumbTune
import Testing

@Suite struct TuneOptionsTests {
    @Test("the rates rise, then fall to a twentieth")
    func schedule() {
        var options = TuneOptions()
        options.steps = 200
        options.warmUp = 10
        let shares = (0..<200).map { options.share(of: $0) }
        #expect(abs(shares[0] - 0.1) < 1e-3)
        #expect(zip(shares[0..<9], shares[1..<10]).allSatisfy { $0 < $1 })
        #expect(zip(shares[10..<199], shares[11..<200]).allSatisfy { $0 > $1 })
        #expect(abs(shares[199] - 0.05) < 1e-3)
    }

    @Test(
        "what the operators do not cover is refused with the reason",
        arguments: [
            (250, [:], "a multiple of 8"), (512, [:], "longer than the model's context"),
            (64, ["mlp_bias": true], "biases behind"),
            (128, ["model_type": "mistral", "sliding_window": 100], "attention window"),
        ] as [(Int, JSONObject, String)])
    func refusals(_ length: Int, _ extra: JSONObject, _ reason: String) throws {
        var keys: JSONObject = [
            "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
            "num_attention_heads": 4, "vocab_size": 83, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        ]
        for (key, value) in extra.entries { keys[key] = value }
        let configuration = try ModelConfiguration(keys, source: "test")
        let error = #expect(throws: TuneError.self) { try TuneSizes(configuration, texts: 2, length: length) }
        #expect(error?.description.contains(reason) == true)
    }
}
