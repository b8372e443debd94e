import CrumbReport
import Logging

/// Sends the log messages of all rooms to the console, where a progress bar stays below them.
struct StandardErrorLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let console: Console

    private init(_ console: Console, level: Logger.Level) {
        self.console = console
        logLevel = level
    }

    /// Makes this the handler of the whole process. Called once.
    static func bootstrap(_ console: Console, level: Logger.Level) {
        LoggingSystem.bootstrap { _ in StandardErrorLogHandler(console, level: level) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let prefix = event.level >= .warning ? "\(event.level): " : ""
        console.print(Printable.line(prefix + event.message.description + details))
    }
}
