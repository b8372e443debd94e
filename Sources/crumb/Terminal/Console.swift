import CrumbReport
import Glibc
import Synchronization

/// Standard error: remarks, errors, and at most one live line, the progress bar, that remarks scroll past.
///
/// May be called from any thread; a line is never cut by another.
final class Console: Sendable {
    /// Where a piece of work stands.
    struct Progress: Sendable {
        /// What is being done, in a few words: "layer 3 of 30".
        var label: String
        /// Between 0 and 1.
        var fraction: Double
    }

    private struct State {
        var line = ""
        var lastDrawn = -Double.infinity
        var started: Double?
        var pace = Pace()
        var lastTenth = 0
    }

    private let state = Mutex(State())
    private let style: Style

    private enum Style: Equatable {
        case bar
        case lines
        case none
    }

    /// Redraws are at least this many seconds apart, so that a terminal over a slow line is not flooded.
    private static let redrawInterval = 0.1

    /// Work that is done sooner than this shows no progress at all.
    private static let patience = 1.0

    /// The remarks are shown unless `--quiet`.
    let showsRemarks: Bool

    /// A bar is drawn where standard error is a terminal, unless `--json`, `--quiet` or the environment's `NO_COLOR`
    /// asks for plain text; plain progress lines, one per tenth of the work, take its place where nobody asked for
    /// silence.
    init(_ output: OutputArguments) {
        let terminal = isatty(STDERR_FILENO) == 1
        let plain = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        showsRemarks = !output.quiet
        if output.json || output.quiet {
            style = .none
        } else {
            style = terminal && !plain ? .bar : .lines
        }
    }

    /// Writes a remark on a line of its own.
    func note(_ line: String) {
        guard showsRemarks else { return }
        print(line)
    }

    /// Writes the sentence of an error.
    func write(error sentence: String) {
        print("error: " + sentence)
    }

    /// Writes a line past the bar, whatever the options say.
    func print(_ line: String) {
        state.withLock { state in
            let erase = state.line.isEmpty ? "" : "\r\u{1B}[K"
            _ = writeAll(erase + line + "\n" + state.line, to: STDERR_FILENO)
        }
    }

    /// Writes text as it is, for streams of tokens.
    func stream(_ text: String) {
        state.withLock { _ in _ = writeAll(text, to: STDERR_FILENO) }
    }

    /// Shows where the work stands. The first call starts the clock of the estimate.
    func show(_ progress: Progress) {
        guard style != .none else { return }
        let now = secondsSinceBoot()
        state.withLock { state in
            let started = state.started ?? now
            state.started = started
            state.pace.add(seconds: now, fraction: progress.fraction)
            guard now - started >= Self.patience else { return }
            let line = ProgressLine(
                label: progress.label, fraction: progress.fraction, elapsedSeconds: now - started,
                remainingSeconds: state.pace.remaining(seconds: now, fraction: progress.fraction))
            if style == .lines {
                let tenth = Int(progress.fraction * 10)
                guard tenth > state.lastTenth else { return }
                state.lastTenth = tenth
                _ = writeAll(line.plainText + "\n", to: STDERR_FILENO)
            } else if now - state.lastDrawn >= Self.redrawInterval || progress.fraction >= 1 {
                state.lastDrawn = now
                state.line = line.bar(width: terminalWidth())
                _ = writeAll("\r" + state.line + "\u{1B}[K", to: STDERR_FILENO)
            }
        }
    }

    /// Takes the bar away; the next `show` starts a new one.
    func endProgress() {
        state.withLock { state in
            if !state.line.isEmpty { _ = writeAll("\r\u{1B}[K", to: STDERR_FILENO) }
            state = State()
        }
    }
}

/// Columns of the terminal on standard error, 80 where that is unknown.
private func terminalWidth() -> Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
}

/// A clock that never jumps, in seconds.
func secondsSinceBoot() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
