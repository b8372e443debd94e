import Glibc

/// Floats as Python writes them.
enum FloatText {
    /// The shortest text that reads back as the same float: Python's `repr`.
    static func shortest(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        let (digits, exponent) = decimal(value.magnitude)
        let sign = value.sign == .minus ? "-" : ""
        if exponent < -4 || exponent >= 16 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
            return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(power)"
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        if digits.count <= exponent + 1 {
            return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count) + ".0"
        }
        return "\(sign)\(digits.prefix(exponent + 1)).\(digits.dropFirst(exponent + 1))"
    }

    /// The shortest digits that tell a positive float apart, and the power of ten of the first of them.
    private static func decimal(_ value: Double) -> (digits: String, exponent: Int) {
        let text = value.description
        let parts = text.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var exponent = (parts.count > 1 ? Int(parts[1]) ?? 0 : 0) + mantissa[0].count - 1
        var digits = mantissa.joined()[...]
        while digits.count > 1, digits.first == "0" {
            digits = digits.dropFirst()
            exponent -= 1
        }
        while digits.count > 1, digits.last == "0" { digits = digits.dropLast() }
        return digits == "0" ? ("0", 0) : (String(digits), exponent)
    }

    /// C's `printf` of one float with one of the conversions e, f and g; `precision` is at most `maximalPrecision`.
    static func formatted(_ value: Double, _ conversion: Character, precision: Int, isAlternate: Bool = false) -> String
    {
        let format = "%\(isAlternate ? "#" : "").\(precision)\(conversion)"
        // The longest text is that of the largest float: 309 digits before the point.
        var buffer = [CChar](repeating: 0, count: precision + 400)
        let count = unsafe withVaList([value]) { arguments in
            unsafe vsnprintf(&buffer, buffer.count, format, arguments)
        }
        return String(decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Bound on the digits a template may ask for.
    static let maximalPrecision = 1000

    /// Python's `round(value, digits)` of a float: correctly rounded, ties of the exact value to even.
    static func rounded(_ value: Double, digits: Int) -> Double {
        guard value.isFinite, digits <= 323 else { return value }
        if digits < 0 {
            guard digits > -309 else { return 0 * value }
            let power = pow(10.0, Double(-digits))
            return (value / power).rounded(.toNearestOrEven) * power
        }
        return Double(formatted(value, "f", precision: digits)) ?? value
    }
}
