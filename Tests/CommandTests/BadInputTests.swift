import CrumbFormats
import CrumbJSON
import Glibc
import Testing

/// Bad input gets one sentence that names the thing, exit code 1, and nothing left half-written.
@Suite struct BadInputTests {
    /// Damage to a copy of the tiny model, and what the sentence must name.
    struct Damage: CustomTestStringConvertible {
        var testDescription: String
        var names: [String]
        var apply: @Sendable (_ folder: String) throws -> Void
    }

    static let damages: [Damage] = [
        Damage(testDescription: "no config.json", names: ["config.json"]) { unlink($0 + "/config.json") },
        Damage(testDescription: "no tokenizer", names: ["tokenizer.json"]) { unlink($0 + "/tokenizer.json") },
        Damage(testDescription: "an unknown architecture", names: ["gpt_nox", "llama", "qwen2"]) { folder in
            try edit(folder + "/config.json") { $0.replacing("llama", with: "gpt_nox") }
        },
        Damage(testDescription: "safetensors cut in the middle", names: ["model.safetensors"]) { folder in
            truncate(folder + "/model.safetensors", 1_000_000)
        },
        Damage(testDescription: "a safetensors header of absurd length", names: ["model.safetensors"]) { folder in
            var bytes = try Scratch.bytes(folder + "/model.safetensors")
            bytes.replaceSubrange(0..<8, with: [255, 255, 255, 255, 255, 255, 255, 127])
            try AtomicFile.write(bytes, to: folder + "/model.safetensors")
        },
        Damage(testDescription: "a tensor of the wrong shape", names: ["embed_tokens", "512"]) { folder in
            try edit(folder + "/config.json") { $0.replacing("\"hidden_size\": 256", with: "\"hidden_size\": 512") }
        },
        Damage(testDescription: "a weight that is not a number", names: ["not finite", "down_proj"]) { folder in
            var bytes = try Scratch.bytes(folder + "/model.safetensors")
            // Half-precision NaN: exponent all ones, a fraction. The last matrix before the norm's 512 bytes.
            bytes.replaceSubrange(bytes.count - 1024..<bytes.count - 1022, with: [0x00, 0x7E])
            try AtomicFile.write(bytes, to: folder + "/model.safetensors")
        },
        Damage(testDescription: "a tokenizer of more tokens than the embedding", names: ["embedding"]) { folder in
            try edit(folder + "/tokenizer.json") { $0.replacing("\"th\": 259", with: "\"th\": 9259") }
        },
        Damage(testDescription: "JSON nested too deeply", names: ["config.json"]) { folder in
            let deep = String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
            try edit(folder + "/config.json") { $0.replacing("\"llama\"", with: deep) }
        },
        Damage(testDescription: "a chat template that does not parse", names: ["template"]) { folder in
            try edit(folder + "/tokenizer_config.json") { $0.replacing("{% endfor %}", with: "{% endfro %}") }
        },
    ]

    private static func edit(_ path: String, _ change: (String) -> String) throws {
        let before = try Scratch.text(path)
        let after = change(before)
        try #require(after != before, "\(path) has nothing to change")
        try AtomicFile.write(after, to: path)
    }

    /// Expects one sentence on standard error, exit code 1, and the same sentence in the JSON object.
    private func expectSentence(
        _ result: Program.Result, names: [String], _ location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(result.code == 1, "\(result)", sourceLocation: location)
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        let sentence = try #require(lines.count == 1 ? lines.first : nil, "\(result)", sourceLocation: location)
        #expect(sentence.hasSuffix(".") && sentence.utf8.count < 700, sourceLocation: location)
        let missing = names.filter { !sentence.lowercased().contains($0.lowercased()) }
        #expect(missing.isEmpty, "\(sentence) does not name \(missing)", sourceLocation: location)
        if !result.output.isEmpty {
            #expect("error: " + (try result.json()["error"]?.string ?? "") == sentence, sourceLocation: location)
        }
    }

