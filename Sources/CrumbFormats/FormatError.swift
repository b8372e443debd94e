/// Why a file cannot be read or written.
package struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file or folder.
    package let path: String
    /// What is wrong, with the place and the numbers, and where there is one the way out; without a full stop.
    package let reason: String

    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    /// One sentence with the path and the reason.
    package var description: String { "\(path): \(reason)." }
}
