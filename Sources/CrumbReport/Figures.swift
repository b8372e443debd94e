import Glibc

/// Numbers as people read them. The decimal point is a point whatever the locale.
package enum Figures {
    /// A number with a fixed count of decimal places: `2.77`.
    package static func decimal(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        var buffer = [CChar](repeating: 0, count: 400)
        let length = withVaList([Int32(min(max(places, 0), 17)), value]) { arguments in
            vsnprintf(&buffer, buffer.count, "%.*f", arguments)
        }
        let text = String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // -0.00 would look like a measured sign.
        return text.hasPrefix("-") && text.allSatisfy({ "-0.".contains($0) }) ? String(text.dropFirst()) : text
    }

    /// A number with about this many significant digits and no exponent: `0.0123`, `12.3`, `12345`.
    package static func significant(_ value: Double, digits: Int = 3) -> String {
        guard value.isFinite, value != 0 else { return decimal(value, places: 0) }
        let magnitude = Int(log10(value.magnitude).rounded(.down))
        return decimal(value, places: min(max(digits - 1 - magnitude, 0), 12))
    }

    /// A whole number with its thousands apart: `134,515,008`.
    package static func count(_ value: Int) -> String {
        let digits = String(value.magnitude)
        var text = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    /// An amount of memory or of a file in powers of 1024: `512 B`, `93.8 MiB`.
    package static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var value = Double(count)
        var unit = 0
        while value.magnitude >= 1023.95, unit + 1 < units.count {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(decimal(value, places: value < 99.95 ? 2 : 1)) \(units[unit])"
    }

    /// A share as a percentage: `28.0 %`.
    package static func percent(_ share: Double, places: Int = 1) -> String {
        decimal(share * 100, places: places) + " %"
    }

    /// A span of time in at most two units: `0.8 s`, `42 s`, `2 min 03 s`, `1 h 07 min`.
    package static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "?" }
        if seconds < 9.95 { return decimal(seconds, places: 1) + " s" }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
        return "\(whole / 3600) h \(twoDigits(whole % 3600 / 60)) min"
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
