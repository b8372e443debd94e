import CrumbFormats
import CrumbReport
import Glibc

/// A file of comma-separated values that measurements are added to.
struct ResultsFile {
    let path: String
    private let columns: [String]

    /// Far more than years of measurements.
    private static let limit = 64 << 20

    /// Looks before the work whether rows with these titles can be added after it.
    ///
    /// - Throws: `CommandError` for a file with other titles, or one that cannot be written; `FormatError` where it
    ///   cannot be read.
    init(_ path: String, columns: [String]) throws {
        self.path = path
        self.columns = columns
        try TextFile.checkWritable(path)
        _ = try text(with: [])
    }

    /// Adds rows, below the titles where the file is new.
    func append(_ rows: [[String]]) throws { try AtomicFile.write(text(with: rows), to: path) }

    private func text(with rows: [[String]]) throws -> String {
        var existing = ""
        if FileSystem.exists(path) {
            existing = String(decoding: try FileSystem.read(path, limit: Self.limit), as: UTF8.self)
        }
        guard let text = CSVText.appending(rows, columns: columns, to: existing) else {
            throw CommandError(
                "\(path) has other columns than \(columns.joined(separator: ",")); choose another file for --csv")
        }
        return text
    }
}

/// Now, in UTC: "2026-11-21T18:09:10Z".
func currentDate() -> String {
    var now = time(nil)
    var parts = tm()
    gmtime_r(&now, &parts)
    var buffer = [CChar](repeating: 0, count: 64)
    let length = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
