/// Selections among candidates that do not sort the whole vocabulary.
extension Sampler {
    /// Whether `a` stands before `b`: more likely, or the lower id among equals.
    static func isBefore(_ a: Candidate, _ b: Candidate) -> Bool {
        a.weight != b.weight ? a.weight > b.weight : a.token < b.token
    }

    /// The `count` largest logits (1 ..< all of them), largest first.
    ///
    /// A binary heap keeps the best so far with the worst of them at its root, so that most logits cost one comparison.
    static func largest(_ count: Int, of logits: UnsafeBufferPointer<Float>) -> [Candidate] {
        var heap: [Candidate] = []
        heap.reserveCapacity(count)
        func siftDown(from start: Int, within end: Int) {
            var parent = start
            while true {
                var worst = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < end {
                    if isBefore(heap[worst], heap[child]) { worst = child }
                }
                if worst == parent { return }
                heap.swapAt(parent, worst)
                parent = worst
            }
        }
        for (index, logit) in logits.enumerated() {
            if heap.count < count {
                heap.append(Candidate(token: Int32(index), weight: Double(logit)))
                if heap.count == count {
                    for start in stride(from: count / 2, through: 0, by: -1) { siftDown(from: start, within: count) }
                }
            } else if Double(logit) > heap[0].weight {
                // An equal logit has a higher id than those in the heap, so it stands behind them.
                heap[0] = Candidate(token: Int32(index), weight: Double(logit))
                siftDown(from: 0, within: count)
            }
        }
        return heap.sorted(by: isBefore)
    }

    /// Keeps the fewest most likely candidates whose weights sum to at least `mass`, most likely first. The largest
    /// weight is 1.
    static func keepNucleus(of candidates: inout [Candidate], mass: Double) {
        // The nucleus mostly lies within the candidates at least this likely, which are few enough to sort.
        let floor = 1e-4
        let head = candidates.filter { $0.weight >= floor }
        let headMass = head.reduce(0) { $0 + $1.weight }
        candidates = (headMass >= mass * (1 + 1e-12) ? head : candidates).sorted(by: isBefore)
        var sum = 0.0
        let last = candidates.firstIndex { candidate in
            sum += candidate.weight
            return sum >= mass
        }
        if let last { candidates.removeSubrange((last + 1)...) }
    }

    /// The candidate in which a number from 0 to 1 falls, when probabilities are laid end to end.
    static func draw(_ candidates: [Candidate], at point: Double) -> Int32 {
        var sum = 0.0
        for candidate in candidates {
            sum += candidate.weight
            if point < sum { return candidate.token }
        }
        // Rounding left the sum just below the point.
        return candidates[candidates.count - 1].token
    }
}
