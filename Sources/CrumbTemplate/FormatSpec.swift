/// One conversion of `%` formatting, or one `{}` field with its specification.
struct FormatSpec {
    var fill: Unicode.Scalar = " "
    /// "<", ">", "^" or "=" (padding behind the sign); nil for the type's own.
    var alignment: Unicode.Scalar?
    /// "+", " " or "-".
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var width = 0
    /// "," or "_".
    var grouping: Unicode.Scalar?
    var precision: Int?
    var type: Unicode.Scalar?
}

extension Interpreter {
    /// An integer in `radix` with sign, prefix, grouping and padding.
    func formatted(_ value: Int, radix: Int, _ type: Unicode.Scalar, _ spec: FormatSpec) throws(TemplateError) -> Text {
        var digits = String(value.magnitude, radix: radix, uppercase: type == "X")
        if let precision = spec.precision, precision > digits.utf8.count {
            try charge(string: precision)
            digits = String(repeating: "0", count: precision - digits.utf8.count) + digits
        }
        var prefix = value < 0 ? "-" : spec.sign == "-" ? "" : String(spec.sign)
        if spec.isAlternate {
            switch radix {
            case 2: prefix += "0b"
            case 8: prefix += "0o"
            case 16: prefix += type == "X" ? "0X" : "0x"
            default: break
            }
        }
        return try padded(prefix, digits, "", spec, groupSize: radix == 10 ? 3 : 4)
    }

    /// A float by one of the conversions e, f, g (either case).
    func formatted(_ value: Double, _ type: Unicode.Scalar, _ spec: FormatSpec) throws(TemplateError) -> Text {
        let precision = spec.precision ?? 6
        guard precision <= FloatText.maximalPrecision else {
            throw fail("a format asks for \(precision) digits, more than the \(FloatText.maximalPrecision) allowed")
        }
        let lower = Character(Unicode.Scalar(UInt8(type.value) | 0x20))
        var text =
            value.isFinite
            ? FloatText.formatted(value.magnitude, lower, precision: precision, isAlternate: spec.isAlternate)
            : value.isNaN ? "nan" : "inf"
        if type.properties.isUppercase { text = text.uppercased() }
        let prefix = value.sign == .minus && !value.isNaN ? "-" : spec.sign == "-" ? "" : String(spec.sign)
        return try padded(prefix, text, spec)
    }

    /// A float's text without its sign, cut into whole part and rest for grouping.
    func padded(_ prefix: String, _ text: String, _ spec: FormatSpec) throws(TemplateError) -> Text {
        let whole = text.prefix { $0.isASCII && $0.isNumber }
        return try padded(prefix, String(whole), String(text.dropFirst(whole.count)), spec, groupSize: 3)
    }

    private func padded(
        _ prefix: String, _ digits: String, _ rest: String, _ spec: FormatSpec, groupSize: Int
    ) throws(TemplateError) -> Text {
        var digits = digits
        if let grouping = spec.grouping, !digits.isEmpty {
            if spec.fill == "0", spec.alignment == "=" {
                // Zeros that fill the width are grouped along with the digits.
                try charge(string: spec.width)
                func grouped(_ count: Int) -> Int { count + (count - 1) / groupSize }
                let length = digits.utf8.count
                var count = length
                while grouped(count) + prefix.utf8.count + rest.utf8.count < spec.width { count += 1 }
                digits = String(repeating: "0", count: count - length) + digits
            }
            var grouped = ""
            for (index, digit) in digits.enumerated() {
                if index > 0, (digits.utf8.count - index) % groupSize == 0 { grouped.unicodeScalars.append(grouping) }
                grouped.append(digit)
            }
            digits = grouped
        }
        let body = Text(digits + rest)
        guard spec.alignment == "=" else { return try padded(Text(prefix + digits + rest), spec, standard: ">") }
        var inner = spec
        inner.alignment = ">"
        inner.width = max(0, spec.width - prefix.utf8.count)
        return Text(prefix.utf8 + (try padded(body, inner, standard: ">")).bytes)
    }

    /// A text filled up to the width.
    func padded(_ text: Text, _ spec: FormatSpec, standard: Unicode.Scalar) throws(TemplateError) -> Text {
        let missing = spec.width - text.count
        guard missing > 0 else { return text }
        let fill = Text(spec.fill)
        let (bytes, overflow) = missing.multipliedReportingOverflow(by: fill.bytes.count)
        try charge(string: overflow ? .max : bytes + text.bytes.count)
        let left: Int
        switch spec.alignment ?? standard {
        case "<": left = 0
        case "^": left = missing / 2
        default: left = missing
        }
        var result = Text()
        for _ in 0..<left { result.bytes += fill.bytes }
        result.bytes += text.bytes
        for _ in 0..<(missing - left) { result.bytes += fill.bytes }
        return result
    }

    /// A specification of `str.format`: `[[fill]align][sign][#][0][width][grouping][.precision][type]`.
    func parsed(_ specification: Text, isNumber: Bool) throws(TemplateError) -> FormatSpec {
        var spec = FormatSpec()
        let scalars = Array(specification.scalars)
        var index = 0
        var isFillGiven = false
        let alignments: [Unicode.Scalar] = ["<", ">", "^", "="]
        if scalars.count > 1, alignments.contains(scalars[1]) {
            spec.fill = scalars[0]
            spec.alignment = scalars[1]
            isFillGiven = true
            index = 2
        } else if let first = scalars.first, alignments.contains(first) {
            spec.alignment = first
            index = 1
        }
        func take(_ allowed: [Unicode.Scalar]) -> Unicode.Scalar? {
            guard index < scalars.count, allowed.contains(scalars[index]) else { return nil }
            index += 1
            return scalars[index - 1]
        }
        spec.sign = take(["+", "-", " "]) ?? "-"
        spec.isAlternate = take(["#"]) != nil
        if take(["0"]) != nil, !isFillGiven {
            spec.fill = "0"
            if isNumber { spec.alignment = spec.alignment ?? "=" }
        }
        spec.width = try digits(scalars, &index) ?? 0
        spec.grouping = take([",", "_"])
        if take(["."]) != nil {
            guard let precision = try digits(scalars, &index) else {
                throw fail("the format '\(specification)' misses the number behind '.'")
            }
            spec.precision = precision
        }
        if index < scalars.count {
            spec.type = scalars[index]
            index += 1
        }
        guard index == scalars.count else { throw fail("the format '\(specification)' is malformed") }
        return spec
    }
}
