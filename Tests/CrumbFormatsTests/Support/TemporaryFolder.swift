import CrumbFormats
import CrumbJSON
import Glibc

/// A folder that is removed with everything in it when this object goes.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/crumb-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FormatError(path: "/tmp", reason: "no temporary folder") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// The names of all entries, sorted.
    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = "\(path)/\(name)"
        try AtomicFile.write(bytes, to: path)
        return path
    }

    @discardableResult
    func write(_ name: String, _ value: JSONValue) throws -> String {
        try write(name, JSON.serializedBytes(value))
    }

    func read(_ name: String) throws -> [UInt8] { try FileSystem.read("\(path)/\(name)", limit: 1 << 30) }

    func link(_ name: String, to target: String) { symlink(target, "\(path)/\(name)") }
}

/// Numbers that are the same in every run (SplitMix64).
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// Cuts a file.
func truncateFile(_ path: String, to byteCount: Int) throws {
    guard truncate(path, byteCount) == 0 else { throw FormatError(path: path, reason: "cannot be cut") }
}
