import CrumbFormats
import Glibc
import Synchronization
import Testing

/// A folder below the build folder for what the tests write; it is emptied when they start.
enum Scratch {
    private static let counter = Atomic<Int>(0)

    private static let folder: String = {
        let path = Program.buildFolder + "/CommandTests"
        remove(path)
        mkdir(path, 0o755)
        return path
    }()

    /// A path that nothing stands at yet.
    static func path(_ name: String) -> String {
        "\(folder)/\(counter.wrappingAdd(1, ordering: .relaxed).newValue)-\(name)"
    }

    /// Removes a file, or a folder and all in it.
    static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in (try? names(in: path)) ?? [] { remove(path + "/" + name) }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    /// A new folder with copies of a folder's files.
    static func copy(of folder: String) throws -> String {
        let target = path("copy")
        mkdir(target, 0o755)
        for name in try names(in: folder) {
            try AtomicFile.write(try bytes(folder + "/" + name), to: target + "/" + name)
        }
        return target
    }

    static func bytes(_ path: String) throws -> [UInt8] { try FileSystem.read(path, limit: 1 << 28) }

    static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    /// The names in a folder, sorted.
    static func names(in folder: String) throws -> [String] {
        let stream = try #require(opendir(folder), "\(folder) cannot be listed")
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The root of the repository.
    static let repository: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(4)
        return parts.joined(separator: "/")
    }()
}
