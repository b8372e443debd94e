extension Interpreter {
    /// `format % value`, Python's printf-style formatting.
    func percentFormat(_ format: Text, _ value: Value) throws(TemplateError) -> Text {
        var arguments: [Value] = [value]
        if case .tuple(let list) = value { arguments = list.items }
        var next = 0
        var usesNames = false
        var builder = TextBuilder(self)
        let scalars = Array(format.scalars)
        try charge(4 * scalars.count)
        var index = 0

        func argument() throws(TemplateError) -> Value {
            guard next < arguments.count else { throw fail("'%' formatting has too few values for its format") }
            next += 1
            return arguments[next - 1]
        }
        func number() throws(TemplateError) -> Int? {
            if index < scalars.count, scalars[index] == "*" {
                index += 1
                return try integer(try argument(), "'*' in a format")
            }
            return try digits(scalars, &index)
        }

        while index < scalars.count {
            guard scalars[index] == "%" else {
                try builder.append(UTF8.encode(scalars[index]).map(Array.init) ?? [])
                index += 1
                continue
            }
            index += 1
            if index < scalars.count, scalars[index] == "%" {
                index += 1
                try builder.append("%")
                continue
            }
            var spec = FormatSpec()
            var named: Value?
            if index < scalars.count, scalars[index] == "(" {
                let name = try mappingKey(scalars, &index)
                guard case .dictionary(let dictionary) = value else { throw fail("'%(\(name))' needs a dictionary") }
                guard let found = dictionary[.text(name)] else { throw fail("'%' formatting misses the key '\(name)'") }
                named = found
                usesNames = true
            }
            var zeroes = false
            flags: while index < scalars.count {
                switch scalars[index] {
                case "-": spec.alignment = "<"
                case "+": spec.sign = "+"
                case " ": if spec.sign != "+" { spec.sign = " " }
                case "#": spec.isAlternate = true
                case "0": zeroes = true
                default: break flags
                }
                index += 1
            }
            if let width = try number() {
                if width < 0 { spec.alignment = "<" }
                spec.width = width == .min ? .max : abs(width)
            }
            if index < scalars.count, scalars[index] == "." {
                index += 1
                spec.precision = max(0, try number() ?? 0)
            }
            while index < scalars.count, "hlL".unicodeScalars.contains(scalars[index]) { index += 1 }
            guard index < scalars.count else { throw fail("'%' formatting meets an incomplete format") }
            let type = scalars[index]
            index += 1
            if zeroes, spec.alignment == nil, "diuxXofFeEgG".unicodeScalars.contains(type) {
                spec.fill = "0"
                spec.alignment = "="
            }
            let operand = if let named { named } else { try argument() }
            try builder.append(try converted(operand, type, spec))
        }
        if !usesNames, next < arguments.count {
            // What can be indexed might have been meant for named fields.
            switch value {
            case .dictionary, .list, .range, .undefined: return builder.text
            default: break
            }
            throw fail("'%' formatting has more values than its format takes")
        }
        return builder.text
    }

    private func mappingKey(_ scalars: [Unicode.Scalar], _ index: inout Int) throws(TemplateError) -> Text {
        var open = 1
        index += 1
        let start = index
        while index < scalars.count {
            if scalars[index] == "(" { open += 1 }
            if scalars[index] == ")" { open -= 1 }
            index += 1
            if open == 0 {
                var view = String.UnicodeScalarView()
                view.append(contentsOf: scalars[start..<(index - 1)])
                return Text(String(view))
            }
        }
        throw fail("'%(' in a format is never closed")
    }

    /// A run of decimal digits; nil if there is none.
    func digits(_ scalars: [Unicode.Scalar], _ index: inout Int) throws(TemplateError) -> Int? {
        var value: Int?
        while index < scalars.count, (0x30...0x39).contains(scalars[index].value) {
            let (product, overflow) = (value ?? 0).multipliedReportingOverflow(by: 10)
            guard !overflow, product < 1 << 40 else { throw fail("a number in a format is too large") }
            value = product + Int(scalars[index].value - 0x30)
            index += 1
        }
        return value
    }

    private func converted(_ value: Value, _ type: Unicode.Scalar, _ spec: FormatSpec) throws(TemplateError) -> Text {
        switch type {
        case "s", "r", "a":
            let text =
                type == "s"
                ? try text(of: value)
                : type == "r" ? try representation(of: value) : try asciiRepresentation(of: value)
            return try padded(spec.precision.map { text.slice(0, min($0, text.count)) } ?? text, spec, standard: ">")
        case "c":
            if case .text(let text) = value, text.count == 1 { return try padded(text, spec, standard: ">") }
            guard case .integer(let code)? = Number(value),
                let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init)
            else {
                throw fail("'%c' needs a code point or a string of one character")
            }
            return try padded(Text(scalar), spec, standard: ">")
        case "d", "i", "u":
            guard let number = Number(value) else { throw fail("'%\(type)' needs a number, not \(describe(value))") }
            let integer: Int
            switch number {
            case .integer(let value): integer = value
            case .double(let value):
                guard let whole = Int(exactly: value.rounded(.towardZero)) else {
                    throw fail("'%\(type)' needs a number that fits 64 bits")
                }
                integer = whole
            }
            return try formatted(integer, radix: 10, type, spec)
        case "x", "X", "o":
            guard case .integer(let integer)? = Number(value) else {
                throw fail("'%\(type)' needs an integer, not \(describe(value))")
            }
            return try formatted(integer, radix: type == "o" ? 8 : 16, type, spec)
        case "e", "E", "f", "F", "g", "G":
            guard let number = Number(value) else { throw fail("'%\(type)' needs a number, not \(describe(value))") }
            return try formatted(number.double, type, spec)
        default: throw fail("'%\(type)' is no conversion of '%' formatting")
        }
    }

    func asciiRepresentation(of value: Value) throws(TemplateError) -> Text {
        var result = Text()
        for scalar in try representation(of: value).scalars {
            if scalar.isASCII {
                result.bytes.append(UInt8(scalar.value))
            } else {
                // The escape alone, without the quotes around it.
                result.bytes += Text(scalar).representation(asciiOnly: true).bytes.dropFirst().dropLast()
            }
        }
        return result
    }
}
