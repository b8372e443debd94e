import Glibc
import Testing

/// A random model of two layers, and what `crumb quantize` makes of it; each made once.
enum TinyModel {
    /// A Hugging Face folder.
    static func source() throws -> String { try made.get() }

    /// The quantized folder.
    static func quantized() throws -> String { try quantization.get().folder }

    /// The run that made it.
    static func quantizing() throws -> Program.Result { try quantization.get().result }

    /// A text of some thousand tokens.
    static let text = Scratch.repository + "/Resources/short-text.txt"

    /// Options that make a quantization quick.
    static let quick = ["--calibration", text, "--calibration-tokens", "4096"]

    private static let made = Result {
        let folder = Scratch.path("tiny")
        let script = Scratch.repository + "/Scripts/make-random-model"
        let result = try Program.start(["/usr/bin/env", "python3", script, folder]).wait()
        try #require(result.code == 0, "\(result.errors)")
        return folder
    }

    private static let quantization = Result {
        let folder = Scratch.path("quantized")
        let command = [Program.buildFolder + "/crumb", "quantize", try source(), "-o", folder, "--json"] + quick
        let result = try Program.start(command + ["--report", folder + ".html"]).wait()
        try #require(result.code == 0, "\(result.errors)")
        return (folder: folder, result: result)
    }
}
