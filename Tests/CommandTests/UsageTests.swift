import CrumbFormats
import CrumbJSON
import Testing

@Suite struct UsageTests {
    static let verbs = [
        "quantize", "tune", "run", "chat", "eval", "solve", "inspect", "verify", "bench", "doctor", "experiment",
    ]

    @Test(arguments: verbs) func `the help of a verb has examples and the keys of its JSON`(verb: String) throws {
        let result = try Program.crumb(verb, "--help")
        #expect(result.code == 0)
        for part in ["Example", "Keys of --json", "--quiet", "USAGE: crumb \(verb)"] {
            #expect(result.output.contains(part), "\(part) is missing")
        }
    }

    @Test func `the help of the program documents exit codes and every verb`() throws {
        let result = try Program.crumb("--help")
        #expect(result.code == 0)
        #expect(result.output.contains("Exit codes"))
        for verb in Self.verbs { #expect(result.output.contains("  \(verb) ")) }
    }

    @Test(arguments: [
        ["frobnicate"], ["quantize", "model"], ["quantize", "model", "-o", "out", "--bits", "77"],
        ["quantize", "model", "-o", "out", "--group-size", "64"],
        ["quantize", "model", "-o", "out", "--four-bit-share", "1.5"],
        ["quantize", "model", "-o", "out", "--max-memory", "lots"], ["quantize", "m", "-o", "o", "--method", "magic"],
        ["run", "model"], ["run", "model", "-p", "x", "--top-p", "2"], ["run", "model", "-p", "x", "--system", "y"],
        ["run", "model", "-p", "x", "-n", "0"], ["run", "model", "-p", "x", "--threads", "0"],
        ["eval", "model"], ["eval", "model", "--text", "t", "--context", "2"], ["bench", "model", "--runs", "0"],
        ["verify"], ["inspect", "model", "--verbose", "--quiet"],
        ["run", "model", "-p", "x", "--device", "gpu"], ["chat", "model", "--device", "cuda:-1"],
        ["eval", "model", "--text", "t", "--device", "cuda", "--backend", "reference"],
        ["bench", "model", "--device", "cuda:0", "--backend", "simd"],
        ["quantize", "m", "-o", "o", "--max-divergence", "0"],
        ["tune", "m", "--source", "s", "-o", "o", "--steps", "0"],
        ["bench"], ["bench", "model", "--shape", "llama2-7b"], ["bench", "--shape", "llama9"],
        ["bench", "model", "--batch", "1"], ["bench", "--shape", "llama2-7b", "--batch", "1,65"],
        ["bench", "--shape", "llama2-7b", "--batch", "1,,2"], ["bench", "--shape", "llama2-7b", "--weights", "int3"],
        ["bench", "--shape", "llama2-7b", "--device", "cpu"], ["bench", "--shape", "llama2-7b", "--backend", "simd"],
        ["bench", "model", "--kernels"], ["bench", "--kernels", "--tokens", "0"],
        ["bench", "--kernels", "--tokens", "1,,8"], ["bench", "--kernels", "--tokens", "1,9000"],
        ["bench", "--kernels", "--batch", "8", "--shape", "llama2-7b"], ["bench", "--kernels", "--device", "cpu"],
        ["bench", "--kernels", "--runs", "0"], ["bench", "--shape", "llama2-7b", "--tokens", "1,8"],
        ["bench", "model", "--tokens", "8,16"], ["bench", "model", "--csv", "file"],
        ["bench", "--ablation"], ["bench", "model", "--ablation"], ["bench", "--shape", "llama2-7b", "--ablation"],
        ["bench", "--kernels", "--ablation", "--tokens", "1,65"],
        ["bench", "--kernels", "--commit", "abc"], ["bench", "--kernels", "--prompt-tokens", "8"],
        ["eval", "model", "--continuations"], ["eval", "model", "--text", "t", "--prompts", "8"],
        ["eval", "model", "--against", "m", "--continuations", "--prompts", "0"],
        ["eval", "model", "--against", "m", "--continuations", "--continuation-tokens", "0"],
        ["eval", "model", "--against", "m", "--continuations", "--windows", "3"],
        ["solve", "model"], ["solve", "model", "--run-code", "--style", "shouted"],
        ["solve", "model", "--run-code", "--limit", "0"], ["solve", "model", "--run-code", "-n", "0"],
        ["experiment", "share", "model"], ["experiment", "magic", "model", "--text", "t"],
        ["experiment", "ranges", "model", "--bits", "1"],
        ["doctor", "--device", "cpu"], ["doctor", "model"],
    ]) func `a wrong command line is told apart from an error`(arguments: [String]) throws {
        let result = try Program.start([Program.buildFolder + "/crumb"] + arguments).wait()
        #expect(result.code == 64)
        #expect(result.output.isEmpty)
        #expect(result.errors.hasPrefix("Error: ") && result.errors.contains("--help"))
    }

    @Test func `with --json a wrong command line is an object too`() throws {
        let result = try Program.crumb("run", "model", "-p", "x", "--top-p", "2", "--json")
        #expect(result.code == 64)
        #expect(try result.json()["error"]?.string?.contains("top-p") == true)
        let help = try Program.crumb("run", "--json", "--help")
        #expect(help.code == 0 && help.output.hasPrefix("OVERVIEW"))
    }

    @Test func `a full disk under standard output is an error`() throws {
        let result = try Program.crumb("inspect", try TinyModel.source(), output: "/dev/full")
        #expect(result.code == 1)
        #expect(result.errors == "error: standard output cannot be written: No space left on device.\n")
    }
}
