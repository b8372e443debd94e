/// Something to be run through once. The elements are made when they are asked for, as Python's generators do it,
/// so that what is never asked for can neither fail nor cost anything.
class ValueIterator {
    /// How many containers and iterators lie inside one another.
    let depth: Int

    init(depth: Int) {
        self.depth = depth
    }

    func next(_ run: Interpreter) throws(TemplateError) -> Value? { nil }
}

final class ListIterator: ValueIterator {
    private let items: [Value]
    private var position = 0

    init(_ items: [Value], depth: Int) {
        self.items = items
        super.init(depth: depth)
    }

    override func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        guard position < items.count else { return nil }
        position += 1
        return items[position - 1]
    }
}

final class TextIterator: ValueIterator {
    private let text: Text
    private var offset = 0

    init(_ text: Text) {
        self.text = text
        super.init(depth: 1)
    }

    override func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        guard offset < text.bytes.count else { return nil }
        let (scalar, length) = Text.decode(text.bytes, at: offset)
        offset += length
        return .text(Text(scalar))
    }
}

final class RangeIterator: ValueIterator {
    private let range: ValueRange
    private let isReversed: Bool
    private var position = 0

    init(_ range: ValueRange, isReversed: Bool = false) {
        self.range = range
        self.isReversed = isReversed
        super.init(depth: 1)
    }

    override func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        guard position < range.count else { return nil }
        position += 1
        return .integer(range[isReversed ? range.count - position : position - 1])
    }
}

/// The elements of another iterator, each changed or left out by a step of its own.
final class TransformIterator: ValueIterator {
    enum Outcome {
        case keep(Value)
        case drop
    }

    private let source: ValueIterator
    private let transform: (Value, Interpreter) throws(TemplateError) -> Outcome

    init(
        _ source: ValueIterator, _ transform: @escaping (Value, Interpreter) throws(TemplateError) -> Outcome
    ) {
        self.source = source
        self.transform = transform
        super.init(depth: source.depth + 1)
    }

    override func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        while let element = try source.next(run) {
            try run.step()
            if case .keep(let value) = try transform(element, run) { return value }
        }
        return nil
    }
}

/// What makes its elements anew from nothing but its own state.
final class GeneratingIterator: ValueIterator {
    private let generate: (Interpreter) throws(TemplateError) -> Value?

    init(depth: Int, _ generate: @escaping (Interpreter) throws(TemplateError) -> Value?) {
        self.generate = generate
        super.init(depth: depth)
    }

    override func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        try run.step()
        return try generate(run)
    }
}

/// An iterator that is set up when the first element is asked for; until then its arguments may be wrong.
final class DeferredIterator: ValueIterator {
    private let prepare: (Interpreter) throws(TemplateError) -> ValueIterator
    private var prepared: ValueIterator?

    /// - Parameter depth: of the iterator that `prepare` makes, at least.
    init(depth: Int, _ prepare: @escaping (Interpreter) throws(TemplateError) -> ValueIterator) {
        self.prepare = prepare
        super.init(depth: depth)
    }

    override func next(_ run: Interpreter) throws(TemplateError) -> Value? {
        let iterator = if let prepared { prepared } else { try prepare(run) }
        prepared = iterator
        return try iterator.next(run)
    }
}

extension Interpreter {
    /// Runs through a value as `for` does.
    /// - Throws: `TemplateError` for values without elements.
    func iterator(of value: Value) throws(TemplateError) -> ValueIterator {
        switch value {
        case .undefined: return ListIterator([], depth: 1)
        case .text(let text): return TextIterator(text)
        case .list(let list), .tuple(let list): return ListIterator(list.items, depth: list.depth)
        case .dictionary(let dictionary): return ListIterator(dictionary.keys, depth: dictionary.depth)
        case .range(let range): return RangeIterator(range)
        case .view(let view):
            try charge(elements: view.dictionary.count)
            return ListIterator(view.items(), depth: view.dictionary.depth + 1)
        case .iterator(let iterator): return iterator
        default: throw fail("\(value.typeName) has no elements to run through")
        }
    }

    /// All elements of a value, in an array.
    func elements(of value: Value) throws(TemplateError) -> [Value] {
        switch value {
        case .list(let list), .tuple(let list): return list.items
        case .dictionary(let dictionary): return dictionary.keys
        default: return try drained(try iterator(of: value))
        }
    }

    func drained(_ iterator: ValueIterator) throws(TemplateError) -> [Value] {
        var items: [Value] = []
        while let element = try iterator.next(self) {
            try step()
            try charge(elements: 1)
            items.append(element)
        }
        return items
    }
}
