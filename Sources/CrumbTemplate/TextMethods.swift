extension Interpreter {
    func call(_ method: Method, on text: Text, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        try charge(text.bytes.count)
        switch method {
        case .format: return .text(try braceFormat(text, arguments))
        case .join:
            return .text(try join(try elements(of: try bindByPosition(arguments, 1...1, name)[0]), text, strict: true))
        case .split, .rsplit, .splitlines: return try split(method, text, arguments)
        case .strip, .lstrip, .rstrip:
            let chars = try bindByPosition(arguments, 0...1, name).first ?? .null
            return .text(try strip(text, chars, start: method != .rstrip, end: method != .lstrip))
        case .startswith, .endswith: return try affix(method, text, arguments)
        case .removeprefix, .removesuffix:
            let part = try string(try bindByPosition(arguments, 1...1, name)[0], name)
            if method == .removeprefix {
                return .text(text.hasPrefix(part) ? Text(Array(text.bytes.dropFirst(part.bytes.count))) : text)
            }
            return .text(text.hasSuffix(part) ? Text(Array(text.bytes.dropLast(part.bytes.count))) : text)
        case .replace:
            let values = try bindByPosition(arguments, 2...3, name)
            return .text(
                try replace(
                    text, try string(values[0], name), try string(values[1], name),
                    values.count > 2 ? try integer(values[2], name) : -1))
        case .find, .rfind, .index, .rindex, .count: return try search(method, text, arguments)
        case .partition, .rpartition: return try partition(method, text, arguments)
        case .center, .ljust, .rjust, .zfill, .expandtabs: return try pad(method, text, arguments)
        default:
            _ = try bindByPosition(arguments, 0...0, name)
            return simple(method, text)
        }
    }

    /// Methods without arguments.
    private func simple(_ method: Method, _ text: Text) -> Value {
        switch method {
        case .upper: .text(text.uppercased())
        case .lower: .text(text.lowercased())
        case .casefold: .text(text.casefolded())
        case .capitalize: .text(text.capitalized())
        case .title: .text(text.titlecased())
        case .swapcase: .text(text.swappedCase())
        case .isalnum: .bool(text.all(\.isAlphanumeric))
        case .isalpha: .bool(text.all(\.isAlphabetic))
        case .isascii: .bool(text.isASCII)
        case .isdecimal: .bool(text.all(\.isDecimal))
        case .isdigit: .bool(text.all(\.isPythonDigit))
        case .isnumeric: .bool(text.all(\.isNumeric))
        case .isspace: .bool(text.all(\.isPythonSpace))
        case .isprintable: .bool(text.scalars.allSatisfy(\.isPrintable))
        case .isidentifier:
            .bool(text.scalars.first?.isNameStart == true && text.scalars.allSatisfy(\.isNameContinue))
        case .islower: .bool(text.isCase(lower: true))
        case .isupper: .bool(text.isCase(lower: false))
        case .istitle: .bool(text.isTitle)
        default: .null
        }
    }

    /// Strings joined by a separator; `strict` demands strings, as the method does and the filter does not.
    func join(_ items: [Value], _ separator: Text, strict: Bool) throws(TemplateError) -> Text {
        var builder = TextBuilder(self)
        for (index, item) in items.enumerated() {
            if index > 0 { try builder.append(separator) }
            try builder.append(strict ? try string(item, "join()") : try text(of: item))
        }
        return builder.text
    }

    func strip(_ text: Text, _ chars: Value, start: Bool = true, end: Bool = true) throws(TemplateError) -> Text {
        if case .null = chars { return text.trimmed(start: start, end: end, \.isPythonSpace) }
        let set = Set(try string(chars, "strip()").scalars)
        return text.trimmed(start: start, end: end) { set.contains($0) }
    }

    func replace(_ text: Text, _ old: Text, _ new: Text, _ limit: Int) throws(TemplateError) -> Text {
        try charge(text.bytes.count + 4 * old.bytes.count)
        let all = text.occurrences(of: old, in: 0..<text.bytes.count)
        let count = limit < 0 ? all : min(all, limit)
        let (growth, overflow) = (new.bytes.count - old.bytes.count).multipliedReportingOverflow(by: count)
        try charge(string: overflow ? .max : text.bytes.count + growth)
        return text.replacing(old, with: new, limit: limit)
    }

    private func split(_ method: Method, _ text: Text, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        // Every byte may become a string of its own.
        var parts: [Text]
        if method == .splitlines {
            let keepEnds = try bind(arguments, to: ["keepends"], of: name)[0]
            parts = text.lines(keepEnds: keepEnds?.isTrue ?? false)
        } else {
            let values = try bind(arguments, to: ["sep", "maxsplit"], of: name)
            let limit = try integer(values[1] ?? .integer(-1), name)
            if case .null = values[0] ?? .null {
                parts = text.splitWhitespace(limit: limit, fromRight: method == .rsplit)
            } else {
                let separator = try string(values[0] ?? .null, name)
                guard !separator.isEmpty else { throw fail("\(name) needs a separator that is not empty") }
                try charge(4 * separator.bytes.count)
                parts = text.split(separator, limit: limit, fromRight: method == .rsplit)
            }
        }
        try charge(64 * parts.count)
        return try list(parts.map { .text($0) })
    }

    private func affix(_ method: Method, _ text: Text, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        let values = try bindByPosition(arguments, 1...3, name)
        var candidates = [values[0]]
        if case .tuple(let list) = values[0] { candidates = list.items }
        let window = values.count > 1 ? try self.window(text, values, name) : nil
        for candidate in candidates {
            let part = try string(candidate, name)
            guard let window else {
                if method == .startswith ? text.hasPrefix(part) : text.hasSuffix(part) { return .bool(true) }
                continue
            }
            guard let bytes = window.bytes else { continue }
            let inner = text.bytes[bytes]
            if method == .startswith
                ? inner.starts(with: part.bytes) : inner.suffix(part.bytes.count).elementsEqual(part.bytes)
            {
                return .bool(true)
            }
        }
        return .bool(false)
    }

    /// The bytes that a method's optional start and end leave; nil if the start lies behind the end.
    private func window(
        _ text: Text, _ values: [Value], _ name: String
    ) throws(TemplateError) -> (bytes: Range<Int>?, first: Int) {
        let count = text.count
        func bound(_ index: Int, _ missing: Int) throws(TemplateError) -> Int {
            guard values.count > index else { return missing }
            if case .null = values[index] { return missing }
            let value = try integer(values[index], name)
            return value < 0 ? max(value + count, 0) : value
        }
        let start = try bound(1, 0)
        let end = min(try bound(2, count), count)
        guard start <= end else { return (nil, start) }
        return (text.offset(of: start)..<text.offset(of: end), start)
    }

    private func search(_ method: Method, _ text: Text, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        let values = try bindByPosition(arguments, 1...3, name)
        let part = try string(values[0], name)
        try charge(text.bytes.count + 4 * part.bytes.count)
        let window = try self.window(text, values, name).bytes
        if method == .count { return .integer(window.map { text.occurrences(of: part, in: $0) } ?? 0) }
        var offset: Int?
        if let window {
            offset = method == .find || method == .index ? text.find(part, in: window) : text.findLast(part, in: window)
        }
        if let offset { return .integer(text.index(ofOffset: offset)) }
        guard method == .find || method == .rfind else {
            throw fail("\(name) does not find its argument in the string")
        }
        return .integer(-1)
    }

    private func partition(_ method: Method, _ text: Text, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        let separator = try string(try bindByPosition(arguments, 1...1, name)[0], name)
        guard !separator.isEmpty else { throw fail("\(name) needs a separator that is not empty") }
        let whole = 0..<text.bytes.count
        let found = method == .partition ? text.find(separator, in: whole) : text.findLast(separator, in: whole)
        guard let found else {
            return try tuple(
                method == .partition ? [.text(text), .text(""), .text("")] : [.text(""), .text(""), .text(text)])
        }
        return try tuple([
            .text(Text(Array(text.bytes[..<found]))), .text(separator),
            .text(Text(Array(text.bytes[(found + separator.bytes.count)...]))),
        ])
    }

    private func pad(_ method: Method, _ text: Text, _ arguments: Arguments) throws(TemplateError) -> Value {
        let name = "\(method.rawValue)()"
        if method == .expandtabs {
            let size = try bind(arguments, to: ["tabsize"], of: name)[0].map { value throws(TemplateError) in
                try integer(value, name)
            }
            return .text(try expandTabs(text, size ?? 8))
        }
        let values = try bindByPosition(arguments, 1...(method == .zfill ? 1 : 2), name)
        var spec = FormatSpec()
        spec.width = max(0, try integer(values[0], name))
        if values.count > 1 {
            guard let fill = try string(values[1], name).scalars.first, try string(values[1], name).count == 1 else {
                throw fail("\(name) needs a fill of one character")
            }
            spec.fill = fill
        }
        guard method != .zfill else {
            spec.fill = "0"
            let hasSign = text.bytes.first == UInt8(ascii: "-") || text.bytes.first == UInt8(ascii: "+")
            let sign = hasSign ? [text.bytes[0]] : []
            spec.width -= min(spec.width, sign.count)
            return .text(
                Text(sign + (try padded(Text(Array(text.bytes.dropFirst(sign.count))), spec, standard: ">")).bytes))
        }
        if method == .center { return .text(try centered(text, spec)) }
        return .text(try padded(text, spec, standard: method == .ljust ? "<" : ">"))
    }

    /// `str.center` puts the odd space left if the width is odd too.
    func centered(_ text: Text, _ spec: FormatSpec) throws(TemplateError) -> Text {
        let missing = max(0, spec.width - text.count)
        var left = spec
        left.width = text.count + missing / 2 + (missing & spec.width & 1)
        var right = spec
        right.width = spec.width
        return try padded(try padded(text, left, standard: ">"), right, standard: "<")
    }

    private func expandTabs(_ text: Text, _ size: Int) throws(TemplateError) -> Text {
        var builder = TextBuilder(self)
        var column = 0
        for scalar in text.scalars {
            if scalar == "\t" {
                guard size > 0 else { continue }
                let missing = size - column % size
                try builder.append(try repeated(" ", missing))
                column += missing
            } else {
                try builder.append(Text(scalar))
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return builder.text
    }
}

extension Text {
    /// Byte offset of the last occurrence of `needle` inside `range`.
    func findLast(_ needle: Text, in range: Range<Int>) -> Int? {
        let reversed = Array(bytes[range].reversed())
        guard let offset = TextSearch(needle.bytes.reversed()).first(in: reversed, 0..<reversed.count) else {
            return nil
        }
        return range.upperBound - offset - needle.bytes.count
    }
}
