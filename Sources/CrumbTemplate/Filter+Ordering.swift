extension Interpreter {
    /// `sort`, `unique`, `min`, `max`, `groupby` and `dictsort`.
    func ordering(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        switch filter {
        case .sort:
            let values = try bind(arguments, to: ["reverse", "case_sensitive", "attribute"], of: name)
            let items = try elements(of: value)
            let isExact = values[1]?.isTrue ?? false
            let paths = try self.paths(values[2])
            var keys: [Value] = []
            for item in items {
                var parts: [Value] = []
                for path in paths { parts.append(try key(item, path, isExact)) }
                keys.append(try list(parts))
            }
            return try list(try sorted(items, by: keys, isReversed: values[0]?.isTrue ?? false))
        case .unique: return try unique(value, arguments, name)
        case .min, .max: return try extreme(filter, value, arguments, name)
        case .groupby: return try grouped(value, arguments, name)
        default: return try sortedDictionary(value, arguments, name)
        }
    }

    private func paths(_ attribute: Value?) throws(TemplateError) -> [[Value]] {
        if case .text(let text)? = attribute { return text.split(",", limit: -1).map { path($0) } }
        return [try path(attribute) ?? []]
    }

    /// What an element is ordered by: an attribute or itself, strings without case unless `isExact`.
    private func key(
        _ element: Value, _ path: [Value], _ isExact: Bool, default standard: Value? = nil
    ) throws(TemplateError) -> Value {
        let value = try value(at: path, of: element, default: standard)
        guard !isExact, case .text(let text) = value else { return value }
        try charge(text.bytes.count)
        return .text(text.lowercased())
    }

    private func sorted(_ items: [Value], by keys: [Value], isReversed: Bool) throws(TemplateError) -> [Value] {
        try sortedPositions(keys, isReversed: isReversed).map { items[$0] }
    }

    /// Where the keys stand in order, by a stable merge sort; reversed, equal ones still keep their order.
    func sortedPositions(_ keys: [Value], isReversed: Bool = false) throws(TemplateError) -> [Int] {
        try charge(elements: 2 * keys.count)
        var order = Array(keys.indices)
        var width = 1
        while width < order.count {
            var merged: [Int] = []
            merged.reserveCapacity(order.count)
            for start in stride(from: 0, to: order.count, by: 2 * width) {
                var left = start
                var right = min(start + width, order.count)
                let middle = right
                let end = min(start + 2 * width, order.count)
                while left < middle, right < end {
                    let takesRight =
                        isReversed
                        ? try self.order(.less, keys[order[left]], keys[order[right]])
                        : try self.order(.less, keys[order[right]], keys[order[left]])
                    merged.append(order[takesRight ? right : left])
                    if takesRight { right += 1 } else { left += 1 }
                }
                merged += order[left..<middle]
                merged += order[right..<end]
            }
            order = merged
            width *= 2
        }
        return order
    }

    private func unique(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value {
        let values = try bind(arguments, to: ["case_sensitive", "attribute"], of: name)
        let isExact = values[0]?.isTrue ?? false
        return try iterator(
            DeferredIterator(depth: value.depth + 2) { run throws(TemplateError) in
                let path = try run.path(values[1]) ?? []
                var seen: Set<Key> = []
                return TransformIterator(try run.iterator(of: value)) { (element, run) throws(TemplateError) in
                    try run.charge(elements: 1)
                    let key = try run.key(of: try run.key(element, path, isExact))
                    return seen.insert(key).inserted ? .keep(element) : .drop
                }
            })
    }

    private func extreme(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        let values = try bind(arguments, to: ["case_sensitive", "attribute"], of: name)
        let isExact = values[0]?.isTrue ?? false
        let path = try path(values[1]) ?? []
        let items = try elements(of: value)
        guard var best = items.first else {
            return .undefined(Undefined("an empty sequence has no \(filter.rawValue)"))
        }
        var bestKey = try key(best, path, isExact)
        for item in items.dropFirst() {
            let itemKey = try key(item, path, isExact)
            if try order(filter == .min ? .less : .greater, itemKey, bestKey) {
                best = item
                bestKey = itemKey
            }
        }
        return best
    }

    private func grouped(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value {
        let values = try bind(arguments, to: ["attribute", "default", "case_sensitive"], required: 1, of: name)
        let path = try path(values[0]) ?? []
        let standard = values[1].flatMap { isNone($0) ? nil : $0 }
        let isExact = values[2]?.isTrue ?? false
        let items = try elements(of: value)
        var keys: [Value] = []
        for item in items { keys.append(try key(item, path, isExact, default: standard)) }
        var groups: [(key: Value, items: [Value])] = []
        for item in try sorted(items, by: keys, isReversed: false) {
            let key = try key(item, path, isExact, default: standard)
            if let last = groups.last, try areEqual(last.key, key) {
                groups[groups.count - 1].items.append(item)
            } else {
                groups.append((key, [item]))
            }
        }
        var result: [Value] = []
        for group in groups {
            let shown = isExact ? group.key : try self.value(at: path, of: group.items[0], default: standard)
            result.append(.tuple(ValueList([shown, try list(group.items)], isGroup: true)))
        }
        return try list(result)
    }

    private func sortedDictionary(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value
    {
        let values = try bind(arguments, to: ["case_sensitive", "by", "reverse"], of: name)
        let by = try string(values[1] ?? .text("key"), name)
        guard by == "key" || by == "value" else { throw fail("\(name) sorts by 'key' or 'value', not by '\(by)'") }
        guard case .dictionary(let dictionary) = value else {
            throw fail("\(name) needs a dictionary, not \(describe(value))")
        }
        try charge(elements: 3 * dictionary.count)
        var keys: [Value] = []
        for key in by == "key" ? dictionary.keys : dictionary.values {
            keys.append(try self.key(key, [], values[0]?.isTrue ?? false))
        }
        let pairs = DictionaryView(.items, dictionary).items()
        return try list(try sorted(pairs, by: keys, isReversed: values[2]?.isTrue ?? false))
    }
}
