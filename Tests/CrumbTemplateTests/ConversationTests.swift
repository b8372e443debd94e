import CrumbJSON
import CrumbTemplate
import Testing

@Suite struct ConversationTests {
    private let messages = [
        ChatMessage(role: "system", content: "S"), ChatMessage(role: "user", content: "U"),
        ChatMessage(role: "assistant", content: "A", extra: ["tool_calls": [["name": "f"]]]),
    ]

    @Test func `a conversation arrives with the variables of transformers`() throws {
        let template = try ChatTemplate(
            source: """
                {{ bos_token }}\
                {% for m in messages %}{{ m.role }}={{ m.content }}\
                {{ m.tool_calls|tojson if m.tool_calls }};{% endfor %}\
                {{ tools }}{{ documents }}{{ add_generation_prompt }}{{ eos_token }}{{ enable_thinking }}
                """)
        #expect(
            try template.render(messages: messages, bosToken: "<s>", eosToken: "</s>", extra: ["enable_thinking": true])
                == "<s>system=S;user=U;assistant=A[{\"name\": \"f\"}];NoneNoneTrue</s>True")
        #expect(
            try template.render(messages: [], tools: [["type": "function"]], addGenerationPrompt: false)
                == "[{'type': 'function'}]NoneFalse")
    }

    @Test func `one template renders again and again, and on many threads`() async throws {
        let template = try ChatTemplate(
            source:
                "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 2 %}{% endfor %}{{ ns.n }}"
        )
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 { group.addTask { try template.render(messages: self.messages) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(texts == [String](repeating: "6", count: 8))
    }

    @Test func `keys that are canonically equivalent stay two keys`() throws {
        let context: JSONObject = ["d": .object(JSONObject([("\u{E9}", 1), ("e\u{301}", 2)]))]
        let template = try ChatTemplate(
            source: "{{ d|length }}{{ d['\u{E9}'] }}{{ d['e\u{301}'] }}{{ '\u{E9}' == 'e\u{301}' }}")
        #expect(try template.render(context) == "212False")
    }

    @Test func `a thousand messages take well under a second`() throws {
        let source = TemplateVectors.chats.first { $0.group == "Qwen2.5-Coder-1.5B-Instruct" }?.source ?? ""
        let template = try ChatTemplate(source: source)
        let long = (0..<1000).map {
            ChatMessage(role: $0 % 2 == 0 ? "user" : "assistant", content: String(repeating: "word ", count: 200))
        }
        let clock = ContinuousClock()
        var text = ""
        let time = try clock.measure { text = try template.render(messages: long) }
        #expect(text.utf8.count > 1_000_000)
        // Measured: 0.03 s; the bound only catches work that grows with the square.
        #expect(time < .seconds(1))
    }
}
