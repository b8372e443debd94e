/// `strftime` of one moment in UTC, with the codes that chat templates use.
enum DateFormat {
    struct CodeError: Error {
        let message: String
    }

    private static let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]

    /// - Parameter seconds: since 1970-01-01 00:00 UTC, up to the year 9999.
    /// - Throws: `CodeError` for a code that is not known and for a moment out of range.
    static func text(_ format: Text, seconds: Int64) throws(CodeError) -> Text {
        guard (-62_135_596_800...253_402_300_799).contains(seconds) else {
            throw CodeError(message: "the date \(seconds) lies outside of the years 1 to 9999")
        }
        let moment = Moment(seconds: Int(seconds))
        var result = Text()
        var index = 0
        while index < format.bytes.count {
            let byte = format.bytes[index]
            index += 1
            guard byte == UInt8(ascii: "%") else {
                result.bytes.append(byte)
                continue
            }
            let isUnpadded = index < format.bytes.count && format.bytes[index] == UInt8(ascii: "-")
            if isUnpadded { index += 1 }
            guard index < format.bytes.count else {
                throw CodeError(message: "strftime_now() meets a '%' without a code")
            }
            let (code, length) = Text.decode(format.bytes, at: index)
            index += length
            result.bytes += try text(of: code, moment, isUnpadded: isUnpadded).utf8
        }
        return result
    }

    private static func text(of code: Unicode.Scalar, _ moment: Moment, isUnpadded: Bool) throws(CodeError) -> String {
        func number(_ value: Int, _ width: Int, _ fill: String = "0") -> String {
            let text = String(value)
            return isUnpadded ? text : String(repeating: fill, count: max(0, width - text.utf8.count)) + text
        }
        switch code {
        case "Y": return String(moment.year)
        case "y": return number(moment.year % 100, 2)
        case "m": return number(moment.month, 2)
        case "d": return number(moment.day, 2)
        case "e": return number(moment.day, 2, " ")
        case "H": return number(moment.hour, 2)
        case "I": return number((moment.hour + 11) % 12 + 1, 2)
        case "M": return number(moment.minute, 2)
        case "S": return number(moment.second, 2)
        case "j": return number(moment.dayOfYear, 3)
        case "p": return moment.hour < 12 ? "AM" : "PM"
        case "A": return days[moment.weekday]
        case "a": return String(days[moment.weekday].prefix(3))
        case "B": return months[moment.month - 1]
        case "b", "h": return String(months[moment.month - 1].prefix(3))
        case "F": return "\(moment.year)-\(number(moment.month, 2))-\(number(moment.day, 2))"
        case "T": return "\(number(moment.hour, 2)):\(number(moment.minute, 2)):\(number(moment.second, 2))"
        case "n": return "\n"
        case "t": return "\t"
        case "%": return "%"
        default: throw CodeError(message: "strftime_now() does not know the code '%\(code)'")
        }
    }
}

/// A moment of the Gregorian calendar in UTC.
private struct Moment {
    let year: Int
    let month: Int
    let day: Int
    let hour: Int
    let minute: Int
    let second: Int
    /// 1 for the first of January.
    let dayOfYear: Int
    /// 0 for Monday.
    let weekday: Int

    init(seconds: Int) {
        let (days, rest) = Moment.floorDivided(seconds, 86_400)
        (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
        // The first of January 1970 was a Thursday.
        weekday = Moment.floorDivided(days + 3, 7).remainder
        // Days are counted from 0000-03-01, so that the leap day ends a year; 146097 days make 400 years.
        let (era, dayOfEra) = Moment.floorDivided(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayFromMarch = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayFromMarch + 2) / 153
        day = dayFromMarch - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        dayOfYear = month <= 2 ? dayFromMarch - 305 : dayFromMarch + 60 + (isLeap ? 1 : 0)
    }

    private static func floorDivided(_ value: Int, _ divisor: Int) -> (quotient: Int, remainder: Int) {
        let remainder = ((value % divisor) + divisor) % divisor
        return ((value - remainder) / divisor, remainder)
    }
}
