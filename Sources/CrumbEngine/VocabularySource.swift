package import CrumbFormats
package import CrumbJSON
package import CrumbModel
package import CrumbTokenizer

/// What a checkpoint says about its text side: tokenizer, chat template, tokens that end an answer.
package struct VocabularySource {
    private let json: JSONValue
    private let tokenizerConfiguration: JSONValue?
    private let source: String
    /// The Jinja source, nil where there is none.
    package let chatTemplate: String?

    /// - Throws: `FormatError`, `JSONError` or `TokenizerError` where the tokenizer is missing or not of a known kind.
    package init(_ checkpoint: any Checkpoint) throws {
        switch try checkpoint.tokenizerFiles {
        case .huggingFace(let tokenizer, let configuration, let chatTemplate):
            json = tokenizer
            tokenizerConfiguration = configuration
            source = FileSystem.join(checkpoint.path, "tokenizer.json")
            self.chatTemplate = chatTemplate
        case .gguf(let vocabulary):
            source = checkpoint.path
            (json, tokenizerConfiguration) = try Self.synthesize(vocabulary, source: source)
            chatTemplate = vocabulary.chatTemplate
        }
    }

    /// The tokenizer, which must fit `vocabularySize` rows of the embedding.
    package func tokenizer(within vocabularySize: Int) throws -> Tokenizer {
        try Tokenizer(
            json: json, configuration: tokenizerConfiguration, vocabularyLimit: vocabularySize, source: source)
    }

    /// Every token that `generation_config.json`, `config.json` or the tokenizer says ends a text: chat models are
    /// shipped with different ones in the three places.
    package func endTokens(
        _ tokenizer: Tokenizer, checkpoint: any Checkpoint, configuration: ModelConfiguration
    ) throws -> Set<Int32> {
        var ends = Set(tokenizer.eosIDs)
        ends.formUnion(configuration.eosTokenIDs.map { Int32($0) })
        if let generation = checkpoint.generationConfiguration {
            let reader = ConfigurationReader(
                generation, source: FileSystem.join(checkpoint.path, "generation_config.json"))
            let ids = try reader.oneOrMore("eos_token_id", in: 0...(configuration.vocabSize - 1))
            ends.formUnion(ids.map { Int32($0) })
        }
        return ends
    }
}

extension VocabularySource {
    /// The files of a Hugging Face tokenizer for the vocabulary of a GGUF file.
    ///
    /// - Throws: `TokenizerError` for a tokenizer of an unknown kind or arrays that contradict each other.
    package static func synthesize(
        _ vocabulary: GGUFVocabulary, source: String
    ) throws -> (tokenizer: JSONValue, configuration: JSONValue) {
        var arrays = GGUFVocabularyArrays(model: vocabulary.model, tokens: vocabulary.tokens)
        arrays.preTokenizer = vocabulary.preTokenizer
        arrays.scores = vocabulary.scores.isEmpty ? nil : vocabulary.scores
        arrays.tokenTypes = vocabulary.types.isEmpty ? nil : vocabulary.types.map(\.rawValue)
        arrays.merges = vocabulary.merges.isEmpty ? nil : vocabulary.merges
        arrays.bosID = vocabulary.bosTokenID
        arrays.eosID = vocabulary.eosTokenID
        arrays.unknownID = vocabulary.unknownTokenID
        arrays.paddingID = vocabulary.paddingTokenID
        arrays.addBOS = vocabulary.addBOS
        arrays.addEOS = vocabulary.addEOS
        arrays.addSpacePrefix = vocabulary.addSpacePrefix
        arrays.chatTemplate = vocabulary.chatTemplate
        do {
            return try TokenizerJSON.synthesize(arrays)
        } catch {
            throw EngineError("\(source): \(error)")
        }
    }
}
