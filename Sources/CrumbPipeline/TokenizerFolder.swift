import CrumbEngine
import CrumbFormats
import CrumbJSON

/// The text side of a quantized folder: the source's own files, or files made from a GGUF file's metadata.
enum TokenizerFolder {
    /// Files of a Hugging Face folder that belong to its tokenizer or its defaults; those there are copied as they are.
    private static let copied = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
        "generation_config.json", "LICENSE",
    ]

    /// - Throws: `FormatError`, `JSONError` or `TokenizerError` where a file cannot be read, made or written.
    static func write(_ source: LoadedModel, to folder: String) throws {
        func save(_ text: String, as name: String) throws {
            try AtomicFile.write(text, to: FileSystem.join(folder, name))
        }
        if case .gguf(let vocabulary) = try source.checkpoint.tokenizerFiles {
            let files = try VocabularySource.synthesize(vocabulary, source: source.path)
            try save(JSON.serialize(files.tokenizer), as: "tokenizer.json")
            try save(JSON.serialize(files.configuration, pretty: true) + "\n", as: "tokenizer_config.json")
            if let template = vocabulary.chatTemplate { try save(template, as: "chat_template.jinja") }
            if let generation = source.checkpoint.generationConfiguration {
                try save(JSON.serialize(.object(generation), pretty: true) + "\n", as: "generation_config.json")
            }
            return
        }
        for name in copied {
            guard let bytes = try source.checkpoint.sideFile(name) else { continue }
            try AtomicFile.write(bytes, to: FileSystem.join(folder, name))
        }
        // Wherever the source has its template, the result has it where readers look first.
        if case .huggingFace(_, _, let template?) = try source.checkpoint.tokenizerFiles {
            try save(template, as: "chat_template.jinja")
        }
    }
}
