import CrumbFormats
import Glibc

/// The commit of the checkout that this program was built in, as far as git's files tell.
enum SourceCommit {
    /// Hexadecimal digits of a commit that are shown.
    private static let digits = 12
    private static let limit = 16 << 20

    /// nil for a program that lies in no checkout.
    static var ofProgram: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        guard length > 0 else { return nil }
        let path = String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return above(path)
    }

    /// The commit of the nearest checkout that a path lies in.
    static func above(_ path: String) -> String? {
        var folder = path[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            let git = folder + "/.git"
            if FileSystem.exists(String(git)) { return head(of: String(git)) }
        }
        return nil
    }

    private static func head(of git: String) -> String? {
        var folder = git
        if !FileSystem.isFolder(git) {
            // A further work tree: "gitdir: PATH".
            guard let line = line(of: git), line.hasPrefix("gitdir: /") else { return nil }
            folder = String(line.dropFirst("gitdir: ".count))
        }
        guard let head = line(of: FileSystem.join(folder, "HEAD")) else { return nil }
        guard head.hasPrefix("ref: ") else { return short(head) }
        let name = String(head.dropFirst("ref: ".count))
        var folders = [folder]
        if let common = line(of: FileSystem.join(folder, "commondir")) {
            folders.append(common.hasPrefix("/") ? common : FileSystem.join(folder, common))
        }
        for folder in folders {
            if let commit = line(of: FileSystem.join(folder, name)) { return short(commit) }
            let packed = text(of: FileSystem.join(folder, "packed-refs")) ?? ""
            for line in packed.split(separator: "\n") where line.hasSuffix(" " + name) { return short(String(line)) }
        }
        return nil
    }

    private static func short(_ commit: String) -> String? {
        let start = commit.prefix(digits)
        return start.count == digits && start.allSatisfy(\.isHexDigit) ? String(start) : nil
    }

    private static func line(of path: String) -> String? {
        text(of: path)?.split(separator: "\n").first.map(String.init)
    }

    private static func text(of path: String) -> String? {
        guard let bytes = try? FileSystem.read(path, limit: limit) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
