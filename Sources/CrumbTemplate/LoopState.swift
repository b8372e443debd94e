/// The variable `loop` inside of a `for`.
final class LoopState {
    private var iterator: ValueIterator
    /// Number of elements, known beforehand unless the loop runs through an iterator or has a condition.
    private var knownCount: Int?
    private(set) var index0 = -1
    private var current: Value?
    private var previous: Value?
    /// The element after the current one, once it was asked for; the inner nil stands for the end.
    private var peeked: Value??
    private var lastChanged: [Value]?
    let depth0: Int
    let valueDepth: Int
    /// What `loop(...)` runs again: nil unless the loop is `recursive`.
    let recursion: (loop: ForLoop, scope: Scope)?

    init(_ iterator: ValueIterator, count: Int?, depth0: Int, recursion: (loop: ForLoop, scope: Scope)?) {
        self.iterator = iterator
        knownCount = count
        self.depth0 = depth0
        self.recursion = recursion
        valueDepth = iterator.depth + 1
    }

    /// Moves on to the next element.
    func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        let element: Value?
        if let peeked {
            element = peeked
            self.peeked = nil
        } else {
            element = try iterator.next(run)
        }
        guard let element else { return nil }
        index0 += 1
        previous = current
        current = element
        return element
    }

    private func peek(_ run: Interpreter) throws(TemplateError) -> Value? {
        if let peeked { return peeked }
        let element = try iterator.next(run)
        peeked = .some(element)
        return element
    }

    func count(_ run: Interpreter) throws(TemplateError) -> Int {
        if let knownCount { return knownCount }
        let rest = try run.drained(iterator)
        iterator = ListIterator(rest, depth: iterator.depth)
        var waiting = 0
        if case .some(.some) = peeked { waiting = 1 }
        let count = rest.count + index0 + 1 + waiting
        knownCount = count
        return count
    }

    /// An attribute of `loop`; nil if there is none of this name.
    func attribute(_ name: Text, _ run: Interpreter) throws(TemplateError) -> Value? {
        switch name {
        case "index": return .integer(index0 + 1)
        case "index0": return .integer(index0)
        case "revindex": return .integer(try count(run) - index0)
        case "revindex0": return .integer(try count(run) - index0 - 1)
        case "first": return .bool(index0 == 0)
        case "last": return .bool(try peek(run) == nil)
        case "length": return .integer(try count(run))
        case "depth": return .integer(depth0 + 1)
        case "depth0": return .integer(depth0)
        case "previtem":
            guard index0 > 0, let previous else { return .undefined(Undefined("there is no previous item")) }
            return previous
        case "nextitem": return try peek(run) ?? .undefined(Undefined("there is no next item"))
        case "cycle": return .method(BoundMethod(.loop(self), .cycle))
        case "changed": return .method(BoundMethod(.loop(self), .changed))
        default: return nil
        }
    }

    /// `loop.changed(...)`: true unless the last call had equal arguments.
    func changed(_ values: [Value], _ run: Interpreter) throws(TemplateError) -> Bool {
        if let lastChanged, try run.areEqual(lastChanged, values) { return false }
        lastChanged = values
        return true
    }
}
