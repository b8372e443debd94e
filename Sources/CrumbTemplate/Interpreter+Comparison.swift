extension Interpreter {
    func compare(_ comparison: Comparison, _ left: Value, _ right: Value) throws(TemplateError) -> Bool {
        switch comparison {
        case .equal: try areEqual(left, right)
        case .notEqual: try !areEqual(left, right)
        case .isIn: try contains(right, left)
        case .isNotIn: try !contains(right, left)
        case .less, .lessOrEqual, .greater, .greaterOrEqual: try order(comparison, left, right)
        }
    }

    // MARK: Equality

    func areEqual(_ left: Value, _ right: Value) throws(TemplateError) -> Bool {
        try step()
        if let left = Number(left) {
            guard let right = Number(right) else { return false }
            return left.compare(right) == .equal
        }
        switch (left, right) {
        case (.undefined, .undefined), (.null, .null): return true
        case (.text(let left), .text(let right)):
            try charge(min(left.bytes.count, right.bytes.count))
            return left == right
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return left === right ? true : try areEqual(left.items, right.items)
        case (.dictionary(let left), .dictionary(let right)):
            if left === right { return true }
            guard left.count == right.count else { return false }
            for (key, value) in zip(left.keys, left.values) {
                guard let other = right[try self.key(of: key)], try areEqual(value, other) else { return false }
            }
            return true
        case (.range(let left), .range(let right)): return left.identity == right.identity
        case (.view(let left), .view(let right)):
            guard left.kind == right.kind, left.kind != .values else { return left === right }
            return try areEqual(left.items(), right.items())
        default: return areSame(left, right)
        }
    }

    func areEqual(_ left: [Value], _ right: [Value]) throws(TemplateError) -> Bool {
        guard left.count == right.count else { return false }
        for (left, right) in zip(left, right) where try !areEqual(left, right) { return false }
        return true
    }

    /// Python's `is`, as far as it can be told: the same object, or scalars that Python keeps only once.
    func areSame(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.integer(let left), .integer(let right)): left == right
        case (.double(let left), .double(let right)): left == right
        case (.text(let left), .text(let right)): left == right
        case (.undefined(let left), .undefined(let right)): left === right
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)): left === right
        case (.dictionary(let left), .dictionary(let right)): left === right
        case (.range(let left), .range(let right)): left === right
        case (.view(let left), .view(let right)): left === right
        case (.iterator(let left), .iterator(let right)): left === right
        case (.namespace(let left), .namespace(let right)): left === right
        case (.loop(let left), .loop(let right)): left === right
        case (.macro(let left), .macro(let right)): left === right
        case (.function(let left), .function(let right)): left == right
        case (.cycler(let left), .cycler(let right)): left === right
        case (.joiner(let left), .joiner(let right)): left === right
        default: false
        }
    }

    // MARK: Order

    /// `<`, `<=`, `>` and `>=`, of numbers, strings, and lists or tuples of comparable things.
    func order(_ comparison: Comparison, _ left: Value, _ right: Value) throws(TemplateError) -> Bool {
        try step()
        if let left = Number(left), let right = Number(right) { return holds(comparison, left.compare(right)) }
        switch (left, right) {
        case (.text(let left), .text(let right)):
            try charge(min(left.bytes.count, right.bytes.count))
            // The order of UTF-8 bytes is the order of code points.
            let order: Ordering =
                left == right ? .equal : left.bytes.lexicographicallyPrecedes(right.bytes) ? .less : .greater
            return holds(comparison, order)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (left, right) in zip(left.items, right.items) where try !areEqual(left, right) {
                return try order(comparison, left, right)
            }
            return holds(comparison, Ordering(left.items.count, right.items.count))
        case (.undefined(let undefined), _), (_, .undefined(let undefined)):
            throw fail("\(undefined.reason), so '\(comparison.rawValue)' cannot compare it")
        default:
            throw fail("'\(comparison.rawValue)' cannot compare \(describe(left)) with \(describe(right))")
        }
    }

    private func holds(_ comparison: Comparison, _ order: Ordering?) -> Bool {
        switch comparison {
        case .less: order == .less
        case .lessOrEqual: order == .less || order == .equal
        case .greater: order == .greater
        default: order == .greater || order == .equal
        }
    }

    // MARK: Membership

    func contains(_ container: Value, _ element: Value) throws(TemplateError) -> Bool {
        switch container {
        case .undefined: return false
        case .text(let text):
            let part = try string(element, "'in' with a string on its right")
            try charge(text.bytes.count + 4 * part.bytes.count)
            return text.contains(part)
        case .list(let list), .tuple(let list): return try contains(list.items, element)
        case .dictionary(let dictionary): return dictionary[try key(of: element)] != nil
        case .range(let range):
            guard let number = Number(element), let value = number.exactInteger else { return false }
            guard range.count > 0 else { return false }
            let (offset, overflow) = value.subtractingReportingOverflow(range.start)
            return !overflow && offset % range.step == 0 && (0..<range.count).contains(offset / range.step)
        case .view(let view):
            if view.kind == .keys { return view.dictionary[try key(of: element)] != nil }
            try charge(elements: view.dictionary.count)
            return try contains(view.items(), element)
        case .iterator(let iterator):
            while let candidate = try iterator.next(self) {
                if try areEqual(candidate, element) { return true }
            }
            return false
        default: throw fail("\(describe(container)) cannot hold what 'in' looks for")
        }
    }

    private func contains(_ items: [Value], _ element: Value) throws(TemplateError) -> Bool {
        for item in items {
            if areSame(item, element) { return true }
            if try areEqual(item, element) { return true }
        }
        return false
    }
}

enum Ordering {
    case less, equal, greater

    init<T: Comparable>(_ left: T, _ right: T) {
        self = left < right ? .less : left == right ? .equal : .greater
    }
}
