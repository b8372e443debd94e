extension Interpreter {
    func textFilter(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        switch filter {
        case .replace:
            let values = try bind(arguments, to: ["old", "new", "count"], required: 2, of: name)
            var limit = -1
            if let count = values[2], !isNone(count) { limit = try integer(count, name) }
            return .text(
                try replace(
                    try text(of: value), try text(of: values[0] ?? .null), try text(of: values[1] ?? .null), limit))
        case .trim:
            let chars = try bind(arguments, to: ["chars"], of: name)[0] ?? .null
            return .text(try strip(try text(of: value), chars))
        case .center:
            var spec = FormatSpec()
            spec.width = max(0, try integer(try bind(arguments, to: ["width"], of: name)[0] ?? .integer(80), name))
            return .text(try centered(try text(of: value), spec))
        case .format: return try format(value, arguments, name)
        case .indent: return .text(try indent(try string(value, name), arguments, name))
        case .truncate: return try truncate(value, arguments, name)
        case .xmlattr: return .text(try attributes(value, arguments, name))
        default: break
        }
        _ = try bind(arguments, to: [], of: name)
        if filter == .urlencode { return .text(try urlEncoded(value)) }
        let text = try text(of: value)
        try charge(text.bytes.count)
        switch filter {
        case .upper: return .text(text.uppercased())
        case .lower: return .text(text.lowercased())
        case .capitalize: return .text(text.capitalized())
        case .title: return .text(titled(text))
        case .escape, .e, .forceescape: return .text(try escaped(text))
        case .wordcount: return .integer(wordCount(text))
        default: return .text(text)
        }
    }

    func isNone(_ value: Value) -> Bool {
        if case .null = value { true } else { false }
    }

    /// Words start behind whitespace, `-` and opening brackets.
    private func titled(_ text: Text) -> Text {
        let openers: [Unicode.Scalar] = ["-", "(", "{", "[", "<"]
        var result = ""
        var word = ""
        func flush() {
            guard let first = word.unicodeScalars.first else { return }
            var rest = String.UnicodeScalarView()
            rest.append(contentsOf: word.unicodeScalars.dropFirst())
            result += first.properties.uppercaseMapping + Text(String(rest)).lowercased().string
            word = ""
        }
        for scalar in text.scalars {
            if scalar.isPythonSpace || openers.contains(scalar) {
                flush()
                result.unicodeScalars.append(scalar)
            } else {
                word.unicodeScalars.append(scalar)
            }
        }
        flush()
        return Text(result)
    }

    private func escaped(_ text: Text) throws(TemplateError) -> Text {
        var builder = TextBuilder(self)
        for byte in text.bytes {
            switch byte {
            case UInt8(ascii: "&"): try builder.append("&amp;")
            case UInt8(ascii: "<"): try builder.append("&lt;")
            case UInt8(ascii: ">"): try builder.append("&gt;")
            case UInt8(ascii: "'"): try builder.append("&#39;")
            case UInt8(ascii: "\""): try builder.append("&#34;")
            default: try builder.append(CollectionOfOne(byte))
            }
        }
        return builder.text
    }

    private func wordCount(_ text: Text) -> Int {
        var count = 0
        var insideWord = false
        for scalar in text.scalars {
            let isWord = scalar.isAlphanumeric || scalar == "_"
            if isWord, !insideWord { count += 1 }
            insideWord = isWord
        }
        return count
    }

    private func format(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value {
        guard arguments.positional.isEmpty || arguments.named.isEmpty else {
            throw fail("\(name) takes values either by position or by name")
        }
        let format = try text(of: value)
        if arguments.named.isEmpty { return .text(try percentFormat(format, try tuple(arguments.positional))) }
        let dictionary = ValueDictionary()
        for (name, value) in arguments.named { dictionary.set(name, to: value) }
        return .text(try percentFormat(format, try self.dictionary(dictionary)))
    }

    private func indent(_ text: Text, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Text {
        let values = try bind(arguments, to: ["width", "first", "blank"], of: name)
        let indention: Text
        if case .text(let given)? = values[0] {
            indention = given
        } else {
            indention = try repeated(" ", try integer(values[0] ?? .integer(4), name))
        }
        let indentsBlank = values[2]?.isTrue ?? false
        var builder = TextBuilder(self)
        if values[1]?.isTrue == true { try builder.append(indention) }
        for (index, line) in Text(text.bytes + [UInt8(ascii: "\n")]).lines().enumerated() {
            if index > 0 {
                try builder.append("\n")
                if indentsBlank || !line.isEmpty { try builder.append(indention) }
            }
            try builder.append(line)
        }
        return builder.text
    }

    private func truncate(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value {
        let values = try bind(arguments, to: ["length", "killwords", "end", "leeway"], of: name)
        let length = try integer(values[0] ?? .integer(255), name)
        let end = try string(values[2] ?? .text("..."), name)
        var leeway = 5
        if let given = values[3], !isNone(given) { leeway = try integer(given, name) }
        guard length >= end.count, leeway >= 0 else {
            throw fail("\(name) needs a length of at least \(end.count) and a leeway of at least 0")
        }
        let (longest, overflow) = length.addingReportingOverflow(leeway)
        let count = try count(of: value)
        if overflow || count <= longest { return value }
        let text = try string(value, name)
        var result = text.slice(0, length - end.count)
        if values[1]?.isTrue != true { result = result.split(" ", limit: 1, fromRight: true)[0] }
        return .text(Text(result.bytes + end.bytes))
    }

    private func attributes(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Text {
        let hasSpace = try bind(arguments, to: ["autospace"], of: name)[0]?.isTrue ?? true
        guard case .dictionary(let dictionary) = value else {
            throw fail("\(name) needs a dictionary, not \(describe(value))")
        }
        var builder = TextBuilder(self)
        for (key, value) in zip(dictionary.keys, dictionary.values) where !isNone(value) && !value.isUndefined {
            let key = try string(key, name)
            let refused: [UInt8] = [0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x2F, 0x3E, 0x3D]
            guard !key.bytes.contains(where: refused.contains) else {
                throw fail("\(name) meets the key '\(key)', which is no attribute's name")
            }
            if hasSpace || !builder.text.isEmpty { try builder.append(" ") }
            try builder.append(try escaped(key))
            try builder.append("=\"")
            try builder.append(try escaped(try text(of: value)))
            try builder.append("\"")
        }
        return builder.text
    }

    private func urlEncoded(_ value: Value) throws(TemplateError) -> Text {
        switch value {
        case .list, .tuple, .dictionary, .view, .iterator, .range, .undefined: break
        default: return try percentEncoded(try text(of: value), isQuery: false)
        }
        var pairs = try elements(of: value)
        if case .dictionary(let dictionary) = value { pairs = DictionaryView(.items, dictionary).items() }
        var builder = TextBuilder(self)
        for (index, pair) in pairs.enumerated() {
            let parts = try elements(of: pair)
            guard parts.count == 2 else { throw fail("the filter 'urlencode' needs pairs of a key and a value") }
            if index > 0 { try builder.append("&") }
            try builder.append(try percentEncoded(try text(of: parts[0]), isQuery: true))
            try builder.append("=")
            try builder.append(try percentEncoded(try text(of: parts[1]), isQuery: true))
        }
        return builder.text
    }

    private func percentEncoded(_ text: Text, isQuery: Bool) throws(TemplateError) -> Text {
        let kept = Set((isQuery ? "_.-~" : "_.-~/").utf8)
        let hex = Array("0123456789ABCDEF".utf8)
        var builder = TextBuilder(self)
        for byte in text.bytes {
            if isQuery, byte == 0x20 {
                try builder.append("+")
            } else if byte.isDigit || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || kept.contains(byte) {
                try builder.append(CollectionOfOne(byte))
            } else {
                try builder.append([UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]])
            }
        }
        return builder.text
    }
}
