package import CrumbJSON

/// The sizes and constants of a decoder: Hugging Face's `config.json` keys, each checked.
///
/// What passes here is trusted afterwards: sizes are positive, below limits whose products fit an `Int`, and divide
/// each other where they must. `auto_map` and other references to code are never read.
package struct ModelConfiguration: Sendable {
    package let architecture: Architecture
    /// `model_type` as written: several types can share an architecture.
    package let modelType: String
    /// Features of the residual stream.
    package let hiddenSize: Int
    /// Features between gate/up and down.
    package let intermediateSize: Int
    package let numHiddenLayers: Int
    package let numAttentionHeads: Int
    /// Divides `numAttentionHeads`; equal to it without grouped-query attention.
    package let numKeyValueHeads: Int
    /// Features of one head; even. Not always `hiddenSize / numAttentionHeads`.
    package let headDim: Int
    package let vocabSize: Int
    package let rmsNormEps: Float
    package let ropeTheta: Double
    package let ropeScaling: RopeScaling
    /// Positions the model was made for: the longest context.
    package let maxPositionEmbeddings: Int
    package let tieWordEmbeddings: Bool
    /// Projections that add a bias.
    package let biases: Set<Projection>
    /// For each layer the number of latest positions a token sees, itself included; `Int.max` where it sees all.
    package let attentionWindows: [Int]
    package let bosTokenIDs: [Int]
    package let eosTokenIDs: [Int]

    /// Features of all query heads together.
    package var queryFeatures: Int { numAttentionHeads * headDim }
    /// Features of all key (or value) heads together.
    package var keyValueFeatures: Int { numKeyValueHeads * headDim }

    /// N and K of a projection.
    package func shape(of projection: Projection) -> (rows: Int, columns: Int) {
        switch projection {
        case .q: (queryFeatures, hiddenSize)
        case .k, .v: (keyValueFeatures, hiddenSize)
        case .o: (hiddenSize, queryFeatures)
        case .gate, .up: (intermediateSize, hiddenSize)
        case .down: (hiddenSize, intermediateSize)
        }
    }

    /// Reads and checks a configuration.
    ///
    /// - Parameters:
    ///   - json: The keys of `config.json`.
    ///   - source: The file's name, for errors.
    /// - Throws: `ModelError` for an unknown architecture, a missing key, or a number that is out of range or does not
    ///   fit the others.
    package init(_ json: JSONObject, source: String) throws(ModelError) {
        let reader = ConfigurationReader(json, source: source)
        guard let modelType = try reader.string("model_type") else {
            throw reader.error("model_type", "is missing, so the architecture is unknown")
        }
        let architecture = try Architecture.find(modelType, source: source)
        let heads = try reader.integer("num_attention_heads", in: 1...1024)
        let hidden = try reader.integer("hidden_size", in: 1...(1 << 17))
        let layers = try reader.integer("num_hidden_layers", in: 1...1024)
        let keyValueHeads = try reader.integer("num_key_value_heads", in: 1...1024, default: heads)
        guard heads % keyValueHeads == 0 else {
            throw reader.error(
                "num_key_value_heads", "is \(keyValueHeads), which does not divide num_attention_heads, \(heads)")
        }
        if reader.value("head_dim") == nil, hidden % heads != 0 {
            throw reader.error(
                "hidden_size", "is \(hidden), which num_attention_heads, \(heads), does not divide; give head_dim")
        }
        let headDim = try reader.integer("head_dim", in: 2...1024, default: hidden / heads)
        guard headDim >= 2, headDim <= 1024, headDim % 2 == 0 else {
            throw reader.error("head_dim", "is \(headDim), but must be even and from 2 to 1024")
        }
        if let activation = try reader.string("hidden_act"), activation != "silu", activation != "swish" {
            throw reader.error("hidden_act", "is \"\(activation)\", but only silu is supported")
        }
        let positions = try reader.integer("max_position_embeddings", in: 1...(1 << 26))
        let rope = try RopeScaling.read(reader, headDim: headDim, maxPositions: positions)
        let vocabulary = try reader.integer("vocab_size", in: 1...(1 << 24))

        self.architecture = architecture
        self.modelType = modelType
        hiddenSize = hidden
        intermediateSize = try reader.integer("intermediate_size", in: 1...(1 << 20))
        numHiddenLayers = layers
        numAttentionHeads = heads
        numKeyValueHeads = keyValueHeads
        self.headDim = headDim
        vocabSize = vocabulary
        rmsNormEps = Float(try reader.number("rms_norm_eps", in: 0...0.1, default: 1e-6))
        ropeTheta = rope.theta
        ropeScaling = rope.scaling
        maxPositionEmbeddings = positions
        tieWordEmbeddings = try reader.flag("tie_word_embeddings", default: architecture.tiesByDefault)
        biases = try architecture.biases(reader)
        attentionWindows = try architecture.windows(reader, layers)
        bosTokenIDs = try reader.oneOrMore("bos_token_id", in: 0...(vocabulary - 1))
        eosTokenIDs = try reader.oneOrMore("eos_token_id", in: 0...(vocabulary - 1))
    }
}
