package import CrumbThreads

/// The weights of one decoder block.
package struct LayerWeights: Sendable {
    /// hiddenSize numbers each.
    package let inputNorm: [Float]
    package let postAttentionNorm: [Float]
    /// q, k, v: they share an input, so they are multiplied together.
    package private(set) var queryKeyValue: [LinearWeight]
    package private(set) var attentionOutput: [LinearWeight]
    package private(set) var gateUp: [LinearWeight]
    package private(set) var down: [LinearWeight]

    /// - Parameter projection: Makes or loads the weight of a projection.
    package init(
        inputNorm: [Float], postAttentionNorm: [Float], projection: (Projection) throws -> LinearWeight
    ) rethrows {
        self.inputNorm = inputNorm
        self.postAttentionNorm = postAttentionNorm
        queryKeyValue = [try projection(.q), try projection(.k), try projection(.v)]
        attentionOutput = [try projection(.o)]
        gateUp = [try projection(.gate), try projection(.up)]
        down = [try projection(.down)]
    }

    /// One weight; set by a calibration that replaces weights with their quantized selves.
    package subscript(projection: Projection) -> LinearWeight {
        get {
            switch projection {
            case .q: queryKeyValue[0]
            case .k: queryKeyValue[1]
            case .v: queryKeyValue[2]
            case .o: attentionOutput[0]
            case .gate: gateUp[0]
            case .up: gateUp[1]
            case .down: down[0]
            }
        }
        set {
            let old = self[projection]
            precondition(
                old.rows == newValue.rows && old.columns == newValue.columns,
                "\(newValue.name) is (\(newValue.rows), \(newValue.columns)), not (\(old.rows), \(old.columns))")
            switch projection {
            case .q: queryKeyValue[0] = newValue
            case .k: queryKeyValue[1] = newValue
            case .v: queryKeyValue[2] = newValue
            case .o: attentionOutput[0] = newValue
            case .gate: gateUp[0] = newValue
            case .up: gateUp[1] = newValue
            case .down: down[0] = newValue
            }
        }
    }
}

extension LayerWeights {
    /// The largest |weight| of each input channel over the matrices of `projections`, which share their input.
    package func largestWeights(_ projections: [Projection], pool: ThreadPool) -> [Float] {
        var largest = [Float](repeating: 0, count: projections.first.map { self[$0].columns } ?? 0)
        for projection in projections {
            let weight = self[projection]
            let rows = WeightRows(weight)
            // A run of rows each, so that no thread waits for another.
            let runs = pool.map(count: (weight.rows + 255) / 256) { run -> [Float] in
                var row = [Float](repeating: 0, count: weight.columns)
                var most = row
                for n in run * 256..<min((run + 1) * 256, weight.rows) {
                    row.withUnsafeMutableBufferPointer { rows.read(n, into: $0.baseAddress.unsafelyUnwrapped) }
                    for k in row.indices { most[k] = max(most[k], abs(row[k])) }
                }
                return most
            }
            for most in runs { for k in most.indices { largest[k] = max(largest[k], most[k]) } }
        }
        return largest
    }
}

/// All weights of a decoder, checked against its configuration.
package struct DecoderWeights: Sendable {
    /// (vocabSize, hiddenSize).
    package let embedding: LinearWeight
    package var layers: [LayerWeights]
    /// hiddenSize numbers.
    package let finalNorm: [Float]
    /// (vocabSize, hiddenSize); the embedding itself where they are tied.
    package let head: LinearWeight

    package init(embedding: LinearWeight, layers: [LayerWeights], finalNorm: [Float], head: LinearWeight) {
        self.embedding = embedding
        self.layers = layers
        self.finalNorm = finalNorm
        self.head = head
    }

    /// Loads every weight of `configuration` from `source`.
    ///
    /// - Throws: `ModelError` where a tensor has the wrong shape or type; what `source` throws where one is missing.
    package init(_ configuration: ModelConfiguration, from source: any WeightSource) throws {
        let (hidden, vocabulary) = (configuration.hiddenSize, configuration.vocabSize)
        func linear(_ name: String, _ rows: Int, _ columns: Int, bias: Bool = false) throws -> LinearWeight {
            let storage = try source.storage(name)
            let unbiased = LinearWeight(name: name, storage: storage)
            guard unbiased.rows == rows, unbiased.columns == columns else {
                throw ModelError(
                    "\(source.path): \(name) is (\(unbiased.rows), \(unbiased.columns)), but the configuration asks for "
                        + "(\(rows), \(columns))"
                )
            }
            guard bias else { return unbiased }
            return LinearWeight(
                name: name, storage: storage, bias: try source.vector("\(name).bias", count: rows))
        }
        embedding = try linear("model.embed_tokens", vocabulary, hidden)
        layers = try (0..<configuration.numHiddenLayers).map { index in
            let prefix = "model.layers.\(index)."
            return try LayerWeights(
                inputNorm: source.vector(prefix + "input_layernorm.weight", count: hidden),
                postAttentionNorm: source.vector(prefix + "post_attention_layernorm.weight", count: hidden)
            ) { projection in
                let (rows, columns) = configuration.shape(of: projection)
                return try linear(
                    prefix + projection.name, rows, columns, bias: configuration.biases.contains(projection))
            }
        }
        finalNorm = try source.vector("model.norm.weight", count: hidden)
        head = configuration.tieWordEmbeddings ? embedding : try linear("lm_head", vocabulary, hidden)
    }

    /// Bytes of weights that a decode step reads: all layers and the head.
    package var bytesPerToken: Int {
        layers.reduce(head.byteCount) { sum, layer in
            Projection.allCases.reduce(sum) { $0 + layer[$1].byteCount }
        }
    }
}
