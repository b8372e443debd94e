import Glibc

/// A value that counts as a number: integers, floats and booleans.
enum Number {
    case integer(Int)
    case double(Double)

    init?(_ value: Value) {
        switch value {
        case .bool(let value): self = .integer(value ? 1 : 0)
        case .integer(let value): self = .integer(value)
        case .double(let value): self = .double(value)
        default: return nil
        }
    }

    var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        }
    }

    var exactInteger: Int? {
        switch self {
        case .integer(let value): value
        case .double(let value): Int(exactly: value)
        }
    }

    /// Exact, also between integers and floats; nil if one is not a number.
    func compare(_ other: Number) -> Ordering? {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): return Ordering(left, right)
        case (.double(let left), .double(let right)):
            return left.isNaN || right.isNaN ? nil : Ordering(left, right)
        case (.integer(let left), .double(let right)): return Number.compare(left, right)
        case (.double(let left), .integer(let right)):
            switch Number.compare(right, left) {
            case .less: return .greater
            case .greater: return .less
            case let order: return order
            }
        }
    }

    private static func compare(_ left: Int, _ right: Double) -> Ordering? {
        if right.isNaN { return nil }
        guard right < 0x1p63 else { return .less }
        guard right >= -0x1p63 else { return .greater }
        let floor = right.rounded(.down)
        let order = Ordering(left, Int(floor))
        return order == .equal && floor < right ? .less : order
    }
}

extension Interpreter {
    func arithmetic(
        _ sign: ArithmeticOperator, _ left: Value, _ right: Value
    ) throws(TemplateError) -> Value {
        if sign == .modulo, case .text(let format) = left { return .text(try percentFormat(format, right)) }
        if let left = Number(left), let right = Number(right) {
            switch (left, right) {
            case (.integer(let left), .integer(let right)): return try integers(sign, left, right)
            default: return try doubles(sign, left.double, right.double)
            }
        }
        switch (sign, left, right) {
        case (_, .undefined(let undefined), _), (_, _, .undefined(let undefined)):
            throw fail("\(undefined.reason), so '\(sign.rawValue)' cannot use it")
        case (.add, .text(let left), .text(let right)):
            try charge(string: left.bytes.count + right.bytes.count)
            return .text(Text(left.bytes + right.bytes))
        case (.add, .list(let left), .list(let right)): return try list(joined(left, right))
        case (.add, .tuple(let left), .tuple(let right)): return try tuple(joined(left, right))
        case (.multiply, .text(let text), let count), (.multiply, let count, .text(let text)):
            return .text(try repeated(text, try factor(count, left, right)))
        case (.multiply, .list(let items), let count), (.multiply, let count, .list(let items)):
            return try list(try repeated(items, try factor(count, left, right)))
        case (.multiply, .tuple(let items), let count), (.multiply, let count, .tuple(let items)):
            return try tuple(try repeated(items, try factor(count, left, right)))
        default: throw fail("'\(sign.rawValue)' cannot take \(describe(left)) and \(describe(right))")
        }
    }

    private func joined(_ left: ValueList, _ right: ValueList) throws(TemplateError) -> [Value] {
        try charge(elements: left.items.count + right.items.count)
        return left.items + right.items
    }

    private func factor(_ count: Value, _ left: Value, _ right: Value) throws(TemplateError) -> Int {
        guard case .integer(let value)? = Number(count) else {
            throw fail("'*' cannot take \(describe(left)) and \(describe(right))")
        }
        return max(value, 0)
    }

    func repeated(_ text: Text, _ count: Int) throws(TemplateError) -> Text {
        let (bytes, overflow) = text.bytes.count.multipliedReportingOverflow(by: max(count, 0))
        try charge(string: overflow ? .max : bytes)
        var result: [UInt8] = []
        result.reserveCapacity(bytes)
        if !text.isEmpty { for _ in 0..<max(count, 0) { result += text.bytes } }
        return Text(result)
    }