    @Test(arguments: damages) func `a damaged model is refused by run and quantize`(damage: Damage) throws {
        let folder = try Scratch.copy(of: try TinyModel.source())
        try damage.apply(folder)
        try expectSentence(try Program.crumb("run", folder, "-p", "a", "-n", "1", "--json"), names: damage.names)
        let output = Scratch.path("out")
        let result = try Program.start(
            [Program.buildFolder + "/crumb", "quantize", folder, "-o", output, "--json"] + TinyModel.quick
        ).wait()
        try expectSentence(result, names: damage.names)
        #expect(!FileSystem.exists(output) && !FileSystem.exists(output + ".partial"))
    }

    @Test(arguments: [
        ["run", "nowhere", "-p", "x"], ["chat", "nowhere"], ["inspect", "nowhere"], ["verify", "nowhere"],
        ["bench", "nowhere"], ["quantize", "nowhere", "-o", "out"], ["eval", "nowhere", "--text", TinyModel.text],
        ["experiment", "ranges", "nowhere"],
    ]) func `a model that is not there is named`(arguments: [String]) throws {
        try expectSentence(
            try Program.start([Program.buildFolder + "/crumb"] + arguments + ["--json"]).wait(), names: ["nowhere"])
    }

    @Test func `a file that is no model is refused`() throws {
        let path = Scratch.path("noise.gguf")
        try AtomicFile.write("This is not a model.", to: path)
        try expectSentence(try Program.crumb("run", path, "-p", "x", "--json"), names: ["noise.gguf"])
    }

    @Test func `ranges are asked of a source only`() throws {
        try expectSentence(
            try Program.crumb("experiment", "ranges", try TinyModel.quantized(), "--json"), names: ["unquantized"])
    }

    @Test func `an output folder that exists is left alone`() throws {
        let folder = try Scratch.copy(of: try TinyModel.source())
        let before = try Scratch.names(in: folder)
        let result = try Program.crumb("quantize", try TinyModel.source(), "-o", folder, "--json")
        try expectSentence(result, names: ["exists"])
        #expect(try Scratch.names(in: folder) == before)
    }

    @Test func `a calibration text that is too short is refused before the work`() throws {
        let text = Scratch.path("short.txt")
        try AtomicFile.write("too short", to: text)
        let output = Scratch.path("out")
        let result = try Program.crumb(
            "quantize", try TinyModel.source(), "-o", output, "--calibration", text, "--json")
        try expectSentence(result, names: ["short.txt"])
        #expect(!FileSystem.exists(output) && !FileSystem.exists(output + ".partial"))
    }

    @Test func `a memory limit below the plan is refused`() throws {
        let output = Scratch.path("out")
        let result = try Program.crumb(
            "quantize", try TinyModel.source(), "-o", output, "--calibration", TinyModel.text, "--calibration-tokens",
            "4096", "--max-memory", "1M", "--json")
        try expectSentence(result, names: ["--max-memory"])
        #expect(!FileSystem.exists(output))
    }

    @Test func `a report that cannot be written is refused before the work`() throws {
        let output = Scratch.path("out")
        let result = try Program.crumb(
            "quantize", try TinyModel.source(), "-o", output, "--report", "/nowhere/report.html", "--json")
        try expectSentence(result, names: ["/nowhere/report.html"])
        #expect(!FileSystem.exists(output))
    }

    @Test func `a quantized model is not quantized again`() throws {
        let result = try Program.crumb("quantize", try TinyModel.quantized(), "-o", Scratch.path("out"), "--json")
        try expectSentence(result, names: ["quantized already"])
    }

    @Test func `a prompt longer than the context is an error, not a shorter prompt`() throws {
        let long = String(repeating: "sea ", count: 600)
        let result = try Program.crumb("run", try TinyModel.source(), "-p", "-", "--json", input: long)
        try expectSentence(result, names: ["context"])
        let asked = try Program.crumb("run", try TinyModel.source(), "-p", "abcdef", "--context", "4", "--json")
        try expectSentence(asked, names: ["context"])
    }

    @Test func `a context beyond the model's is refused`() throws {
        let result = try Program.crumb("run", try TinyModel.source(), "-p", "a", "--context", "4096", "--json")
        try expectSentence(result, names: ["1024"])
    }

    @Test func `a text that does not fill a window is refused`() throws {
        let text = Scratch.path("short.txt")
        try AtomicFile.write("too short", to: text)
        let result = try Program.crumb("eval", try TinyModel.source(), "--text", text, "--json")
        try expectSentence(result, names: ["window"])
    }

