import CrumbFormats
import CrumbJSON
import Testing

/// Whether this machine has NVIDIA's driver, without which there is no GPU.
private let hasDriver = FileSystem.exists("/dev/nvidiactl")

/// Which device is used, and what is said of it.
@Suite struct DeviceTests {
    @Test(arguments: ["run", "chat", "eval", "bench", "doctor", "quantize", "tune"]) func `the help names the devices`(
        verb: String
    ) throws {
        let help = try Program.crumb(verb, "--help").output
        #expect(help.contains("--device <name>") && help.contains("cuda:1"))
    }

    @Test func `tuning needs a GPU`() throws {
        let result = try Program.crumb(
            "tune", "quantized", "--source", "model", "-o", "out", "--device", "cpu", "--json")
        let sentence = try #require(try result.json()["error"]?.string)
        #expect(result.code == 64 && sentence.contains("needs a GPU"))
    }

    @Test func `the help of bench names the shapes`() throws {
        let help = try Program.crumb("bench", "--help").output
        for shape in ["llama2-7b", "llama2-13b", "llama2-70b", "llama3-8b", "qwen2.5-1.5b"] {
            #expect(help.contains(shape))
        }
    }

    @Test func `a device that does not exist is refused with those that do`() throws {
        let result = try Program.crumb("run", "model", "-p", "x", "--device", "gpu", "--json")
        let sentence = try #require(try result.json()["error"]?.string)
        #expect(result.code == 64 && sentence.contains("\"gpu\"") && sentence.contains("cuda:0"))
    }

    @Test func `a backend of the CPU and a GPU exclude each other`() throws {
        let result = try Program.crumb("bench", "model", "--device", "cuda:1", "--backend", "reference", "--json")
        let sentence = try #require(try result.json()["error"]?.string)
        #expect(result.code == 64 && sentence.contains("--backend reference") && sentence.contains("cuda:1"))
    }

