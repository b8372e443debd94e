package import CrumbJSON

/// A chat template in the Jinja language, as checkpoints bring it along: it turns a conversation into the one text
/// the model was trained to read.
///
/// The language is that of Python's jinja2 as Hugging Face transformers sets it up. A template can read the context
/// it is given and nothing else, and every rendering is held to `TemplateLimits`.
///
/// Where it knowingly differs from jinja2: integers beyond 64 bits are errors; `safe` and `escape` give plain strings,
/// so that what is added to them later is not escaped; a context variable stays visible to a macro or inner block that
/// runs before the enclosing block sets the same name; templates cannot include, import or extend others.
package struct ChatTemplate: Sendable {
    private let template: ParsedTemplate
    private let limits: TemplateLimits

    /// Reads a template.
    /// - Throws: `TemplateError` if the source is no template or goes beyond the limits.
    package init(source: String, limits: TemplateLimits = .init()) throws(TemplateError) {
        template = try Parser.parse(source, limits: limits)
        self.limits = limits
    }

    /// Renders the template over the variables of `context`.
    /// - Parameter date: the moment `strftime_now` tells, in seconds since 1970 (UTC). Without it that function is
    ///   undefined, and templates fall back to a date of their own.
    /// - Throws: `TemplateError`, of kind `.raised` if the template itself refuses the conversation.
    package func render(_ context: JSONObject, date: Int64? = nil) throws(TemplateError) -> String {
        try Interpreter(template, context: context, date: date, limits: limits).render()
    }

    /// Renders a conversation, with the variables Hugging Face transformers gives to every chat template.
    /// - Parameters:
    ///   - tools: JSON schemas of the functions the model may call.
    ///   - addGenerationPrompt: whether the text ends where the model is to answer.
    ///   - extra: further variables; they win over the others.
    package func render(
        messages: [ChatMessage], tools: [JSONValue]? = nil, addGenerationPrompt: Bool = true, bosToken: String? = nil,
        eosToken: String? = nil, extra: JSONObject = JSONObject(), date: Int64? = nil
    ) throws(TemplateError) -> String {
        var context = JSONObject()
        context["messages"] = .array(messages.map(\.json))
        context["tools"] = tools.map { .array($0) } ?? .null
        context["documents"] = .null
        context["add_generation_prompt"] = .bool(addGenerationPrompt)
        if let bosToken { context["bos_token"] = .string(bosToken) }
        if let eosToken { context["eos_token"] = .string(eosToken) }
        for entry in extra.entries { context[entry.key] = entry.value }
        return try render(context, date: date)
    }
}

/// One message of a conversation.
package struct ChatMessage: Sendable {
    /// "system", "user", "assistant" or "tool".
    package var role: String
    package var content: String
    /// Further members of the message, such as `tool_calls`.
    package var extra: JSONObject

    package init(role: String, content: String, extra: JSONObject = JSONObject()) {
        self.role = role
        self.content = content
        self.extra = extra
    }

    /// The message as templates see it.
    package var json: JSONValue {
        var message = JSONObject([("role", .string(role)), ("content", .string(content))])
        for entry in extra.entries { message[entry.key] = entry.value }
        return .object(message)
    }
}
