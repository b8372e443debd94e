/// The filters, by the names templates use.
enum Filter: String, Sendable {
    case abs, attr, batch, capitalize, center, count, d, `default`, dictsort, e, escape, filesizeformat, first, float
    case forceescape, format, groupby, indent, int, items, join, last, length, list, lower, map, max, min, reject
    case rejectattr, replace, reverse, round, safe, select, selectattr, slice, sort, string, sum, title, tojson
    case trim, truncate, unique, upper, urlencode, wordcount, xmlattr
}

extension Interpreter {
    /// `value|filter(arguments)`.
    func filter(_ filter: Filter, _ value: Value, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "the filter '\(filter.rawValue)'"
        switch filter {
        case .default, .d:
            let values = try bind(arguments, to: ["default_value", "boolean"], of: name)
            let isReplaced = value.isUndefined || (values[1]?.isTrue == true && !value.isTrue)
            return isReplaced ? values[0] ?? .text("") : value
        case .attr:
            let attribute = try string(try bind(arguments, to: ["name"], required: 1, of: name)[0] ?? .null, name)
            return try self.attributeOnly(Attribute(attribute), of: value)
        case .capitalize, .center, .escape, .e, .forceescape, .format, .indent, .lower, .replace, .safe, .string,
            .title,
            .trim, .truncate, .upper, .urlencode, .wordcount, .xmlattr:
            return try textFilter(filter, value, arguments, name)
        case .abs, .float, .int, .round, .sum, .filesizeformat: return try numberFilter(filter, value, arguments, name)
        case .map, .select, .selectattr, .reject, .rejectattr: return try selection(filter, value, arguments, name)
        case .sort, .unique, .min, .max, .groupby, .dictsort: return try ordering(filter, value, arguments, name)
        case .tojson:
            let values = try bind(
                arguments, to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: name)
            return .text(try json(value, values))
        case .batch, .count, .length, .first, .items, .join, .last, .list, .reverse, .slice:
            return try sequenceFilter(filter, value, arguments, name)
        }
    }

    /// `value|attr(name)`: like a dot, but never an item.
    private func attributeOnly(_ attribute: Attribute, of value: Value) throws(TemplateError) -> Value {
        if case .dictionary = value, attribute.method?.exists(on: value) != true {
            return .undefined(Undefined("a dictionary has no attribute '\(attribute.name)'"))
        }
        return try self.attribute(attribute, of: value)
    }

    // MARK: Sequences

    /// Python's `len`.
    func count(of value: Value) throws(TemplateError) -> Int {
        switch value {
        case .undefined: return 0
        case .text(let text):
            try charge(text.bytes.count)
            return text.count
        case .list(let list), .tuple(let list): return list.items.count
        case .dictionary(let dictionary): return dictionary.count
        case .range(let range): return range.count
        case .view(let view): return view.dictionary.count
        case .loop(let loop): return try loop.count(self)
        default: throw fail("\(describe(value)) has no length")
        }
    }

    private func sequenceFilter(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        switch filter {
        case .batch, .slice: return try grouped(filter, value, arguments, name)
        case .join:
            let values = try bind(arguments, to: ["d", "attribute"], of: name)
            var items = try elements(of: value)
            if let path = try path(values[1]) {
                for index in items.indices { items[index] = try self.value(at: path, of: items[index]) }
            }
            return .text(try join(items, try text(of: values[0] ?? .text("")), strict: false))
        default: break
        }
        _ = try bind(arguments, to: [], of: name)
        switch filter {
        case .count, .length: return .integer(try count(of: value))
        case .first:
            return try iterator(of: value).next(self) ?? .undefined(Undefined("an empty sequence has no first item"))
        case .last:
            return try reversed(value).next(self) ?? .undefined(Undefined("an empty sequence has no last item"))
        case .items:
            return try iterator(
                DeferredIterator(depth: value.depth + 1) { run throws(TemplateError) in
                    if value.isUndefined { return ListIterator([], depth: 1) }
                    guard case .dictionary(let dictionary) = value else {
                        throw run.fail("\(name) needs a dictionary, not \(run.describe(value))")
                    }
                    return try run.iterator(of: .view(DictionaryView(.items, dictionary)))
                })
        case .list: return try list(try elements(of: value))
        default:
            if case .text(let text) = value {
                try charge(text.bytes.count)
                return .text(Text(String(String.UnicodeScalarView(text.scalars.reversed()))))
            }
            if case .iterator = value { return try list(try elements(of: value).reversed()) }
            return try iterator(try reversed(value))
        }
    }

