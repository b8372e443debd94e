/// Where a piece of work stands, as one line of text.
package struct ProgressLine: Sendable {
    /// What is being done: "layer 3 of 30".
    package var label: String
    /// Done, between 0 and 1.
    package var fraction: Double
    /// Time since the work started.
    package var elapsedSeconds: Double
    /// Time to the end, nil where nobody can say.
    package var remainingSeconds: Double?

    package init(label: String, fraction: Double, elapsedSeconds: Double, remainingSeconds: Double? = nil) {
        self.label = label
        self.fraction = fraction.isFinite ? min(max(fraction, 0), 1) : 0
        self.elapsedSeconds = max(elapsedSeconds, 0)
        self.remainingSeconds = remainingSeconds
    }

    private var clock: String {
        if fraction >= 1 { return Figures.duration(elapsedSeconds) }
        guard let remaining = remainingSeconds else { return "" }
        return "ETA " + Figures.duration(remaining)
    }

    private var percent: String {
        let text = "\(Int(fraction * 100)) %"
        return String(repeating: " ", count: 5 - text.count) + text
    }

    /// A bar for a terminal of `width` columns, never longer than that: `[#####.....]  50 %  layer 15 of 30  ETA 42 s`.
    package func bar(width: Int) -> String {
        let cells = 24
        let filled = Int((fraction * Double(cells)).rounded(.down))
        let drawn = String(repeating: "#", count: filled) + String(repeating: ".", count: cells - filled)
        let line = ["[\(drawn)] \(percent)", Printable.line(label), clock].filter { !$0.isEmpty }.joined(
            separator: "  ")
        // The last column stays free: a full line would wrap on some terminals.
        return String(line.prefix(max(width - 1, 0)))
    }

    /// Share and label alone, for logs: what is guessed about the future is worth nothing there.
    package var plainText: String { percent + "  " + Printable.line(label) }
}
