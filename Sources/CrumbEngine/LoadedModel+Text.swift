import CrumbFormats
package import CrumbJSON
import CrumbModel
import CrumbTemplate
import CrumbTokenizer
import Glibc

/// From text to tokens and from a prompt to an answer.
extension LoadedModel {
    /// The token that the tokenizer puts before every text, if it does.
    package var beginningToken: Int32? {
        guard let bos = tokenizer.bosID, tokenizer.encode("", addSpecialTokens: true).first == bos else { return nil }
        return bos
    }

    /// The tokens of a plain text, with those that the tokenizer adds at its beginning, but not with those at its end: the
    /// model is to go on.
    package func encodePrompt(_ text: String) -> [Int32] {
        let tokens = tokenizer.encode(text, addSpecialTokens: false)
        guard let beginning = beginningToken, tokens.first != beginning else { return tokens }
        return [beginning] + tokens
    }

    /// The tokens of a rendered chat template, which contains its special tokens already.
    package func encodeTemplated(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecialTokens: false) }

    /// The prompt for the model's next message, as the chat template words it.
    ///
    /// - Throws: `EngineError` where there is no template; `TemplateError` where it refuses the messages.
    package func render(_ messages: [JSONValue]) throws -> String {
        let chatTemplate = try requiredChatTemplate
        // As Hugging Face's apply_chat_template: tools and documents are always there, while tokens that a tokenizer lacks
        // are left out, so that templates can ask whether they are defined.
        var context: JSONObject = [
            "messages": .array(messages), "tools": .null, "documents": .null, "add_generation_prompt": true,
        ]
        if let bos = tokenizer.bosID.flatMap({ tokenizer.token($0) }) { context["bos_token"] = .string(bos) }
        if let eos = tokenizer.eosIDs.first.flatMap({ tokenizer.token($0) }) { context["eos_token"] = .string(eos) }
        return try chatTemplate.render(context, date: Int64(time(nil)))
    }

    /// - Throws: `EngineError` where the model has no chat template.
    var requiredChatTemplate: ChatTemplate {
        get throws {
            guard let chatTemplate else {
                throw EngineError(
                    "\(path): has no chat template, so it cannot hold a conversation; let it continue a text instead")
            }
            return chatTemplate
        }
    }

    /// Lets the model continue a plain text, with a cache of just the size that is needed.
    ///
    /// - Parameter contextLength: Tokens that prompt and answer may have together; nil takes the model's own limit.
    /// - Throws: as `GenerationLoop.generate`; `EngineError` for a context out of range.
    package func complete(
        _ text: String, options: GenerationOptions, contextLength: Int? = nil, isCancelled: () -> Bool = { false },
        onText: (String) throws -> Void = { _ in }
    ) throws -> Generation {
        try answer(
            encodePrompt(text), options: options, contextLength: contextLength, isCancelled: isCancelled, onText: onText
        )
    }

    /// Lets the model answer messages, with a cache of just the size that is needed.
    ///
    /// - Parameters:
    ///   - messages: Objects with `role` and `content`, in order.
    ///   - contextLength: Tokens that prompt and answer may have together; nil takes the model's own limit.
    /// - Throws: as `render` and `GenerationLoop.generate`; `EngineError` for a context out of range.
    package func reply(
        to messages: [JSONValue], options: GenerationOptions, contextLength: Int? = nil,
        isCancelled: () -> Bool = { false }, onText: (String) throws -> Void = { _ in }
    ) throws -> Generation {
        try answer(
            encodeTemplated(render(messages)), options: options, contextLength: contextLength,
            isCancelled: isCancelled, onText: onText)
    }

    private func answer(
        _ prompt: [Int32], options: GenerationOptions, contextLength: Int?, isCancelled: () -> Bool,
        onText: (String) throws -> Void
    ) throws -> Generation {
        let limit = try checkedContext(contextLength) ?? configuration.maxPositionEmbeddings
        var capacity = limit
        if let maxTokens = options.maxTokens, maxTokens < limit {
            // One position more than needed, so that a prompt that just fits is not refused.
            capacity = min(limit, prompt.count + max(maxTokens, 0) + 1)
        }
        let timeline = try DecoderTimeline(decoder, capacity: max(capacity, 1))
        return try generate(prompt, on: timeline, options: options, isCancelled: isCancelled, onText: onText)
    }

    /// Continues `prompt` on a timeline of this model.
    ///
    /// - Throws: as `GenerationLoop.generate`; `FormatError` where the model's file changed since it was opened.
    package func generate(
        _ prompt: [Int32], on timeline: any Timeline, options: GenerationOptions, isCancelled: () -> Bool = { false },
        onText: (String) throws -> Void = { _ in }
    ) throws -> Generation {
        var decoder = tokenizer.streamingDecoder(skipSpecialTokens: true)
        let loop = GenerationLoop(
            timeline: timeline, endTokens: endTokens, checkWeights: { try self.checkpoint.checkUnchanged() })
        return try loop.generate(
            prompt, options: options,
            decoder: GenerationLoop.TextDecoder(next: { decoder.append($0) }, finish: { decoder.finish() }),
            isCancelled: isCancelled, onText: onText)
    }

    /// - Throws: `EngineError` where a context length is out of range.
    package func checkedContext(_ length: Int?) throws -> Int? {
        let longest = configuration.maxPositionEmbeddings
        guard let length else { return nil }
        guard length >= 2, length <= longest else {
            throw EngineError("a context of \(length) tokens was asked for, but \(path) can have from 2 to \(longest)")
        }
        return length
    }

    /// Makes sure that ids mean the same to this model and another one, so that their predictions can be compared.
    ///
    /// - Throws: `EngineError` that names the first token that differs.
    package func checkSameVocabulary(as other: LoadedModel) throws {
        let count = max(tokenizer.vocabularySize, other.tokenizer.vocabularySize)
        for id in 0..<Int32(count) where tokenizer.tokenBytes(id) != other.tokenizer.tokenBytes(id) {
            throw EngineError(
                "\(path) and \(other.path) cannot be compared: token \(id) is \(tokenizer.token(id) ?? "missing") in one and "
                    + "\(other.tokenizer.token(id) ?? "missing") in the other")
        }
    }
}