    /// Python's `reversed`, which wants something with a length.
    private func reversed(_ value: Value) throws(TemplateError) -> ValueIterator {
        switch value {
        case .undefined: return ListIterator([], depth: 1)
        case .range(let range): return RangeIterator(range, isReversed: true)
        case .text(let text):
            try charge(text.bytes.count)
            // Code points are cut off the end one by one, as they are asked for.
            var rest = text.bytes[...]
            return GeneratingIterator(depth: 1) { _ throws(TemplateError) in
                guard !rest.isEmpty else { return nil }
                let start = rest.lastIndex { $0 & 0xC0 != 0x80 } ?? rest.startIndex
                defer { rest = rest[..<start] }
                return .text(Text(Array(rest[start...])))
            }
        case .list, .tuple, .dictionary, .view:
            let items = try elements(of: value)
            try charge(elements: items.count)
            return ListIterator(items.reversed(), depth: value.depth + 1)
        default: throw fail("\(describe(value)) cannot be run through from its end")
        }
    }

    /// `batch(n)`: lists of n elements; `slice(n)`: n lists as equal as can be.
    private func grouped(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        let values = try bind(
            arguments, to: [filter == .batch ? "linecount" : "slices", "fill_with"], required: 1, of: name)
        let number = values[0] ?? .null
        var fill: Value?
        if let given = values[1], case .null = given { fill = nil } else { fill = values[1] }
        let depth = max(value.depth, (fill?.depth ?? 0) + 1) + 1
        return try iterator(
            DeferredIterator(depth: depth) { [fill] run throws(TemplateError) in
                let count = try run.integer(number, name)
                return filter == .batch
                    ? run.batches(of: count, from: try run.iterator(of: value), fill: fill, depth: depth)
                    : try run.slices(count, of: try run.elements(of: value), fill: fill, depth: depth)
            })
    }

    private func batches(of count: Int, from source: ValueIterator, fill: Value?, depth: Int) -> ValueIterator {
        var waiting: [Value] = []
        return GeneratingIterator(depth: depth) { run throws(TemplateError) in
            while let element = try source.next(run) {
                try run.step()
                if waiting.count == count {
                    defer { waiting = [element] }
                    return try run.list(waiting)
                }
                waiting.append(element)
            }
            if waiting.isEmpty { return nil }
            defer { waiting = [] }
            guard let fill, waiting.count < count else { return try run.list(waiting) }
            try run.charge(elements: count)
            return try run.list(waiting + [Value](repeating: fill, count: count - waiting.count))
        }
    }

    private func slices(
        _ count: Int, of items: [Value], fill: Value?, depth: Int
    ) throws(TemplateError) -> ValueIterator {
        guard count != 0 else { throw fail("the filter 'slice' cannot make 0 slices") }
        guard count > 0 else { return ListIterator([], depth: 1) }
        let (size, longer) = items.count.quotientAndRemainder(dividingBy: count)
        var number = 0
        return GeneratingIterator(depth: depth) { run throws(TemplateError) in
            guard number < count else { return nil }
            defer { number += 1 }
            let start = number * size + min(number, longer)
            var part = Array(items[start..<(start + size + (number < longer ? 1 : 0))])
            if let fill, number >= longer { part.append(fill) }
            return try run.list(part)
        }
    }

    // MARK: Attribute paths

    /// The path `attribute="a.b.0"` means; nil if there is none.
    func path(_ attribute: Value?) throws(TemplateError) -> [Value]? {
        switch attribute {
        case nil, Value.null?: return nil
        case .text(let text)?: return path(text)
        case .integer?: return attribute.map { [$0] }
        case let other?: throw fail("an attribute's name is a string, not \(describe(other))")
        }
    }

    func path(_ text: Text) -> [Value] {
        text.split(".", limit: -1).map { part in
            part.all(\.isPythonDigit) ? Int(part.string).map { .integer($0) } ?? .text(part) : .text(part)
        }
    }

    func value(at path: [Value], of value: Value, default standard: Value? = nil) throws(TemplateError) -> Value {
        var value = value
        for part in path {
            value = try item(part, of: value)
            if value.isUndefined, let standard { value = standard }
        }
        return value
    }
}
