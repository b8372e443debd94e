/// How fast a piece of work gets on, judged by its recent past: parts of it may be slower than others, and what a former
/// run had done took no time.
package struct Pace: Sendable {
    /// Moments and the share done then, in order; about one for each second.
    private var steps: [(seconds: Double, fraction: Double)] = []

    package init() {}

    /// Notes that a share of the work is done at a moment.
    package mutating func add(seconds: Double, fraction: Double) {
        if let last = steps.last, seconds - last.seconds < 1 { return }
        steps.append((seconds, fraction))
        // At most the last two minutes, the younger part of a long run.
        while steps.count > 2, seconds - steps[1].seconds > 120 { steps.removeFirst() }
    }

    /// Time from `seconds`, when `fraction` is done, to the end; nil as long as it would be a guess: in the first two
    /// seconds, and before a hundredth of the work was done under these eyes.
    package func remaining(seconds: Double, fraction: Double) -> Double? {
        guard let first = steps.first, seconds - first.seconds >= 2, fraction - first.fraction >= 0.01 else {
            return nil
        }
        return (seconds - first.seconds) * (1 - fraction) / (fraction - first.fraction)
    }
}
