import CrumbEngine
import CrumbJSON
import CrumbTokenizer
import Testing

struct ChatSessionTests {
    private let options = GenerationOptions(maxTokens: 5, sampling: .greedy, ignoresEnd: true)

    @Test func messagesGoThroughTheTemplateWithoutASecondBeginning() throws {
        let model = try TinyFolder().load()
        let prompt = try model.render([ChatSession.message("user", "hi")])
        #expect(prompt == "<|user|>hi</s><|assistant|>")
        #expect(model.encodeTemplated(prompt) == [259, 104, 105, 257, 260])
    }

    @Test func aSecondTurnReusesWhatTheFirstHasComputed() throws {
        let model = try TinyFolder().load()
        let session = try ChatSession(model, system: "Be brief.")
        let first = try session.send("Hello", options: options)
        #expect(first.reusedTokens == 0)
        let second = try session.send("And now?", options: options)
        // Markers, system message, question and the marker before the answer at least.
        #expect(second.reusedTokens >= first.promptTokens - 1)
        #expect(session.messages.map { $0["role"]?.string } == ["system", "user", "assistant", "user", "assistant"])
        #expect(session.messages[2]["content"]?.string == first.text)
    }

    @Test func answersAreTheSameWithAndWithoutTheCache() throws {
        let model = try TinyFolder().load()
        let session = try ChatSession(model)
        _ = try session.send("Hello", options: options)
        let second = try session.send("And now?", options: options)
        let prompt = try model.render(Array(session.messages.dropLast()))
        let fresh = try model.generate(
            model.encodeTemplated(prompt), on: DecoderTimeline(model.forward, capacity: 256), options: options)
        #expect(fresh.reusedTokens == 0)
        #expect(fresh.tokens == second.tokens)
    }

    @Test func aMessageThatDoesNotFitLeavesTheConversationAsItWas() throws {
        let session = try ChatSession(TinyFolder().load(), contextLength: 64)
        _ = try session.send("Hello", options: options)
        let before = session.messages
        #expect(throws: EngineError.self) {
            try session.send(String(repeating: "long ", count: 20), options: options)
        }
        #expect(session.messages == before)
        #expect(try session.send("Hi", options: options).generatedTokens > 0)
    }

    @Test func aModelWithoutATemplateCannotChat() throws {
        let folder = TinyFolder()
        folder.tokenizerConfiguration["chat_template"] = nil
        let model = try folder.load()
        #expect(throws: EngineError.self) { try ChatSession(model) }
    }

    @Test func aSingleReplyIsTheFirstOfAConversation() throws {
        let model = try TinyFolder().load()
        let messages = [ChatSession.message("system", "Be brief."), ChatSession.message("user", "Hello")]
        let reply = try model.reply(to: messages, options: options)
        #expect(try ChatSession(model, system: "Be brief.").send("Hello", options: options).tokens == reply.tokens)
        let error = #expect(throws: EngineError.self) {
            try model.reply(to: messages, options: options, contextLength: 8)
        }
        #expect(error?.description.contains("context holds 8") == true)
    }

    @Test func resetForgetsAllButTheSystemMessage() throws {
        let session = try ChatSession(TinyFolder().load(), system: "Be brief.")
        _ = try session.send("Hello", options: options)
        session.reset()
        #expect(session.messages == [ChatSession.message("system", "Be brief.")])
        session.reset(system: "Be long.")
        #expect(session.messages == [ChatSession.message("system", "Be long.")])
    }
}
