import CrumbEngine
import CrumbDigest
import CrumbFormats
import CrumbJSON
import CrumbReport
import Glibc

/// A quantized folder compared with the digests that it carries.
struct FolderCheck {
    /// A file and what is wrong with it, nil where nothing is.
    struct File {
        var name: String
        var bytes: Int
        var problem: String?
    }

    let folder: String
    private(set) var files: [File] = []
    private(set) var seconds = 0.0

    var isWhole: Bool { files.allSatisfy { $0.problem == nil } }

    /// Reads every file.
    ///
    /// - Parameter progress: Called before each file with its name and the share of files done.
    /// - Throws: `CommandError` or `FormatError` where there is nothing to compare with, or a file cannot be read at all.
    init(_ folder: String, progress: (_ name: String, _ fraction: Double) -> Void) throws {
        self.folder = folder
        guard FileSystem.isFolder(folder) else {
            throw CommandError("\(folder) is no folder; give one that `crumb quantize` wrote")
        }
        let start = secondsSinceBoot()
        let digests = try FolderDigests(folder: folder)
        for (index, file) in digests.files.enumerated() {
            progress(file.name, Double(index) / Double(digests.files.count))
            files.append(try Self.check(file.name, digest: file.digest, in: folder))
        }
        let known = Set(digests.files.map(\.name) + [FolderDigests.fileName])
        for name in try Self.names(in: folder) where !known.contains(name) {
            files.append(File(name: name, bytes: 0, problem: "does not belong to the folder"))
        }
        seconds = secondsSinceBoot() - start
    }

    private static func check(_ name: String, digest: String, in folder: String) throws -> File {
        let path = FileSystem.join(folder, name)
        var status = stat()
        guard lstat(path, &status) == 0 else { return File(name: name, bytes: 0, problem: "is missing") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return File(name: name, bytes: 0, problem: "is no regular file")
        }
        let found = try FileDigest.sha256(of: path)
        let isSame = found == digest.lowercased()
        return File(name: name, bytes: status.st_size, problem: isSame ? nil : "differs from what was written")
    }

    /// The names in a folder, sorted.
    private static func names(in folder: String) throws -> [String] {
        guard let stream = opendir(folder) else { throw CommandError("\(folder) cannot be listed") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
            let name = withUnsafePointer(to: entry.pointee.d_name) { characters in
                characters.withMemoryRebound(to: CChar.self, capacity: capacity) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    var outcome: Outcome {
        Outcome(text: text, json: json, exitCode: isWhole ? ExitStatus.success : ExitStatus.damage)
    }

    private var bytes: Int { files.reduce(0) { $0 + $1.bytes } }

    private var text: String {
        let bad = files.filter { $0.problem != nil }
        guard !bad.isEmpty else {
            return "\(folder): all \(files.count) files are what was written (\(Figures.bytes(bytes)))."
        }
        let lines = bad.map { "\(Printable.line(FileSystem.join(folder, $0.name))) \($0.problem ?? "")" }
        return (lines + ["\(folder): \(bad.count) of \(files.count) files are damaged."]).joined(separator: "\n")
    }

    private var json: JSONObject {
        [
            "ok": .bool(isWhole), "folder": .string(folder), "bytes": JSONValue(bytes), "seconds": JSONValue(seconds),
            "files": .array(
                files.map { file in
                    [
                        "name": .string(file.name), "ok": .bool(file.problem == nil),
                        "problem": file.problem.map { .string($0) } ?? .null,
                    ]
                }),
        ]
    }
}
