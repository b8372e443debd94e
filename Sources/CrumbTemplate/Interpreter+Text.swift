extension Interpreter {
    /// What printing a value writes: Python's `str`.
    func text(of value: Value) throws(TemplateError) -> Text {
        switch value {
        case .text(let text): return text
        case .undefined: return ""
        default: return try representation(of: value)
        }
    }

    /// Python's `repr`, as values show inside of lists and dictionaries.
    func representation(of value: Value) throws(TemplateError) -> Text {
        var builder = TextBuilder(self)
        try represent(value, &builder, depth: 0)
        return builder.text
    }

    private func represent(_ value: Value, _ builder: inout TextBuilder, depth: Int) throws(TemplateError) {
        try step()
        // Namespaces may hold each other in a circle.
        try check(depth: depth)
        switch value {
        case .undefined: try builder.append("Undefined")
        case .null: try builder.append("None")
        case .bool(let value): try builder.append(value ? "True" : "False")
        case .integer(let value): try builder.append(Text(String(value)))
        case .double(let value): try builder.append(Text(FloatText.shortest(value)))
        case .text(let text): try represent(text, &builder)
        case .list(let list): try represent(list.items, "[", "]", &builder, depth)
        case .tuple(let list): try represent(list.items, "(", list.items.count == 1 ? ",)" : ")", &builder, depth)
        case .dictionary(let dictionary): try represent(dictionary, &builder, depth)
        case .range(let range):
            let step = range.step == 1 ? "" : ", \(range.step)"
            try builder.append(Text("range(\(range.start), \(range.stop)\(step))"))
        case .view(let view):
            try charge(elements: view.dictionary.count)
            let name: Text =
                switch view.kind {
                case .keys: "dict_keys(["
                case .values: "dict_values(["
                case .items: "dict_items(["
                }
            try represent(view.items(), name, "])", &builder, depth)
        case .namespace(let namespace):
            try builder.append("<Namespace ")
            try represent(namespace.dictionary, &builder, depth)
            try builder.append(">")
        case .loop(let loop): try builder.append(Text("<LoopContext \(loop.index0 + 1)/\(try loop.count(self))>"))
        case .macro(let macro):
            try builder.append("<Macro ")
            if let name = macro.definition.name {
                try represent(name, &builder)
            } else {
                try builder.append("anonymous")
            }
            try builder.append(">")
        case .iterator, .method, .function, .cycler, .joiner:
            try builder.append(Text("<\(value.typeName)>"))
        }
    }

    private func represent(
        _ items: [Value], _ open: Text, _ close: Text, _ builder: inout TextBuilder, _ depth: Int
    ) throws(TemplateError) {
        try builder.append(open)
        for (index, item) in items.enumerated() {
            if index > 0 { try builder.append(", ") }
            try represent(item, &builder, depth: depth + 1)
        }
        try builder.append(close)
    }

    private func represent(
        _ dictionary: ValueDictionary, _ builder: inout TextBuilder, _ depth: Int
    ) throws(TemplateError) {
        try builder.append("{")
        for index in 0..<dictionary.count {
            if index > 0 { try builder.append(", ") }
            try represent(dictionary.keys[index], &builder, depth: depth + 1)
            try builder.append(": ")
            try represent(dictionary.values[index], &builder, depth: depth + 1)
        }
        try builder.append("}")
    }

    /// A string in quotes: single ones, unless only these occur in it.
    private func represent(_ text: Text, _ builder: inout TextBuilder) throws(TemplateError) {
        try builder.append(text.representation())
    }
}

extension Text {
    /// Python's `repr` of a string; with `asciiOnly`, its `ascii`.
    func representation(asciiOnly: Bool = false) -> Text {
        let hasSingle = bytes.contains(UInt8(ascii: "'"))
        let quote: UInt8 = hasSingle && !bytes.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        var result: [UInt8] = [quote]
        for scalar in scalars {
            switch scalar {
            case "\n": result += "\\n".utf8
            case "\r": result += "\\r".utf8
            case "\t": result += "\\t".utf8
            case "\\": result += "\\\\".utf8
            case _ where scalar.value == UInt32(quote): result += [UInt8(ascii: "\\"), quote]
            case _ where scalar.value < 0x7F && scalar.value >= 0x20: result.append(UInt8(scalar.value))
            case _ where scalar.value >= 0x80 && !asciiOnly && scalar.isPrintable:
                result += UTF8.encode(scalar).map(Array.init) ?? []
            default:
                let hex = String(scalar.value, radix: 16)
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                result += "\\\(letter)\(String(repeating: "0", count: width - hex.utf8.count))\(hex)".utf8
            }
        }
        result.append(quote)
        return Text(result)
    }
}
