import CrumbFormats
import Glibc

/// A folder for one program, which goes with everything in it.
enum ScratchFolder {
    /// - Throws: `TaskError` where there is no place for it; what `body` throws.
    static func with<T>(_ body: (String) throws -> T) throws -> T {
        let place = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array(FileSystem.join(place, "crumb-task-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw TaskError(
                "\(place): no folder for the code can be made there (\(systemMessage())); set TMPDIR to one that is yours"
            )
        }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { remove(folder) }
        return try body(folder)
    }

    private static func remove(_ path: String) {
        var status = stat()
        // What a link points to stays.
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        // Programs can shut their folders; paths longer than the system's limit end this.
        chmod(path, 0o700)
        guard let folder = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(folder)
        names.forEach { remove(FileSystem.join(path, $0)) }
        rmdir(path)
    }
}
