/// The tests behind `is`, by the names templates use.
enum Test: String, Sendable {
    case odd, even, divisibleby, defined, undefined, filter, test, boolean, `false`, `true`, integer, float, lower
    case upper, string, mapping, number, sequence, iterable, callable, sameas, escaped, `in`
    case null = "none"
    case equal = "=="
    case eq, equalto
    case notEqual = "!="
    case ne
    case greater = ">"
    case gt, greaterthan
    case greaterOrEqual = ">="
    case ge
    case less = "<"
    case lt, lessthan
    case lessOrEqual = "<="
    case le
}

extension Interpreter {
    /// `value is test(arguments)`.
    func test(_ test: Test, _ value: Value, _ arguments: Arguments) throws(TemplateError) -> Bool {
        let name = "the test '\(test.rawValue)'"
        switch test {
        case .equal, .eq, .equalto, .notEqual, .ne, .greater, .gt, .greaterthan, .greaterOrEqual, .ge, .less, .lt,
            .lessthan, .lessOrEqual, .le, .in, .sameas, .divisibleby:
            return try self.test(test, value, against: try bindByPosition(arguments, 1...1, name)[0])
        default: _ = try bindByPosition(arguments, 0...0, name)
        }
        switch test {
        case .defined: return !value.isUndefined
        case .undefined: return value.isUndefined
        case .null: return isNone(value)
        case .odd, .even:
            let remainder = try arithmetic(.modulo, value, .integer(2))
            return try areEqual(remainder, .integer(test == .odd ? 1 : 0))
        case .lower, .upper: return try text(of: value).isCase(lower: test == .lower)
        case .filter: return try string(value, name).knows { Filter(rawValue: $0) != nil }
        case .test: return try string(value, name).knows { Test(rawValue: $0) != nil }
        case .escaped: return false
        default: return has(value, type: test)
        }
    }

    private func has(_ value: Value, type: Test) -> Bool {
        switch (type, value) {
        case (.boolean, .bool), (.integer, .integer), (.float, .double), (.string, .text), (.mapping, .dictionary): true
        case (.true, .bool(let value)): value
        case (.false, .bool(let value)): !value
        case (.number, .bool), (.number, .integer), (.number, .double): true
        case (.sequence, .text), (.sequence, .list), (.sequence, .tuple), (.sequence, .dictionary), (.sequence, .range),
            (.sequence, .undefined):
            true
        case (.iterable, .text), (.iterable, .list), (.iterable, .tuple), (.iterable, .dictionary), (.iterable, .range),
            (.iterable, .undefined), (.iterable, .view), (.iterable, .iterator), (.iterable, .loop):
            true
        case (.callable, .macro), (.callable, .method), (.callable, .function), (.callable, .joiner),
            (.callable, .loop),
            (.callable, .undefined):
            true
        default: false
        }
    }

    private func test(_ test: Test, _ value: Value, against other: Value) throws(TemplateError) -> Bool {
        switch test {
        case .equal, .eq, .equalto: return try areEqual(value, other)
        case .notEqual, .ne: return try !areEqual(value, other)
        case .greater, .gt, .greaterthan: return try order(.greater, value, other)
        case .greaterOrEqual, .ge: return try order(.greaterOrEqual, value, other)
        case .less, .lt, .lessthan: return try order(.less, value, other)
        case .lessOrEqual, .le: return try order(.lessOrEqual, value, other)
        case .in: return try contains(other, value)
        case .sameas: return areSame(value, other)
        default: return try areEqual(try arithmetic(.modulo, value, other), .integer(0))
        }
    }
}

extension Text {
    fileprivate func knows(_ test: (String) -> Bool) -> Bool { test(string) }
}
