import CrumbFormats
import CrumbJSON
import Glibc
import Testing

/// Every verb on a model of two layers: the keys that programs may count on, and figures that fit each other.
@Suite struct FigureTests {
    @Test func `quantize keeps the budget and counts what it wrote`() throws {
        let result = try TinyModel.quantizing()
        let json = try result.json()
        let bits = try #require(json["bitsPerWeight"]?.double)
        let weights = try #require(json["linearWeights"]?.int)
        let bytes = try #require(json["linearBytes"]?.int)
        #expect(bits <= 2.85 && bits > 2.2)
        #expect(abs(Double(bytes) * 8 / Double(weights) - bits) < 1e-9)
        #expect(weights == 2 * (2 * 256 * 256 + 2 * 64 * 256 + 3 * 256 * 512))
        #expect(try #require(json["totalBytes"]?.int) >= bytes)
        #expect(try #require(json["seconds"]?.double) > 0)
        #expect(try #require(json["peakMemoryBytes"]?.int) > 1 << 20)
        #expect(json["matrices"]?.array?.count == 14)
    }

    @Test func `with --json standard output is one line and standard error has no bar`() throws {
        let result = try TinyModel.quantizing()
        #expect(result.output.split(separator: "\n").count == 1)
        #expect(!result.errors.contains("\u{1B}") && !result.errors.contains("\r") && !result.errors.contains("%  "))
    }

    @Test func `the report is a page of its own`() throws {
        let html = try Scratch.text(try TinyModel.quantized() + ".html")
        #expect(html.hasPrefix("<!doctype html>") && html.hasSuffix("</html>\n"))
        for part in ["Error by layer", "4-bit channels and outliers", "Ranges of the groups", "down"] {
            #expect(html.contains(part), "\(part) is missing")
        }
    }

    @Test(arguments: [false, true]) func `run continues a prompt and says how fast`(chat: Bool) throws {
        let model = try TinyModel.quantized()
        let command = [
            Program.buildFolder + "/crumb", "run", model, "-p", "-the sea", "-n", "12", "--temperature", "0", "--json",
        ]
        let json = try Program.start(command + (chat ? ["--chat"] : [])).wait().json()
        #expect(json["text"]?.string != nil)
        #expect(try #require(json["promptTokens"]?.int) >= 5)
        #expect((1...12).contains(try #require(json["generatedTokens"]?.int)))
        #expect(try #require(json["promptTokensPerSecond"]?.double) > 0)
        #expect(try #require(json["tokensPerSecond"]?.double) >= 0)
    }

    @Test func `the same seed gives the same text, which streams without --json`() throws {
        let model = try TinyModel.source()
        func text() throws -> String {
            let result = try Program.crumb("run", model, "-p", "the", "-n", "24", "--seed", "7", "--temperature", "1")
            #expect(result.code == 0, "\(result.errors)")
            return result.output
        }
        let first = try text()
        #expect(try text() == first)
        #expect(first.count > 1)
        let other = try Program.crumb("run", model, "-p", "the", "-n", "24", "--seed", "8", "--temperature", "1").output
        #expect(other != first)
    }

    @Test func `run reads a prompt from standard input`() throws {
        let model = try TinyModel.source()
        let result = try Program.crumb("run", model, "-p", "-", "-n", "1", "--json", input: "abc")
        #expect(try result.json()["promptTokens"]?.int == 3)
    }

    @Test func `chat answers each line and remembers the conversation`() throws {
        let model = try TinyModel.source()
        let result = try Program.crumb(
            "chat", model, "-n", "4", "--system", "Be brief.", "--json",
            input: "Hello\\\nagain\r\n\n/reset now")
        #expect(result.code == 0, "\(result.errors)")
        let messages = try #require(try result.json()["messages"]?.array)
        #expect(messages.map { $0["role"]?.string } == ["system", "user", "assistant", "user", "assistant"])
        #expect(messages[1]["content"]?.string == "Hello\nagain")
        // Commands are taken from a terminal only.
        #expect(messages[3]["content"]?.string == "/reset now")
        #expect(result.errors.contains("The answer was cut after 4 tokens"))
    }

    @Test func `an answer of chat ends with the context where nothing else ends it`() throws {
        let result = try Program.crumb(
            "chat", try TinyModel.source(), "--temperature", "1", "--seed", "3", "--context", "400", "--json",
            input: "Hello")
        #expect(try #require(try result.json()["generatedTokens"]?.int) > 256)
        #expect(result.errors.contains("The context is full"))
    }

    @Test(arguments: ["first-half", "second-half"]) func `a half of a text is measured`(portion: String) throws {
        let json = try Program.crumb(
            "eval", try TinyModel.source(), "--text", TinyModel.text, "--context", "64", "--windows", "1", "--portion",
            portion, "--json"
        ).json()
        #expect(json["tokens"]?.int == 31)
    }

