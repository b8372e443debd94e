import CrumbDigest
import CrumbFormats

extension FolderDigests {
    /// What was found about one file.
    package struct Finding: Sendable, Equatable {
        package let name: String
        /// Bytes that were read.
        package let bytes: Int
        /// What is wrong, or nil.
        package let problem: String?
    }

    /// Reads every file of a folder and compares it with its digest. Files that stand there without a digest are found
    /// wrong too, because some names change what a reader of the folder sees; hidden ones are left alone.
    ///
    /// - Parameter progress: Called before each file with its name and place among the files.
    /// - Throws: `FormatError` where the folder cannot be listed; what `progress` throws.
    package func findings(
        folder: String, progress: (_ name: String, _ index: Int, _ count: Int) throws -> Void = { _, _, _ in }
    ) throws -> [Finding] {
        var findings: [Finding] = []
        for (index, file) in files.enumerated() {
            try progress(file.name, index, files.count)
            findings.append(Self.compare(file.name, file.digest, folder: folder))
        }
        let known = Set(files.map(\.name) + [Self.fileName])
        for name in try FileSystem.names(in: folder) where !known.contains(name) && !name.hasPrefix(".") {
            findings.append(Finding(name: name, bytes: 0, problem: "does not belong to the folder: it has no digest"))
        }
        return findings
    }

    /// Compares every file of a folder with its digest.
    ///
    /// - Throws: `EngineError` that names the first file that is wrong.
    package func check(folder: String) throws {
        for finding in try findings(folder: folder) {
            guard let problem = finding.problem else { continue }
            throw EngineError("\(FileSystem.join(folder, finding.name)): \(problem); fetch or quantize the model again")
        }
    }

    private static func compare(_ name: String, _ digest: String, folder: String) -> Finding {
        let path = FileSystem.join(folder, name)
        guard FileSystem.exists(path) else { return Finding(name: name, bytes: 0, problem: "is missing") }
        do {
            let bytes = try FileSystem.size(of: path)
            let found = try FileDigest.sha256(of: path)
            let problem = found == digest ? nil : "changed: its SHA-256 is \(found), but \(digest) was stored"
            return Finding(name: name, bytes: bytes, problem: problem)
        } catch {
            return Finding(name: name, bytes: 0, problem: error.reason)
        }
    }
}
