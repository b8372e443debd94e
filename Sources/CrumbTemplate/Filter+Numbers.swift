import Glibc

extension Interpreter {
    func numberFilter(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        switch filter {
        case .abs:
            _ = try bind(arguments, to: [], of: name)
            switch Number(value) {
            case .integer(let number)?:
                return number < 0 ? try signed(.integer(number), isNegative: true) : .integer(number)
            case .double(let number)?: return .double(number.magnitude)
            case nil: throw fail("\(name) needs a number, not \(describe(value))")
            }
        case .float:
            let standard = try bind(arguments, to: ["default"], of: name)[0] ?? .double(0)
            return try float(value).map { .double($0) } ?? standard
        case .int:
            let values = try bind(arguments, to: ["default", "base"], of: name)
            let base = try integer(values[1] ?? .integer(10), name)
            return try int(value, base: base) ?? values[0] ?? .integer(0)
        case .round: return try round(value, arguments, name)
        case .filesizeformat: return .text(try fileSize(value, arguments, name))
        default: return try sum(value, arguments, name)
        }
    }

    /// Python's `float(value)`; nil where it raises a type or value error.
    private func float(_ value: Value) throws(TemplateError) -> Double? {
        if let number = Number(value) { return number.double }
        switch value {
        case .undefined(let undefined): throw fail("\(undefined.reason), so it is no number")
        case .text(let text): return NumberText.double(text)
        default: return nil
        }
    }

    /// Python's `int(value)`, then `int(float(value))`; nil where both fail.
    private func int(_ value: Value, base: Int) throws(TemplateError) -> Value? {
        switch value {
        case .bool(let value): return .integer(value ? 1 : 0)
        case .integer: return value
        case .double(let number) where number.isInfinite: throw fail("an infinite number is no integer")
        case .text(let text):
            switch NumberText.integer(text, base: base) {
            case .value(let integer): return .integer(integer)
            case .tooLarge: throw fail("the integer \(text.string.prefix(40)) does not fit 64 bits")
            case .malformed: break
            }
        default: break
        }
        guard let number = try float(value), number.isFinite else { return nil }
        guard let integer = Int(exactly: number.rounded(.towardZero)) else {
            throw fail("the number \(number) does not fit an integer of 64 bits")
        }
        return .integer(integer)
    }