    @Test(arguments: ["eval", "quantize"]) func `a text that is no UTF-8 is refused`(verb: String) throws {
        let text = Scratch.path("latin.txt")
        try AtomicFile.write([UInt8](repeating: 0xE9, count: 4096), to: text)
        let result =
            verb == "eval"
            ? try Program.crumb("eval", try TinyModel.source(), "--text", text, "--json")
            : try Program.crumb(
                "quantize", try TinyModel.source(), "-o", Scratch.path("out"), "--calibration", text, "--json")
        try expectSentence(result, names: ["UTF-8"])
    }

    @Test func `models of different vocabularies are not compared`() throws {
        let other = try Scratch.copy(of: try TinyModel.source())
        // The same tensors under a configuration of one token less would not load, so the embedding is cut too.
        try #require(try cutVocabulary(other))
        let result = try Program.crumb(
            "eval", try TinyModel.source(), "--text", TinyModel.text, "--context", "64", "--against", other, "--json")
        try expectSentence(result, names: ["cannot be compared", "token 262"])
    }

    @Test func `models whose tokens have other numbers are not compared`() throws {
        let other = try Scratch.copy(of: try TinyModel.source())
        try Self.edit(other + "/tokenizer.json") { text in
            text.replacing("\"th\": 259", with: "\"th\": -").replacing("\"Ġthe\": 262", with: "\"Ġthe\": 259")
                .replacing("\"th\": -", with: "\"th\": 262")
        }
        let result = try Program.crumb(
            "eval", try TinyModel.source(), "--text", TinyModel.text, "--context", "64", "--windows", "1", "--against",
            other, "--json")
        try expectSentence(result, names: ["cannot be compared", "token 259"])
    }

    @Test(arguments: ["run", "chat"]) func `standard input that is no UTF-8 is refused`(verb: String) throws {
        let command = [Program.buildFolder + "/crumb", verb, try TinyModel.source(), "-n", "1", "--json"]
        // "Olé" in Latin-1.
        let result = try Program.start(
            command + (verb == "run" ? ["-p", "-"] : []), input: [0x4F, 0x6C, 0xE9, 0x0A]
        ).wait()
        try expectSentence(result, names: ["standard input", "UTF-8"])
    }

    /// Makes the last token of the vocabulary disappear, as far as tensors and settings go.
    private func cutVocabulary(_ folder: String) throws -> Bool {
        let path = folder + "/model.safetensors"
        let bytes = try Scratch.bytes(path)
        let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
        guard var tensors = try JSON.parse(header, source: path).object,
            var embedding = tensors["model.embed_tokens.weight"]?.object
        else { return false }
        let row = 512
        embedding["shape"] = [262, 256]
        tensors["model.embed_tokens.weight"] = .object(embedding)
        var offset = 0
        for (name, tensor) in tensors.entries {
            guard var entry = tensor.object, let old = entry["data_offsets"]?.array?.compactMap(\.int) else {
                return false
            }
            let size = old[1] - old[0] - (name == "model.embed_tokens.weight" ? row : 0)
            entry["data_offsets"] = [JSONValue(offset), JSONValue(offset + size)].json
            tensors[name] = .object(entry)
            offset += size
        }
        var text = JSON.serialize(.object(tensors))
        while text.utf8.count % 8 != 0 { text += " " }
        var length64 = UInt64(text.utf8.count)
        var file = (0..<8).map { _ -> UInt8 in
            defer { length64 >>= 8 }
            return UInt8(length64 & 255)
        }
        file += Array(text.utf8)
        let data = bytes[(8 + length)...]
        file += data.prefix(262 * row) + data.dropFirst(263 * row)
        try AtomicFile.write(file, to: path)
        try Self.edit(folder + "/config.json") { $0.replacing("\"vocab_size\": 263", with: "\"vocab_size\": 262") }
        try Self.edit(folder + "/tokenizer.json") { text in
            text.replacing(/,\s*"Ġthe": 262/, with: "").replacing(/,\s*\[\s*"Ġ",\s*"the"\s*\]/, with: "")
        }
        return true
    }
}

extension [JSONValue] {
    fileprivate var json: JSONValue { .array(self) }
}
