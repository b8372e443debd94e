import CrumbFormats
import CrumbJSON
import Glibc
import Testing

@Suite struct DamageTests {
    @Test func `verify is content with what quantize wrote`() throws {
        let result = try Program.crumb("verify", try TinyModel.quantized(), "--json")
        #expect(result.code == 0, "\(result.errors)")
        #expect(try result.json()["ok"]?.bool == true)
    }

    @Test(arguments: ["model.safetensors", "config.json", "tokenizer.json", "README.md"])
    func `one flipped bit in any file is found and named`(name: String) throws {
        let folder = try Scratch.copy(of: try TinyModel.quantized())
        var bytes = try Scratch.bytes(folder + "/" + name)
        bytes[bytes.count / 2] ^= 4
        try AtomicFile.write(bytes, to: folder + "/" + name)
        let result = try Program.crumb("verify", folder, "--json")
        #expect(result.code == 3)
        let json = try result.json()
        #expect(json["ok"]?.bool == false)
        let bad = try #require(json["files"]?.array).filter { $0["ok"]?.bool == false }
        #expect(bad.map { $0["name"]?.string } == [name])
        #expect(try Program.crumb("verify", folder).output.contains(name))
    }

    @Test(arguments: ["run", "eval"]) func `--verify refuses a damaged folder before it is used`(verb: String) throws {
        let folder = try Scratch.copy(of: try TinyModel.quantized())
        try AtomicFile.write(try Scratch.text(folder + "/README.md") + "!", to: folder + "/README.md")
        let command = [Program.buildFolder + "/crumb", verb, folder, "--json"]
        let work =
            verb == "run" ? ["-p", "a", "-n", "1"] : ["--text", TinyModel.text, "--context", "64", "--windows", "1"]
        #expect(try Program.start(command + work).wait().code == 0)
        let result = try Program.start(command + work + ["--verify"]).wait()
        #expect(result.code == 1)
        #expect(try result.json()["error"]?.string?.contains("README.md: changed") == true)
    }

    @Test func `a missing file and a file that does not belong are found`() throws {
        let folder = try Scratch.copy(of: try TinyModel.quantized())
        unlink(folder + "/tokenizer.json")
        try AtomicFile.write("x", to: folder + "/extra.bin")
        let result = try Program.crumb("verify", folder, "--json")
        #expect(result.code == 3)
        let bad = try #require(try result.json()["files"]?.array).filter { $0["ok"]?.bool == false }
        #expect(Set(bad.compactMap { $0["name"]?.string }) == ["extra.bin", "tokenizer.json"])
    }

    @Test func `a folder without digests cannot be verified`() throws {
        let result = try Program.crumb("verify", try TinyModel.source())
        #expect(result.code == 1)
        #expect(result.errors.contains("digests"))
    }

    @Test func `an interrupted quantization goes on and ends with the same bytes`() throws {
        let folder = Scratch.path("resumed")
        let command =
            [Program.buildFolder + "/crumb", "quantize", try TinyModel.source(), "-o", folder] + TinyModel.quick
        let running = try Program.start(command)
        // One layer is done, the other in work.
        var patience = 4000
        while !FileSystem.exists(folder + ".partial/layer-0.json"), patience > 0 {
            usleep(5000)
            patience -= 1
        }
        running.signal(SIGINT)
        let stopped = try running.wait()
        #expect(stopped.code == 130, "\(stopped.errors)")
        #expect(!FileSystem.exists(folder))
        let resumed = try Program.start(command + ["--json"]).wait()
        #expect(try resumed.json()["resumedLayers"]?.int == 1)
        let whole = try TinyModel.quantized()
        for name in try Scratch.names(in: whole) where name.hasSuffix(".safetensors") {
            #expect(try Scratch.bytes(folder + "/" + name) == (try Scratch.bytes(whole + "/" + name)), "\(name)")
        }
        #expect(!FileSystem.exists(folder + ".partial"))
    }
}
