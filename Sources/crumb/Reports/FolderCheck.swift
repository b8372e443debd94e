import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbReport

/// A quantized folder compared with the digests that it carries, for people and for programs.
struct FolderCheck {
    let folder: String
    private let findings: [FolderDigests.Finding]
    private let seconds: Double

    /// Reads every file.
    ///
    /// - Parameter progress: Called before each file with its name and the share of files done.
    /// - Throws: `CommandError` or `FormatError` where there is nothing to compare with.
    init(_ folder: String, progress: (_ name: String, _ fraction: Double) -> Void) throws {
        guard FileSystem.isFolder(folder) else {
            throw CommandError("\(folder) is no folder; give one that `crumb quantize` wrote")
        }
        self.folder = folder
        let start = secondsSinceBoot()
        findings = try FolderDigests(folder: folder).findings(folder: folder) { name, index, count in
            progress(name, Double(index) / Double(count))
        }
        seconds = secondsSinceBoot() - start
    }

    var outcome: Outcome {
        Outcome(text: text, json: json, exitCode: isWhole ? ExitStatus.success : ExitStatus.damage)
    }

    private var isWhole: Bool { findings.allSatisfy { $0.problem == nil } }
    private var bytes: Int { findings.reduce(0) { $0 + $1.bytes } }

    private var text: String {
        let bad = findings.compactMap { finding in
            finding.problem.map { Printable.line("\(FileSystem.join(folder, finding.name)) \($0)") }
        }
        guard !bad.isEmpty else {
            return "\(folder): all \(findings.count) files are what was written (\(Figures.bytes(bytes)))."
        }
        return (bad + ["\(folder): \(bad.count) of \(findings.count) files are damaged."]).joined(separator: "\n")
    }

    private var json: JSONObject {
        [
            "ok": .bool(isWhole), "folder": .string(folder), "bytes": JSONValue(bytes), "seconds": JSONValue(seconds),
            "files": .array(
                findings.map { finding in
                    [
                        "name": .string(finding.name), "ok": .bool(finding.problem == nil),
                        "problem": finding.problem.map { .string($0) } ?? .null,
                    ]
                }),
        ]
    }
}
