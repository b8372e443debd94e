extension Interpreter {
    private struct Style {
        var isASCII: Bool
        /// Text of one level of indentation; nil for everything on one line.
        var indent: Text?
        var itemSeparator: Text
        var keySeparator: Text
        var sortsKeys: Bool
    }

    /// `value|tojson(ensure_ascii, indent, separators, sort_keys)`, as Python's `json.dumps` writes it.
    func json(_ value: Value, _ arguments: [Value?]) throws(TemplateError) -> Text {
        var style = Style(
            isASCII: arguments[0]?.isTrue ?? false, indent: nil, itemSeparator: ", ", keySeparator: ": ",
            sortsKeys: arguments[3]?.isTrue ?? false)
        if let indent = arguments[1], !isNone(indent) {
            if case .text(let text) = indent {
                style.indent = text
            } else {
                style.indent = try repeated(" ", try integer(indent, "the argument 'indent' of 'tojson'"))
            }
            style.itemSeparator = ","
        }
        if let separators = arguments[2], !isNone(separators) {
            let parts = try elements(of: separators)
            guard parts.count == 2 else { throw fail("the argument 'separators' of 'tojson' needs two strings") }
            style.itemSeparator = try string(parts[0], "the argument 'separators' of 'tojson'")
            style.keySeparator = try string(parts[1], "the argument 'separators' of 'tojson'")
        }
        var builder = TextBuilder(self)
        try json(value, style, &builder, level: 0)
        return builder.text
    }

    private func json(_ value: Value, _ style: Style, _ builder: inout TextBuilder, level: Int) throws(TemplateError) {
        try step()
        switch value {
        case .null: try builder.append("null")
        case .bool(let value): try builder.append(value ? "true" : "false")
        case .integer(let value): try builder.append(Text(String(value)))
        case .double(let value): try builder.append(jsonNumber(value))
        case .text(let text): try jsonString(text, style, &builder)
        case .list(let list), .tuple(let list):
            guard !list.items.isEmpty else { return try builder.append("[]") }
            try builder.append("[")
            for (index, item) in list.items.enumerated() {
                if index > 0 { try builder.append(style.itemSeparator) }
                try newLine(style, &builder, level + 1)
                try json(item, style, &builder, level: level + 1)
            }
            try newLine(style, &builder, level)
            try builder.append("]")
        case .dictionary(let dictionary): try json(dictionary, style, &builder, level: level)
        default: throw fail("\(describe(value)) cannot be written as JSON")
        }
    }

    private func json(
        _ dictionary: ValueDictionary, _ style: Style, _ builder: inout TextBuilder, level: Int
    ) throws(TemplateError) {
        guard dictionary.count > 0 else { return try builder.append("{}") }
        var order = Array(0..<dictionary.count)
        if style.sortsKeys { order = try sortedPositions(dictionary.keys) }
        try builder.append("{")
        for (index, position) in order.enumerated() {
            if index > 0 { try builder.append(style.itemSeparator) }
            try newLine(style, &builder, level + 1)
            try jsonString(try jsonKey(dictionary.keys[position]), style, &builder)
            try builder.append(style.keySeparator)
            try json(dictionary.values[position], style, &builder, level: level + 1)
        }
        try newLine(style, &builder, level)
        try builder.append("}")
    }

    private func jsonKey(_ key: Value) throws(TemplateError) -> Text {
        switch key {
        case .text(let text): text
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): Text(String(value))
        case .double(let value): jsonNumber(value)
        default: throw fail("\(describe(key)) cannot be a key in JSON")
        }
    }

    private func jsonNumber(_ value: Double) -> Text {
        value.isNaN
            ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : Text(FloatText.shortest(value))
    }

    private func newLine(_ style: Style, _ builder: inout TextBuilder, _ level: Int) throws(TemplateError) {
        guard let indent = style.indent else { return }
        try builder.append("\n")
        for _ in 0..<level { try builder.append(indent) }
    }

    private func jsonString(_ text: Text, _ style: Style, _ builder: inout TextBuilder) throws(TemplateError) {
        var result: [UInt8] = [UInt8(ascii: "\"")]
        result.reserveCapacity(text.bytes.count + 2)
        try charge(text.bytes.count)
        for byte in text.bytes {
            switch byte {
            case UInt8(ascii: "\""): result += "\\\"".utf8
            case UInt8(ascii: "\\"): result += "\\\\".utf8
            case 0x0A: result += "\\n".utf8
            case 0x0D: result += "\\r".utf8
            case 0x09: result += "\\t".utf8
            case 0x0C: result += "\\f".utf8
            case 0x08: result += "\\b".utf8
            case 0..<0x20: result += unicodeEscape(UInt16(byte))
            default: result.append(byte)
            }
        }
        result.append(UInt8(ascii: "\""))
        guard style.isASCII, !text.isASCII else { return try builder.append(result) }
        var ascii: [UInt8] = []
        for scalar in Text(result).scalars {
            if scalar.isASCII {
                ascii.append(UInt8(scalar.value))
            } else {
                for unit in UTF16.encode(scalar).map(Array.init) ?? [] { ascii += unicodeEscape(unit) }
            }
        }
        try builder.append(ascii)
    }

    private func unicodeEscape(_ unit: UInt16) -> [UInt8] {
        let hex = String(unit, radix: 16)
        return Array("\\u\(String(repeating: "0", count: 4 - hex.utf8.count))\(hex)".utf8)
    }
}
