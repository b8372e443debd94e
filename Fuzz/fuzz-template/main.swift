// Templates with a small conversation. Behind a zero byte the input may bring variables of its own, as JSON.

import CrumbJSON
import CrumbTemplate
import FuzzSupport

/// Limits low enough that every input ends within a fraction of a second.
private func limits() -> TemplateLimits {
    var limits = TemplateLimits()
    limits.sourceBytes = 1 << 16
    limits.steps = 20_000
    limits.outputBytes = 1 << 18
    limits.stringBytes = 1 << 18
    limits.workBytes = 8 << 20
    return limits
}

private func variables(_ bytes: ArraySlice<UInt8>?) -> JSONObject {
    if let bytes, let value = try? JSON.parse(Array(bytes), source: "fuzz", limits: JSONLimits(maxValues: 2000)),
        let object = value.object
    {
        return object
    }
    return [
        "messages": [
            ["role": "system", "content": "Be brief."], ["role": "user", "content": "H\u{e9}llo <b> \"q\" \u{1f600}"],
            [
                "role": "assistant", "content": nil,
                "tool_calls": [["function": ["name": "f", "arguments": ["x": 1.5]]]],
            ],
        ],
        "tools": [["type": "function", "function": ["name": "f", "parameters": ["type": "object"]]]],
        "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "n": 7, "f": -2.5, "s": "Hello World",
        "xs": [3, 1, 2], "d": ["b": 1, "a": [1, nil]],
    ]
}

/// The templates of the tests' vectors.
private func seeds(file: String = #filePath) -> [[UInt8]] {
    let root = "/" + file.split(separator: "/").dropLast(3).joined(separator: "/")
    func load(_ name: String) -> JSONValue? {
        readFile("\(root)/Tests/Vectors/template/\(name)").flatMap { try? JSON.parse($0, source: name) }
    }
    let cases = load("language.json")?["cases"]?.array ?? []
    let templates = load("chats.json")?["templates"]?.object?.entries ?? []
    let texts = cases.compactMap { $0["template"]?.string } + templates.compactMap { $0.value.string }
    return texts.map { Array($0.utf8) } + [Array("{{ a.b }}".utf8) + [0] + Array(#"{"a":{"b":[1,2]}}"#.utf8)]
}

Fuzzer.run(seeds: seeds()) { start, count in
    let input = Fuzzer.bytes(start, count)
    let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    let source = String(decoding: parts[0], as: UTF8.self)
    guard let template = try? ChatTemplate(source: source, limits: limits()),
        let text = try? template.render(variables(parts.count > 1 ? parts[1] : nil), date: 1_700_000_000)
    else { return 0 }
    Fuzzer.require(text.utf8.count <= limits().outputBytes, "\(text.utf8.count) bytes of output, above the limit")
    return 0
}