    @Test func `bench names the CPU where it was asked for`() throws {
        let result = try Program.crumb(
            "bench", try TinyModel.source(), "--device", "cpu", "-p", "4", "-n", "2", "-r", "1", "--json")
        let entries = try #require(try result.json()["results"]?.array)
        #expect(result.code == 0 && entries.count == 2)
        for entry in entries { #expect(entry.object?["device"]?.string == "cpu") }
    }

    @Test(arguments: [
        ["run", "-p", "a", "-n", "1"], ["chat", "-n", "1"], ["eval", "--text", TinyModel.text, "--context", "64"],
    ]) func `figures name the device and the backend that they come from`(arguments: [String]) throws {
        let command = [Program.buildFolder + "/crumb", arguments[0], try TinyModel.source()] + arguments.dropFirst()
        let options = ["--device", "cpu", "--backend", "reference", "--json"]
        let json = try Program.start(command + options, input: Array("Hello\n".utf8)).wait().json()
        #expect(json["device"]?.string == "cpu" && json["backend"]?.string == "reference", "\(json)")
    }

    @Test func `eval names the device of the source too`() throws {
        let source = try TinyModel.source()
        let command = ["eval", source, "--text", TinyModel.text, "--context", "64", "--windows", "1"]
        let json = try Program.start(
            [Program.buildFolder + "/crumb"] + command + ["--device", "cpu", "--against", source, "--json"]
        ).wait().json()
        #expect(json["sourceDevice"]?.string == "cpu" && json["sourceBackend"] == json["backend"], "\(json)")
    }

    @Test func `eval compares a model with itself on another backend`() throws {
        let model = try TinyModel.quantized()
        let json = try Program.crumb(
            "eval", model, "--text", TinyModel.text, "--context", "64", "--windows", "1", "--against", model,
            "--against-device", "cpu", "--against-backend", "reference", "--json"
        ).json()
        #expect(json["sourceBackend"]?.string == "reference" && json["backend"]?.string != "reference", "\(json)")
        let divergence = try #require(json["meanKL"]?.double)
        #expect(divergence > 0 && divergence < 0.01)
        let alone = try Program.crumb("eval", model, "--text", TinyModel.text, "--against-device", "cpu")
        #expect(alone.code == 64 && alone.errors.contains("--against SOURCE"))
    }

    @Test(.enabled(if: !hasDriver)) func `a machine without a GPU is not warned of it, but told what is used`() throws {
        let source = try TinyModel.source()
        #expect(!(try Program.crumb("run", source, "-p", "a", "-n", "1").errors.contains("warning")))
        let errors = try Program.crumb("run", source, "-p", "a", "-n", "1", "--verbose").errors
        #expect(errors.contains("the CPU is used in place of a GPU reason=no NVIDIA driver"), "\(errors)")
    }

    @Test func `people are told the device too`() throws {
        let source = try TinyModel.source()
        let run = try Program.crumb("run", source, "-p", "a", "-n", "1", "--device", "cpu")
        #expect(run.errors.contains("; cpu]"), "\(run.errors)")
        let eval = try Program.crumb(
            "eval", source, "--text", TinyModel.text, "--context", "64", "--device", "cpu", "--backend", "reference")
        #expect(eval.output.contains("cpu, reference"), "\(eval.output)")
    }

    @Test(
        .enabled(if: !hasDriver),
        arguments: [
            ["run", "-p", "a", "-n", "1"], ["bench", "-n", "1", "-p", "1", "-r", "1"],
            ["eval", "--text", TinyModel.text],
        ]) func `a GPU that is asked for and is not there is an error that says why`(arguments: [String]) throws
    {
        let command = [Program.buildFolder + "/crumb", arguments[0], try TinyModel.source()] + arguments.dropFirst()
        let result = try Program.start(command + ["--device", "cuda", "--json"]).wait()
        let sentence = try #require(try result.json()["error"]?.string)
        #expect(result.code == 1 && sentence.contains("no NVIDIA driver") && sentence.contains("--device cpu"))
        #expect(try Program.start(command + ["--device", "cpu", "--json"]).wait().code == 0)
    }

    @Test(.enabled(if: !hasDriver)) func `without a GPU a shape cannot be measured`() throws {
        let result = try Program.crumb("bench", "--shape", "qwen2.5-1.5b", "--json")
        #expect(result.code == 1)
        #expect(try result.json()["error"]?.string?.contains("no NVIDIA driver") == true)
    }

    @Test(.enabled(if: !hasDriver)) func `without a GPU no kernel can be timed, and no file of results appears`() throws
    {
        let path = Scratch.path("results.csv")
        for options in [[], ["--ablation"]] {
            let command = ["bench", "--kernels", "--tokens", "1,8", "--csv", path, "--json"] + options
            let result = try Program.start([Program.buildFolder + "/crumb"] + command).wait()
            #expect(result.code == 1)
            #expect(try result.json()["error"]?.string?.contains("no NVIDIA driver") == true)
            #expect(!FileSystem.exists(path))
        }
    }

    @Test func `an ablation is one of kernels`() throws {
        let result = try Program.crumb("bench", "--shape", "llama2-7b", "--ablation", "--json")
        #expect(result.code == 64)
        let sentence = try result.json()["error"]?.string
        #expect(sentence?.contains("--ablation belongs to --kernels, which is not given.") == true)
    }

    @Test(arguments: ["--kernels", "--shape=llama2-7b"]) func `a file of other results is refused before the work`(
        _ option: String
    ) throws {
        let path = Scratch.path("other.csv")
        try AtomicFile.write("date,speed\n", to: path)
        let result = try Program.crumb("bench", option, "--csv", path, "--json")
        #expect(result.code == 1)
        #expect(try result.json()["error"]?.string?.contains("other.csv has other columns than date,commit") == true)
        #expect(try Scratch.text(path) == "date,speed\n")
    }

    @Test(.enabled(if: !hasDriver)) func `doctor excuses a GPU that is not there unless it was asked for`() throws {
        let result = try Program.crumb("doctor")
        #expect(result.code == 0 && result.errors.isEmpty)
        #expect(result.output.contains("There is no GPU to test: no NVIDIA driver"))
        let asked = try Program.crumb("doctor", "--device", "cuda:0")
        #expect(asked.code == 1 && asked.output.contains("cannot be used: no NVIDIA driver"))
    }

    @Test(.enabled(if: !hasDriver)) func `doctor's findings are an object`() throws {
        let result = try Program.crumb("doctor", "--json")
        let object = try result.json()
        #expect(result.code == 0 && result.output.split(separator: "\n").count == 1)
        #expect(object["ok"]?.bool == false && object["problem"]?.string?.contains("no NVIDIA driver") == true)
        #expect(object["gpus"]?.array?.isEmpty == true && object["nvml"]?.object?["found"]?.bool == false)
    }
}
