import CrumbFormats
import CrumbJSON
import CrumbTestSupport
import Glibc
import Testing

/// A Hugging Face folder without tensors, made in an existing folder.
private func makeModel(_ root: TemporaryFolder, in name: String) throws {
    try root.write("\(name)/config.json", ["model_type": "llama"])
    try SafetensorsWriter(path: "\(root.path)/\(name)/model.safetensors", tensors: []).finish()
}

@Suite struct ModelFolderTests {
    @Test func `a snapshot of the download cache may link to its blobs, and to nothing else`() throws {
        let root = try TemporaryFolder()
        for name in ["model", "model/blobs", "model/snapshots", "model/snapshots/1", "model/refs", "blobs"] {
            #expect(mkdir("\(root.path)/\(name)", 0o700) == 0)
        }
        let snapshot = "model/snapshots/1"
        try makeModel(root, in: snapshot)
        for name in ["model/blobs/a", "model/refs/a", "blobs/a"] { try root.write(name, Array(name.utf8)) }
        let checkpoint = try CheckpointReader.open("\(root.path)/\(snapshot)")

        root.link("\(snapshot)/LICENSE", to: "../../blobs/a")
        #expect(try checkpoint.sideFile("LICENSE") == Array("model/blobs/a".utf8))
        for target in ["../../refs/a", "../../../blobs/a", "../../blobs/../refs/a", "/etc/passwd"] {
            unlink("\(root.path)/\(snapshot)/LICENSE")
            root.link("\(snapshot)/LICENSE", to: target)
            let error = try #require(throws: FormatError.self) { _ = try checkpoint.sideFile("LICENSE") }
            #expect(error.reason.contains("is a link out of its folder"), "\(target): \(error)")
        }
    }

    @Test func `weights behind a link to the blobs are opened`() throws {
        let root = try TemporaryFolder()
        for name in ["blobs", "snapshots", "snapshots/1"] { #expect(mkdir("\(root.path)/\(name)", 0o700) == 0) }
        try makeModel(root, in: "snapshots/1")
        for name in ["config.json", "model.safetensors"] {
            #expect(rename("\(root.path)/snapshots/1/\(name)", "\(root.path)/blobs/\(name)") == 0)
            root.link("snapshots/1/\(name)", to: "../../blobs/\(name)")
        }
        let checkpoint = try CheckpointReader.open("\(root.path)/snapshots/1")
        #expect(checkpoint.configuration["model_type"] == "llama")
        #expect(checkpoint.configurationPath == "\(root.path)/snapshots/1/config.json")
    }

    @Test func `side files are read by plain names only, and missing ones are nil`() throws {
        let root = try TemporaryFolder()
        #expect(mkdir("\(root.path)/model", 0o700) == 0)
        try makeModel(root, in: "model")
        try root.write("secret", [1])
        let checkpoint = try CheckpointReader.open("\(root.path)/model")
        #expect(try checkpoint.sideFile("LICENSE") == nil)
        try root.write("model/LICENSE", [2, 3])
        #expect(try checkpoint.sideFile("LICENSE") == [2, 3])
        for name in ["../secret", "\(root.path)/secret", "", "..", "model/LICENSE"] {
            let error = try #require(throws: FormatError.self) { _ = try checkpoint.sideFile(name) }
            #expect(error.reason.contains("no plain file name"), "\(name): \(error)")
        }
        #expect(mkfifo("\(root.path)/model/NOTICE", 0o600) == 0)
        let error = try #require(throws: FormatError.self) { _ = try checkpoint.sideFile("NOTICE") }
        #expect(error.description == "\(root.path)/model/NOTICE: is not a regular file.")
    }
}
