extension Interpreter {
    func call(_ bound: BoundMethod, _ arguments: Arguments) throws(TemplateError) -> Value {
        switch bound.receiver {
        case .text(let text): return try call(bound.method, on: text, arguments)
        case .dictionary(let dictionary): return try call(bound.method, on: dictionary, arguments)
        case .list(let list), .tuple(let list):
            if bound.method == .copy { return .list(list) }
            return try search(bound.method, try elements(of: bound.receiver), arguments)
        case .range: return try search(bound.method, try elements(of: bound.receiver), arguments)
        case .loop(let loop): return try call(bound.method, on: loop, arguments)
        case .cycler(let cycler):
            _ = try bind(arguments, to: [], of: "\(bound.method.rawValue)()")
            guard bound.method == .next else {
                cycler.position = 0
                return .null
            }
            defer { cycler.position = (cycler.position + 1) % cycler.items.count }
            return cycler.items[cycler.position]
        default: throw fail("\(describe(bound.receiver)) has no method '\(bound.method.rawValue)'")
        }
    }

    // MARK: Loops

    private func call(_ method: Method, on loop: LoopState, _ arguments: Arguments) throws(TemplateError) -> Value {
        guard arguments.named.isEmpty else { throw fail("loop.\(method.rawValue)() takes no named arguments") }
        if method == .changed { return .bool(try loop.changed(arguments.positional, self)) }
        guard !arguments.positional.isEmpty else { throw fail("loop.cycle() needs at least one value") }
        return arguments.positional[loop.index0 % arguments.positional.count]
    }

    // MARK: Lists

    private func search(_ method: Method, _ items: [Value], _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        let values = try bindByPosition(arguments, 1...(method == .index ? 3 : 1), name)
        guard method == .index else {
            var count = 0
            for item in items where try areEqual(item, values[0]) { count += 1 }
            return .integer(count)
        }
        let bounds = SliceIndices(
            count: items.count, values.count > 1 ? try integer(values[1], name) : nil,
            values.count > 2 ? try integer(values[2], name) : nil, 1)
        for position in bounds.start..<(bounds.start + bounds.count) where try areEqual(items[position], values[0]) {
            return .integer(position)
        }
        throw fail("index() does not find \(describe(values[0])) in the list")
    }

    /// Arguments of a method that takes none by name.
    func bindByPosition(
        _ arguments: Arguments, _ counts: ClosedRange<Int>, _ name: String
    ) throws(TemplateError) -> [Value] {
        guard arguments.named.isEmpty else { throw fail("\(name) takes no named arguments") }
        guard counts.contains(arguments.positional.count) else {
            let wanted = counts.count == 1 ? "\(counts.lowerBound)" : "\(counts.lowerBound) to \(counts.upperBound)"
            throw fail("\(name) takes \(wanted) arguments, not \(arguments.positional.count)")
        }
        return arguments.positional
    }

    // MARK: Dictionaries

    private func call(
        _ method: Method, on dictionary: ValueDictionary, _ arguments: Arguments
    ) throws(TemplateError) -> Value {
        guard method == .get else {
            _ = try bindByPosition(arguments, 0...0, "\(method.rawValue)()")
            switch method {
            case .keys: return .view(DictionaryView(.keys, dictionary))
            case .values: return .view(DictionaryView(.values, dictionary))
            case .items: return .view(DictionaryView(.items, dictionary))
            default: return .dictionary(dictionary)
            }
        }
        let values = try bindByPosition(arguments, 1...2, "get()")
        return dictionary[try key(of: values[0])] ?? (values.count > 1 ? values[1] : .null)
    }
}
