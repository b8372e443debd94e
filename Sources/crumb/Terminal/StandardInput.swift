import Glibc

/// Standard input as text, read in blocks. What is no UTF-8 is an error: a repaired text would be another prompt than
/// the one that was given.
final class StandardInput {
    /// Bytes asked of the system at once.
    private static let block = 1 << 16

    /// Bytes that were read and not yet handed out.
    private var pending: [UInt8] = []
    /// How many of them hold no line end.
    private var searched = 0
    private var isAtEnd = false

    /// All that is left.
    ///
    /// - Throws: `CommandError` where it cannot be read, is no UTF-8 or is longer than `TextFile.limit`.
    func rest() throws -> String {
        while try fill() {}
        defer { discard(pending.count) }
        return try text(pending[...])
    }

    /// The next line without its end; nil where there is none.
    ///
    /// - Throws: as `rest`; the next call goes on behind the line.
    func line() throws -> String? {
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { discard(end + 1) }
                return try text(pending[..<end].last == UInt8(ascii: "\r") ? pending[..<(end - 1)] : pending[..<end])
            }
            searched = pending.count
            if try fill() { continue }
            guard !pending.isEmpty else { return nil }
            return try rest()
        }
    }

    /// Reads a block; false at the end.
    private func fill() throws -> Bool {
        // A terminal could be read on after Ctrl-D or an error, but what was marked is the end.
        if isAtEnd { return false }
        let start = pending.count
        pending.append(contentsOf: repeatElement(0, count: Self.block))
        var count: Int
        repeat {
            count = pending.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress.map { $0 + start }, Self.block) }
        } while count < 0 && errno == EINTR
        let code = errno
        pending.removeLast(Self.block - max(count, 0))
        isAtEnd = count <= 0 || pending.count > TextFile.limit
        guard count >= 0 else {
            discard(pending.count)
            throw CommandError("standard input cannot be read: \(String(cString: strerror(code)))")
        }
        guard pending.count <= TextFile.limit else {
            discard(pending.count)
            throw CommandError("standard input has more than \(TextFile.limit) bytes; give a shorter text")
        }
        return count > 0
    }

    private func discard(_ count: Int) {
        pending.removeFirst(count)
        searched = 0
    }

    private func text(_ bytes: ArraySlice<UInt8>) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandError("standard input is not a text in UTF-8; convert it first")
        }
        return text
    }
}
