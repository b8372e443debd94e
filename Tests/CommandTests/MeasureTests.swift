import CrumbFormats
import CrumbJSON
import Testing

/// The measures beside perplexity, on a model of two layers: keys, and figures that fit each other.
@Suite struct MeasureTests {
    @Test(arguments: [true, false]) func `a model's continuations agree with its own to the end`(cut: Bool) throws {
        let model = try TinyModel.source()
        let text = cut ? ["--text", TinyModel.text] : []
        let command = [
            Program.buildFolder + "/crumb", "eval", model, "--against", model, "--continuations", "--prompts", "5",
            "--continuation-tokens", "6", "--json",
        ]
        let json = try Program.start(command + text).wait().json()
        #expect(json["agreeingToTheEnd"]?.double == 1)
        #expect(json["agreeingTokens"]?.double == json["sourceTokens"]?.double)
        #expect(json["prompts"]?.int == 5 && json["continuationTokens"]?.int == 6)
        #expect(json["agreeingTokensByPrompt"]?.array?.count == 5)
        for key in ["standardError", "medianAgreeingTokens", "seconds"] { #expect(json[key]?.double != nil, "\(key)") }
        for key in ["device", "backend", "sourceDevice", "sourceBackend"] {
            #expect(json[key]?.string != nil, "\(key)")
        }
    }

    @Test func `a quantized model's continuations come as a table`() throws {
        let result = try Program.crumb(
            "eval", try TinyModel.quantized(), "--against", try TinyModel.source(), "--continuations", "--prompts", "3",
            "--continuation-tokens", "4")
        #expect(result.code == 0, "\(result.errors)")
        for words in ["tokens before the first difference", "median", "the same to the end", "3 prompts"] {
            #expect(result.output.contains(words), "\(words) is missing")
        }
    }

    @Test(arguments: [(["--prompts", "1000"], "1000 prompts"), (["--continuation-tokens", "100000"], "at most")])
    func `more than there is is refused`(options: [String], words: String) throws {
        let model = try TinyModel.source()
        let command = [Program.buildFolder + "/crumb", "eval", model, "--against", model, "--continuations"]
        let result = try Program.start(command + options).wait()
        #expect(result.code == 1)
        #expect(result.errors.contains(words), "\(result.errors)")
    }

    @Test(arguments: ["plain", "chat", "begun"]) func `solve gives a verdict for each task`(style: String) throws {
        let model = try TinyModel.source()
        let command = [
            Program.buildFolder + "/crumb", "solve", model, "--run-code", "--limit", "3", "-n", "8", "--style", style,
            "--against", model, "--json",
        ]
        let json = try Program.start(command).wait().json()
        let source = try #require(json["source"]?.object)
        for object in [json, source] {
            let counts = try ["solved", "wrong", "errors", "timeOuts"].map { try #require(object[$0]?.int) }
            #expect(counts.reduce(0, +) == 3)
            #expect(object["tasks"]?.int == 3)
            #expect(object["share"]?.double == Double(counts[0]) / 3)
            #expect(try #require(object["tokens"]?.int) <= 24)
            let results = try #require(object["results"]?.array)
            #expect(results.count == 3)
            for key in ["name", "outcome", "detail", "program"] { #expect(results[0][key]?.string != nil, "\(key)") }
            // The answer's indentation stands there already.
            let program = try #require(results[0]["program"]?.string)
            #expect(style == "chat" || program.contains("\"\"\"\n    "))
            for key in ["device", "backend"] { #expect(object[key]?.string != nil, "\(key)") }
        }
        // A random model solves nothing, and nothing is no share of nothing.
        #expect(json["shareOfSource"]?.isNull == true)
    }

    @Test func `solve takes tasks of one's own and lists them`() throws {
        let tasks = Scratch.path("tasks.jsonl")
        // Passes whatever the model writes, as long as it is Python: a comment to the end of its line.
        let task: JSONValue = ["prompt": "def mine(n):\n    pass  #", "checks": ["assert True"]]
        try AtomicFile.write(JSON.serialize(task) + "\n", to: tasks)
        let result = try Program.crumb(
            "solve", try TinyModel.source(), "--run-code", "--tasks", tasks, "-n", "1", "--style", "plain")
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output.contains("mine") && result.output.contains("of 1, "))
    }

    @Test func `without Python solve is an error before the model is opened`() throws {
        let command = [Program.buildFolder + "/crumb", "solve", "no-model", "--run-code", "--json"]
        let result = try Program.start(["/usr/bin/env", "PATH=/nonexistent"] + command).wait()
        #expect(result.code == 1)
        #expect(try result.json()["error"]?.string?.contains("python3") == true)
    }

    @Test func `a broken list of tasks names its line`() throws {
        let tasks = Scratch.path("tasks.jsonl")
        try AtomicFile.write("{}\n", to: tasks)
        let result = try Program.crumb("solve", "no-model", "--run-code", "--tasks", tasks)
        #expect(result.code == 1)
        #expect(result.errors.contains("line 1") && result.errors.contains("\"checks\""))
    }
}