    @Test(arguments: [false, true]) func `NO_COLOR makes the bar plain lines without a guess`(plain: Bool) throws {
        let command = [
            Program.buildFolder + "/crumb", "bench", try TinyModel.source(), "-p", "256", "-n", "0", "--runs", "10",
            "--threads", "1", "--backend", "reference",
        ]
        let result = try Program.onTerminal(command, environment: plain ? ["NO_COLOR=1"] : [])
        #expect(result.code == 0)
        #expect(result.errors.contains(" %  pp256"), "\(result.errors)")
        for mark in ["ETA", "\u{1B}", "[#"] { #expect(result.errors.contains(mark) == !plain, "\(mark)") }
    }

    @Test func `eval measures a model and its distance to the source`() throws {
        let source = try TinyModel.source()
        let alone = try Program.crumb(
            "eval", source, "--text", TinyModel.text, "--context", "128", "--windows", "3", "--json"
        ).json()
        #expect(alone["tokens"]?.int == 3 * 63)
        #expect(alone["meanKL"]?.isNull == true && alone["topOneAgreement"]?.isNull == true)
        let both = try Program.crumb(
            "eval", try TinyModel.quantized(), "--text", TinyModel.text, "--context", "128", "--windows", "3", "--json",
            "--against", source
        ).json()
        let before = try #require(alone["perplexity"]?.double)
        #expect(abs(try #require(both["sourcePerplexity"]?.double) - before) < 1e-6 * before)
        #expect(try #require(both["standardError"]?.double) > 0)
        #expect(try #require(both["meanKL"]?.double) > 0)
        #expect((0...1).contains(try #require(both["topOneAgreement"]?.double)))
    }

    @Test func `a model is as good as itself`() throws {
        let source = try TinyModel.source()
        let json = try Program.crumb(
            "eval", source, "--text", TinyModel.text, "--context", "64", "--windows", "1", "--against", source, "--json"
        ).json()
        #expect(json["meanKL"]?.double == 0 && json["topOneAgreement"]?.double == 1 && json["ratio"]?.double == 1)
    }

    @Test func `inspect tells a source from a quantized folder`() throws {
        let source = try Program.crumb("inspect", try TinyModel.source(), "--json").json()
        #expect(source["architecture"]?.string == "llama" && source["quantized"]?.bool == false)
        #expect(source["bitsPerWeight"]?.double == 16)
        #expect(source["tensors"]?.array?.count == 1 + 2 * 9 + 1)
        let quantized = try Program.crumb("inspect", try TinyModel.quantized(), "--json").json()
        #expect(quantized["quantized"]?.bool == true)
        let reported = try TinyModel.quantizing().json()
        for key in ["linearWeights", "linearBytes", "totalBytes", "bitsPerWeight"] {
            #expect(quantized[key] == reported[key], "\(key)")
        }
    }

    @Test(arguments: [false, true]) func `inspect draws what there is to draw`(quantized: Bool) throws {
        let plot = Scratch.path("plot.svg")
        let model = quantized ? try TinyModel.quantized() : try TinyModel.source()
        let result = try Program.crumb("inspect", model, "--plot", plot)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output.contains("self_attn.q_proj.weight"))
        let svg = try Scratch.text(plot)
        #expect(svg.contains("Ranges of the groups"))
        #expect(svg.contains("Share of 4-bit channels") == quantized)
    }

    @Test func `experiment ranges has a table, a chart and a line for each matrix`() throws {
        let name = Scratch.path("experiment")
        let result = try Program.crumb("experiment", "ranges", try TinyModel.source(), "-o", name, "--json")
        #expect(result.code == 0, "\(result.errors)")
        let matrices = try #require(try result.json()["matrices"]?.array)
        #expect(matrices.count == 14)
        for matrix in matrices {
            let quantiles = try #require(matrix["quantiles"]?.array).compactMap(\.double)
            #expect(quantiles.count == 5 && quantiles == quantiles.sorted() && quantiles[0] > 0)
            #expect(try #require(matrix["largest"]?.double) >= quantiles[4])
        }
        let lines = try Scratch.text(name + "-ranges.md").split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("| v_proj") }.count == 3)
        #expect(try Scratch.text(name + "-ranges.svg").contains("widest"))
    }

    @Test func `bench has a line for each test`() throws {
        let result = try Program.crumb(
            "bench", try TinyModel.quantized(), "-p", "32", "-n", "8", "--runs", "2", "--threads", "2", "--json")
        let results = try #require(try result.json()["results"]?.array)
        #expect(results.map { $0["test"]?.string } == ["pp32", "tg8"])
        for entry in results {
            #expect(entry["backend"]?.string != nil && entry["threads"]?.int == 2)
            #expect(try #require(entry["tokensPerSecond"]?.double) > 0)
        }
    }
}
