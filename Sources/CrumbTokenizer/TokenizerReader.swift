// Reading tokenizer.json: what every part needs. A tokenizer file is hostile input: kinds, ranges and sizes are
// checked here, so that encoding and decoding need no checks.

import CrumbJSON

/// Reads the parts of a tokenizer.json.
struct TokenizerReader {
    let source: String

    /// Steps that a normalizer or a pre-tokenizer may have.
    static let maximalSteps = 16

    func error(_ reason: String) -> TokenizerError { TokenizerError(source: source, reason: reason) }

    /// The `type` of a part.
    func type(_ part: JSONObject, _ name: String) throws(TokenizerError) -> String {
        guard let type = part["type"]?.string else {
            throw error("the \(name) must have a \"type\" that is a text")
        }
        return type
    }

    /// A part that must be an object.
    func object(_ value: JSONValue, _ name: String) throws(TokenizerError) -> JSONObject {
        guard let object = value.object else { throw error("the \(name) must be an object") }
        return object
    }

    /// A field that is true or false; `fallback` where it is absent.
    func flag(
        _ part: JSONObject, _ key: String, _ name: String, default fallback: Bool? = nil
    ) throws(TokenizerError) -> Bool {
        switch part[key] {
        case .some(.bool(let value)): return value
        case .none, .some(.null):
            if let fallback { return fallback }
        default: break
        }
        throw error("\"\(key)\" of the \(name) must be true or false")
    }

    /// A field that is a text.
    func text(_ part: JSONObject, _ key: String, _ name: String) throws(TokenizerError) -> String {
        guard let text = part[key]?.string else { throw error("\"\(key)\" of the \(name) must be a text") }
        return text
    }

    /// The members of a `Sequence`, or the part itself; nothing where it is absent. Sequences may lie in each other.
    func steps(_ value: JSONValue?, _ name: String, _ listKey: String) throws(TokenizerError) -> [JSONObject] {
        guard let value, !value.isNull else { return [] }
        var steps: [JSONObject] = []
        // The next value to look at stands last.
        var open = [value]
        while let next = open.popLast() {
            let part = try object(next, name)
            guard try type(part, name) == "Sequence" else {
                steps.append(part)
                guard steps.count <= Self.maximalSteps else {
                    throw error("the \(name) has more than \(Self.maximalSteps) steps")
                }
                continue
            }
            guard let list = part[listKey]?.array else {
                throw error("\"\(listKey)\" of the \(name) must be a list")
            }
            open += list.reversed()
            guard open.count <= Self.maximalSteps else {
                throw error("the \(name) has more than \(Self.maximalSteps) steps")
            }
        }
        return steps
    }

    /// The pattern of a `Replace` or `Split` that is a plain text; nil where it is a regular expression.
    func literal(_ part: JSONObject, _ name: String) throws(TokenizerError) -> (text: String, isRegex: Bool) {
        if let text = part["pattern"]?["String"]?.string { return (text, false) }
        if let text = part["pattern"]?["Regex"]?.string { return (text, true) }
        throw error("\"pattern\" of the \(name) must be {\"String\": ...} or {\"Regex\": ...}")
    }
}
