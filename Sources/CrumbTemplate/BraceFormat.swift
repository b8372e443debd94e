extension Interpreter {
    /// `format.format(...)`: Python's brace-style formatting.
    func braceFormat(_ format: Text, _ arguments: Arguments) throws(TemplateError) -> Text {
        var numbering = FieldNumbering()
        return try braceFormat(format, arguments, &numbering, level: 0)
    }

    private func braceFormat(
        _ format: Text, _ arguments: Arguments, _ numbering: inout FieldNumbering, level: Int
    ) throws(TemplateError) -> Text {
        guard level < 3 else { throw fail("format() nests its fields too deep") }
        try charge(4 * format.bytes.count)
        var builder = TextBuilder(self)
        let scalars = Array(format.scalars)
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            let isDoubled = index < scalars.count && scalars[index] == scalar
            if scalar == "{" || scalar == "}", isDoubled {
                index += 1
                try builder.append(Text(scalar))
            } else if scalar == "}" {
                throw fail("format() meets a single '}'")
            } else if scalar == "{" {
                let field = try fieldText(scalars, &index)
                try builder.append(try formatField(field, arguments, &numbering, level: level))
            } else {
                try builder.append(Text(scalar))
            }
        }
        return builder.text
    }

    /// What stands between `{` (already read) and its `}`.
    private func fieldText(_ scalars: [Unicode.Scalar], _ index: inout Int) throws(TemplateError) -> [Unicode.Scalar] {
        var open = 1
        let start = index
        while index < scalars.count {
            if scalars[index] == "{" { open += 1 }
            if scalars[index] == "}" { open -= 1 }
            index += 1
            if open == 0 { return Array(scalars[start..<(index - 1)]) }
        }
        throw fail("format() meets a '{' that is never closed")
    }

    private func formatField(
        _ field: [Unicode.Scalar], _ arguments: Arguments, _ numbering: inout FieldNumbering, level: Int
    ) throws(TemplateError) -> Text {
        var end = 0
        var brackets = 0
        while end < field.count, brackets > 0 || (field[end] != ":" && field[end] != "!") {
            if field[end] == "[" { brackets += 1 }
            if field[end] == "]" { brackets -= 1 }
            end += 1
        }
        var value = try fieldValue(Array(field[..<end]), arguments, &numbering)
        var rest = field[end...]
        if rest.first == "!" {
            guard let conversion = rest.dropFirst().first else { throw fail("format() misses the letter behind '!'") }
            switch conversion {
            case "r": value = .text(try representation(of: value))
            case "s": value = .text(try text(of: value))
            case "a": value = .text(try asciiRepresentation(of: value))
            default: throw fail("format() knows no conversion '!\(conversion)'")
            }
            rest = rest.dropFirst(2)
            guard rest.isEmpty || rest.first == ":" else { throw fail("format() expects ':' behind a conversion") }
        }
        var view = String.UnicodeScalarView()
        view.append(contentsOf: rest.dropFirst())
        let specification = try braceFormat(Text(String(view)), arguments, &numbering, level: level + 1)
        return try formatted(value, specification)
    }

    private func fieldValue(
        _ name: [Unicode.Scalar], _ arguments: Arguments, _ numbering: inout FieldNumbering
    ) throws(TemplateError) -> Value {
        func text(_ scalars: ArraySlice<Unicode.Scalar>) -> Text {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars)
            return Text(String(view))
        }
        let head = name.prefix { $0 != "." && $0 != "[" }
        let number = head.isEmpty ? nil : Int(text(head).string)
        var value: Value
        if name.isEmpty || number != nil {
            // Only a field that is nothing but its number, or nothing at all, takes part in the numbering.
            guard let position = name.count == head.count ? numbering.position(number) : number else {
                throw fail("format() mixes numbered fields with fields without number")
            }
            guard arguments.positional.indices.contains(position) else {
                throw fail("format() has no argument \(position)")
            }
            value = arguments.positional[position]
        } else {
            guard let found = arguments.named(text(head)) else {
                throw fail("format() has no argument '\(text(head))'")
            }
            value = found
        }
        var rest = name[head.endIndex...]
        while let sign = rest.first {
            rest = rest.dropFirst()
            let part = sign == "[" ? rest.prefix { $0 != "]" } : rest.prefix { $0 != "." && $0 != "[" }
            guard !part.isEmpty, sign == "." || part.endIndex < rest.endIndex else {
                throw fail("format() meets a malformed field")
            }
            rest = rest[part.endIndex...]
            if sign == "[" {
                rest = rest.dropFirst()
                guard rest.isEmpty || rest.first == "." || rest.first == "[" else {
                    throw fail("format() meets a malformed field")
                }
                let key = text(part)
                value = try item(Int(key.string).map { .integer($0) } ?? .text(key), of: value)
            } else {
                value = try attribute(Attribute(text(part)), of: value)
            }
        }
        return value
    }

    // MARK: Specifications

    /// Python's `format(value, specification)`.
    private func formatted(_ value: Value, _ specification: Text) throws(TemplateError) -> Text {
        if specification.isEmpty { return try text(of: value) }
        let spec = try parsed(specification, isNumber: Number(value) != nil)
        switch value {
        case .text(let text):
            guard spec.type == nil || spec.type == "s", spec.sign == "-", !spec.isAlternate, spec.grouping == nil,
                spec.alignment != "="
            else { throw fail("the format '\(specification)' does not suit a string") }
            return try padded(spec.precision.map { text.slice(0, min($0, text.count)) } ?? text, spec, standard: "<")
        case .bool, .integer, .double:
            guard let number = Number(value) else { return Text() }
            return try formatted(number, spec, specification)
        default: throw fail("the format '\(specification)' does not suit \(describe(value))")
        }
    }

    private func formatted(_ number: Number, _ spec: FormatSpec, _ shown: Text) throws(TemplateError) -> Text {
        var spec = spec
        if case .integer(let integer) = number {
            switch spec.type {
            case nil, "d", "n", "b", "o", "x", "X":
                guard spec.precision == nil else {
                    throw fail("the format '\(shown)' gives digits behind the point of an integer")
                }
                let radix = ["b": 2, "o": 8, "x": 16, "X": 16][spec.type ?? "d"] ?? 10
                return try formatted(integer, radix: radix, spec.type ?? "d", spec)
            case "c":
                guard let scalar = UInt32(exactly: integer).flatMap(Unicode.Scalar.init) else {
                    throw fail("\(integer) is the code point of no character")
                }
                return try padded(Text(scalar), spec, standard: "<")
            default: break
            }
        }
        let value = number.double
        switch spec.type {
        case "e", "E", "f", "F", "g", "G": return try formatted(value, spec.type ?? "g", spec)
        case "n": return try formatted(value, "g", spec)
        case "%":
            spec.precision = spec.precision ?? 6
            guard let precision = spec.precision, precision <= FloatText.maximalPrecision else {
                throw fail("the format '\(shown)' asks for too many digits")
            }
            let text = FloatText.formatted(
                (value * 100).magnitude, "f", precision: precision, isAlternate: spec.isAlternate)
            return try padded(signText(value, spec), text + "%", spec)
        case nil:
            guard let precision = spec.precision else {
                return try padded(signText(value, spec), FloatText.shortest(value.magnitude), spec)
            }
            guard precision <= FloatText.maximalPrecision else {
                throw fail("the format '\(shown)' asks for too many digits")
            }
            var text = FloatText.formatted(value.magnitude, "g", precision: max(precision, 1))
            // Like 'g', but a whole number keeps its point; with one digit less before the exponent starts.
            if !text.contains("e"), !text.contains(".") {
                if text.utf8.count >= max(precision, 1) {
                    text = FloatText.formatted(value.magnitude, "e", precision: max(precision, 1) - 1)
                    text = trimmedExponent(text)
                } else {
                    text += ".0"
                }
            }
            return try padded(signText(value, spec), text, spec)
        default: throw fail("the format '\(shown)' does not suit a number")
        }
    }

    private func signText(_ value: Double, _ spec: FormatSpec) -> String {
        value.sign == .minus && !value.isNaN ? "-" : spec.sign == "-" ? "" : String(spec.sign)
    }

    /// "1.500e+06" as "1.5e+06".
    private func trimmedExponent(_ text: String) -> String {
        let parts = text.split(separator: "e", maxSplits: 1)
        guard parts.count == 2, parts[0].contains(".") else { return text }
        var mantissa = parts[0]
        while mantissa.last == "0" { mantissa.removeLast() }
        if mantissa.last == "." { mantissa.removeLast() }
        return "\(mantissa)e\(parts[1])"
    }
}

/// Fields of one format are numbered all by themselves or all by hand.
private struct FieldNumbering {
    private var next = 0
    private var isManual: Bool?

    /// The position of the next field; nil if both ways are mixed.
    mutating func position(_ number: Int?) -> Int? {
        if isManual ?? (number != nil) != (number != nil) { return nil }
        isManual = number != nil
        guard number == nil else { return number }
        next += 1
        return next - 1
    }
}
