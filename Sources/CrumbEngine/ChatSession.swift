package import CrumbJSON
import CrumbModel

/// A conversation: the messages so far, put into words by the model's own chat template, and a cache that keeps what
/// successive prompts have in common.
package final class ChatSession {
    package let model: LoadedModel
    /// Objects with `role` and `content`, in order.
    package private(set) var messages: [JSONValue]
    private let timeline: DecoderTimeline

    /// Positions reserved where nothing else is asked for: long enough for a conversation, and its memory, which the
    /// system backs page by page, can be had on small machines.
    package static let defaultContext = 8192

    /// - Parameters:
    ///   - system: What the model is told first.
    ///   - contextLength: Tokens that the whole conversation may have; nil takes 8192 or the model's own limit.
    /// - Throws: `EngineError` where the model has no chat template or the context is out of range; `ModelError` when
    ///   there is no memory for it.
    package init(_ model: LoadedModel, system: String? = nil, contextLength: Int? = nil) throws {
        _ = try model.requiredChatTemplate
        self.model = model
        messages = system.map { [Self.message("system", $0)] } ?? []
        let longest = model.configuration.maxPositionEmbeddings
        timeline = try DecoderTimeline(
            model.decoder,
            capacity: try model.checkedContext(contextLength) ?? min(longest, Self.defaultContext))
    }

    /// Says something and lets the model answer.
    ///
    /// Where it fails, the conversation is as it was before. A cancelled answer stays, as far as it went.
    ///
    /// - Throws: `TemplateError` where the template refuses the messages; as `GenerationLoop.generate`.
    package func send(
        _ text: String, options: GenerationOptions, isCancelled: () -> Bool = { false },
        onText: (String) throws -> Void = { _ in }
    ) throws -> Generation {
        let asked = messages + [Self.message("user", text)]
        let prompt = model.encodeTemplated(try model.render(asked))
        let generation = try model.generate(
            prompt, on: timeline, options: options, isCancelled: isCancelled, onText: onText)
        messages = asked + [Self.message("assistant", generation.text)]
        return generation
    }

    /// Forgets the conversation.
    ///
    /// - Parameter system: What the model is told first from now on; nil keeps what it was told.
    package func reset(system: String? = nil) {
        if let system {
            messages = [Self.message("system", system)]
        } else {
            messages = messages.filter { $0["role"]?.string == "system" }
        }
    }

    package static func message(_ role: String, _ content: String) -> JSONValue {
        ["role": .string(role), "content": .string(content)]
    }
}