    private func repeated(_ list: ValueList, _ count: Int) throws(TemplateError) -> [Value] {
        let (elements, overflow) = list.items.count.multipliedReportingOverflow(by: count)
        try charge(elements: overflow ? .max : elements)
        guard elements > 0 else { return [] }
        return Array(repeatElement(list.items, count: count).joined())
    }

    func signed(_ value: Value, isNegative: Bool) throws(TemplateError) -> Value {
        switch Number(value) {
        case .integer(let number)?:
            guard number != .min || !isNegative else { throw tooLarge("-") }
            return .integer(isNegative ? -number : number)
        case .double(let number)?: return .double(isNegative ? -number : number)
        case nil: throw fail("a sign cannot stand before \(describe(value))")
        }
    }

    private func tooLarge(_ sign: String) -> TemplateError {
        fail("the result of '\(sign)' does not fit an integer of 64 bits")
    }

    private func integers(_ sign: ArithmeticOperator, _ left: Int, _ right: Int) throws(TemplateError) -> Value {
        let (result, overflow): (Int, Bool)
        switch sign {
        case .add: (result, overflow) = left.addingReportingOverflow(right)
        case .subtract: (result, overflow) = left.subtractingReportingOverflow(right)
        case .multiply: (result, overflow) = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw fail("a number is divided by 0") }
            return .double(Double(left) / Double(right))
        case .floorDivide, .modulo:
            guard right != 0 else { throw fail("a number is divided by 0") }
            guard right != -1 else {
                return sign == .modulo ? .integer(0) : try signed(.integer(left), isNegative: true)
            }
            let (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
            // Python rounds towards minus infinity, the remainder has the divisor's sign.
            let correction = remainder != 0 && (remainder < 0) != (right < 0)
            return .integer(
                sign == .modulo ? (correction ? remainder + right : remainder) : (correction ? quotient - 1 : quotient))
        case .power:
            guard right >= 0 else { return try doubles(.power, Double(left), Double(right)) }
            return .integer(try power(left, right))
        }
        if overflow { throw tooLarge(sign.rawValue) }
        return .integer(result)
    }

    private func power(_ base: Int, _ exponent: Int) throws(TemplateError) -> Int {
        var result = 1
        var factor = base
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 {
                let (product, overflow) = result.multipliedReportingOverflow(by: factor)
                if overflow { throw tooLarge("**") }
                result = product
            }
            rest >>= 1
            if rest > 0 {
                let (square, overflow) = factor.multipliedReportingOverflow(by: factor)
                if overflow { throw tooLarge("**") }
                factor = square
            }
        }
        return result
    }

    private func doubles(_ sign: ArithmeticOperator, _ left: Double, _ right: Double) throws(TemplateError) -> Value {
        switch sign {
        case .add: return .double(left + right)
        case .subtract: return .double(left - right)
        case .multiply: return .double(left * right)
        case .divide, .floorDivide, .modulo:
            guard right != 0 else { throw fail("a number is divided by 0") }
            if sign == .divide { return .double(left / right) }
            // As CPython: the remainder first, then the quotient from what is left.
            var remainder = fmod(left, right)
            var quotient = (left - remainder) / right
            if remainder != 0 {
                if (right < 0) != (remainder < 0) {
                    remainder += right
                    quotient -= 1
                }
            } else {
                remainder = right.sign == .minus ? -0.0 : 0.0
            }
            if sign == .modulo { return .double(remainder) }
            guard quotient != 0 else { return .double((left / right).sign == .minus ? -0.0 : 0.0) }
            let floor = quotient.rounded(.down)
            return .double(quotient - floor > 0.5 ? floor + 1 : floor)
        case .power:
            if left == 0, right < 0 { throw fail("0 is raised to a negative power") }
            if left < 0, left.isFinite, right.isFinite, right != right.rounded() {
                throw fail("a negative number is raised to a fraction")
            }
            let result = pow(left, right)
            guard result.isFinite || !left.isFinite || !right.isFinite else {
                throw fail("the result of '**' is too large for a float")
            }
            return .double(result)
        }
    }
}
