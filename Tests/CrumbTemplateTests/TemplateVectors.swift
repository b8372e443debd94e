import CrumbJSON
import CrumbTemplate
import FoundationEssentials
import Testing

/// The golden data of Scripts/vectors/template.py: what Python's jinja2 makes of templates.
enum TemplateVectors {
    /// What is to come of a rendering.
    enum Outcome {
        case text(String)
        /// `raise_exception` with this message.
        case raised(String)
        /// Any other error.
        case fails
    }

    struct Case {
        let name: String
        let group: String
        let source: String
        let context: JSONObject
        let date: Int64?
        let outcome: Outcome

        /// Nil if the template gives what jinja2 gives, or what it gives instead.
        func difference() -> String? {
            let result = Result { () throws(TemplateError) in
                try ChatTemplate(source: source).render(context, date: date)
            }
            switch (outcome, result) {
            case (.text(let wanted), .success(let text)):
                return text.utf8.elementsEqual(wanted.utf8)
                    ? nil : "\(name) gives \(text.debugDescription), not \(wanted.debugDescription)"
            case (.text(let wanted), .failure(let error)):
                return "\(name) fails with \"\(error)\" where it should give \(wanted.debugDescription)"
            case (.raised(let wanted), .failure(let error)):
                return error.kind == .raised && error.message == wanted
                    ? nil : "\(name) fails with \"\(error)\" instead of raising \"\(wanted)\""
            case (.fails, .failure(let error)):
                return error.kind == .raised ? "\(name) raises \"\(error)\" where it should fail" : nil
            case (_, .success(let text)): return "\(name) gives \(text.debugDescription) where it should fail"
            }
        }
    }

    /// Small templates, one construct or corner each, grouped.
    static let language: [Case] = {
        guard let file = read("language.json"), let shared = file["context"]?.object else { return [] }
        return (file["cases"]?.array ?? []).compactMap { json in
            guard let json = json.object, let source = json["template"]?.string, let group = json["group"]?.string,
                let outcome = outcome(json)
            else { return nil }
            return Case(
                name: source.debugDescription, group: group, source: source, context: json["context"]?.object ?? shared,
                date: json["date"]?.int.map(Int64.init), outcome: outcome)
        }
    }()

    /// Conversations through whole chat templates; the group is the template's name.
    static let chats: [Case] = {
        guard let file = read("chats.json"), let templates = file["templates"]?.object else { return [] }
        return (file["cases"]?.array ?? []).compactMap { json in
            guard let json = json.object, let template = json["template"]?.string,
                let source = templates[template]?.string, let conversation = json["conversation"]?.string,
                let messages = file["conversations"]?.object?[conversation], let outcome = outcome(json)
            else { return nil }
            var context = JSONObject()
            context["messages"] = messages
            context["tools"] = json["tools"]?.bool == true ? file["tools"] : .null
            context["documents"] = .null
            context["add_generation_prompt"] = json["prompt"]
            for entry in file["tokens"]?.object?.entries ?? [] { context[entry.key] = entry.value }
            for entry in json["extra"]?.object?.entries ?? [] { context[entry.key] = entry.value }
            for name in json["without"]?.array ?? [] { context[name.string ?? ""] = nil }
            return Case(
                name: "\(template): \(JSON.serialize(.object(json)).prefix(120))", group: template, source: source,
                context: context, date: json["date"]?.int.map(Int64.init), outcome: outcome)
        }
    }()

    static func groups(_ cases: [Case]) -> [String] {
        var groups: [String] = []
        for one in cases where !groups.contains(one.group) { groups.append(one.group) }
        return groups
    }

    private static func outcome(_ json: JSONObject) -> Outcome? {
        if let text = json["expected"]?.string { return .text(text) }
        if let message = json["raised"]?.string { return .raised(message) }
        return json["fails"]?.bool == true ? .fails : nil
    }

    private static func read(_ name: String) -> JSONObject? {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        guard let data = try? Data(contentsOf: folder.appending(path: "Vectors/template/\(name)")) else { return nil }
        return try? JSON.parse([UInt8](data), source: name).object
    }
}