    private func round(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value {
        let values = try bind(arguments, to: ["precision", "method"], of: name)
        let precision = try integer(values[0] ?? .integer(0), name)
        let method = try string(values[1] ?? .text("common"), name)
        guard ["common", "ceil", "floor"].contains(method) else { throw fail("\(name) knows no method '\(method)'") }
        guard let number = Number(value) else { throw fail("\(name) needs a number, not \(describe(value))") }
        guard method == "common" else {
            // 10 ** precision is an integer as long as the precision is not negative.
            let power = pow(10, Double(max(-400, min(precision, 400))))
            guard power > 0, power.isFinite else { throw fail("\(name) cannot keep \(precision) digits") }
            let scaled = number.double * power
            guard scaled.isFinite else { throw fail("\(name) meets a number that is too large") }
            // Python rounds to an integer here, which knows no -0.
            let whole = (method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) + 0
            return .double(whole / power)
        }
        switch number {
        case .double(let number): return .double(FloatText.rounded(number, digits: precision))
        case .integer(let number):
            guard precision < 0 else { return .integer(number) }
            guard precision > -19 else { return .integer(0) }
            var power = 1
            for _ in 0..<(-precision) { power *= 10 }
            let (quotient, remainder) = number.magnitude.quotientAndRemainder(dividingBy: UInt(power))
            let twice = 2 * remainder
            let up = twice > UInt(power) || (twice == UInt(power) && quotient & 1 == 1)
            let (product, overflow) = (quotient + (up ? 1 : 0)).multipliedReportingOverflow(by: UInt(power))
            guard !overflow, let magnitude = Int(exactly: product) else {
                throw fail("\(name) meets a number that is too large")
            }
            return .integer(number < 0 ? -magnitude : magnitude)
        }
    }

    private func sum(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Value {
        let values = try bind(arguments, to: ["attribute", "start"], of: name)
        let path = try path(values[0])
        var total = values[1] ?? .integer(0)
        if case .text = total { throw fail("\(name) does not sum strings, 'join' puts them together") }
        for element in try elements(of: value) {
            total = try arithmetic(
                .add, total,
                try path.map { path throws(TemplateError) in try self.value(at: path, of: element) } ?? element)
        }
        return total
    }

    private func fileSize(_ value: Value, _ arguments: Arguments, _ name: String) throws(TemplateError) -> Text {
        let isBinary = try bind(arguments, to: ["binary"], of: name)[0]?.isTrue ?? false
        guard let bytes = try float(value), bytes.isFinite else {
            throw fail("\(name) needs a number, not \(describe(value))")
        }
        let base: Double = isBinary ? 1024 : 1000
        if bytes == 1 { return "1 Byte" }
        if bytes < base { return Text("\(FloatText.formatted(bytes.rounded(.towardZero), "f", precision: 0)) Bytes") }
        let prefixes = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
        var index = 0
        while index < prefixes.count - 1, bytes >= pow(base, Double(index + 2)) { index += 1 }
        let number = FloatText.formatted(base * bytes / pow(base, Double(index + 2)), "f", precision: 1)
        let prefix = isBinary ? prefixes[index].uppercased() + "i" : prefixes[index]
        return Text("\(number) \(prefix)B")
    }
}

/// Numbers in strings, as Python's `int` and `float` read them.
enum NumberText {
    enum Integer {
        case value(Int)
        case tooLarge
        case malformed
    }

    static func integer(_ text: Text, base: Int) -> Integer {
        guard base == 0 || (2...36).contains(base) else { return .malformed }
        var bytes = text.trimmed(\.isPythonSpace).bytes[...]
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
        var radix = base
        var hasPrefix = false
        if bytes.first == UInt8(ascii: "0"), bytes.count > 1 {
            let letter = bytes[bytes.startIndex + 1] | 0x20
            let found =
                letter == UInt8(ascii: "x") ? 16 : letter == UInt8(ascii: "o") ? 8 : letter == UInt8(ascii: "b") ? 2 : 0
            if found != 0, base == found || base == 0 {
                radix = found
                hasPrefix = true
                bytes = bytes.dropFirst(2)
            }
        }
        if radix == 0 { radix = 10 }
        if hasPrefix, bytes.first == UInt8(ascii: "_") { bytes = bytes.dropFirst() }
        guard let digits = withoutUnderscores(bytes, { $0.isDigit || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) }) else {
            return .malformed
        }
        for byte in digits.utf8 {
            let value = byte.isDigit ? Int(byte) - 0x30 : Int(byte | 0x20) - 0x61 + 10
            guard value < radix else { return .malformed }
        }
        // With base 0 a leading zero is no way to write a decimal number.
        if base == 0, !hasPrefix, digits.first == "0", digits.contains(where: { $0 != "0" }) { return .malformed }
        guard let value = Int((isNegative ? "-" : "") + digits, radix: radix) else { return .tooLarge }
        return .value(value)
    }

    static func double(_ text: Text) -> Double? {
        var bytes = text.trimmed(\.isPythonSpace).bytes[...]
        var sign = 1.0
        if bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+") {
            sign = bytes.first == UInt8(ascii: "-") ? -1 : 1
            bytes = bytes.dropFirst()
        }
        switch String(decoding: bytes, as: UTF8.self).lowercased() {
        case "inf", "infinity": return sign * .infinity
        case "nan": return .nan
        default: break
        }
        guard let first = bytes.first, first.isDigit || first == UInt8(ascii: "."),
            bytes.allSatisfy({ $0.isDigit || ".eE+-_".utf8.contains($0) })
        else { return nil }
        // Underscores stand only between digits.
        for index in bytes.indices where bytes[index] == UInt8(ascii: "_") {
            guard index > bytes.startIndex, index + 1 < bytes.endIndex, bytes[index - 1].isDigit,
                bytes[index + 1].isDigit
            else { return nil }
        }
        let plain = String(decoding: bytes.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        return Double(plain).map { sign * $0 }
    }

    private static func withoutUnderscores(_ bytes: ArraySlice<UInt8>, _ isDigit: (UInt8) -> Bool) -> String? {
        var result: [UInt8] = []
        var lastWasDigit = false
        for byte in bytes {
            if isDigit(byte) {
                result.append(byte)
                lastWasDigit = true
            } else {
                guard byte == UInt8(ascii: "_"), lastWasDigit else { return nil }
                lastWasDigit = false
            }
        }
        return lastWasDigit ? String(decoding: result, as: UTF8.self) : nil
    }
}
