import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbJSON
import CrumbTasks
import CrumbThreads
import CrumbTokenizer
import Glibc
import Logging
import Testing

/// SmolLM2-135M from its GGUF file, where `Scripts/fetch-models smollm2` has put it.
private let modelPath: String = {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    let cache = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache"
    return cache + "/crumb/models/SmolLM2-135M-Instruct.Q4_1.gguf"
}()

@Suite(
    .serialized,
    .enabled(if: FileSystem.exists(modelPath), "needs SmolLM2: run Scripts/fetch-models smollm2"))
struct RealModelTests {
    private func load() throws -> LoadedModel {
        let loader = ModelLoader(
            pool: ThreadPool(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return try loader.load(modelPath)
    }

    @Test func aTextGoesOnAsATextShould() throws {
        let generation = try load().complete(
            "The capital of France is", options: GenerationOptions(maxTokens: 2, sampling: .greedy))
        #expect(generation.text == " Paris.")
        #expect(generation.promptTokens == 5)
    }

    @Test func theChatTemplateOfTheFileLeadsToAnAnswerThatEnds() throws {
        let session = try ChatSession(load())
        let options = GenerationOptions(maxTokens: 40, sampling: .greedy)
        let first = try session.send("What is the capital of France?", options: options)
        #expect(first.text.contains("Paris"))
        #expect(first.finish == .endOfText)
        let second = try session.send("And of Italy?", options: options)
        #expect(second.text.contains("Rome"))
        // Of the first turn only the answer's last token and what the template puts behind it were not in the cache.
        #expect(second.reusedTokens >= first.promptTokens + first.generatedTokens - 1)
    }

    /// It does only where the prompt ends as its tokenizer cuts; see `TaskSolver`.
    @Test(arguments: TaskSolver.Style.allCases) func `a very easy function is written`(style: TaskSolver.Style) throws {
        let tasks = try TaskFile.builtIn().filter { $0.name == "reverse_text" }
        let answer = try TaskSolver(load(), tasks: tasks, style: style, limit: 64).answer(0)
        #expect(answer.program.contains("return text[::-1]"), "\(answer.program)")
        #expect(answer.tokens < 64)
    }

    /// `Scripts/vectors/perplexity.py` made the expected numbers with llama.cpp, which rounds activations to 8 bits.
    @Test func perplexityIsThatOfLlamaCpp() throws {
        let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors/perplexity"
        let expected = try JSON.parse(
            FileSystem.read(folder + "/expected.json", limit: 1 << 20), source: "expected.json")
        let text = String(decoding: try FileSystem.read(folder + "/text.txt", limit: 1 << 20), as: UTF8.self)
        let model = try load()
        let tokens = model.tokenizer.encode(text, addSpecialTokens: false)
        #expect(tokens.count == expected["textTokens"]?.int)
        let windows = try EvaluationWindows(
            tokens: tokens, beginning: model.beginningToken, context: try #require(expected["context"]?.int))
        let result = try Perplexity.measure(model.forward, windows: windows, pool: model.pool)
        #expect(result.tokens == expected["tokens"]?.int)
        let values = try #require(expected["perplexityAfterWindows"]?.array).compactMap(\.double)
        #expect(result.afterWindows.count == values.count)
        for (found, value) in zip(result.afterWindows, values) { #expect(abs(found / value - 1) < 0.01) }
        let error = try #require(expected["standardError"]?.double)
        #expect(abs(result.standardError / error - 1) < 0.02)
    }
}
