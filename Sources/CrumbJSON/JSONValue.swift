// One JSON value in memory. Strings and keys keep their UTF-8 bytes exactly; two of them are equal when their bytes
// are, never by Unicode's canonical equivalence, because vocabularies hold both spellings of one character.

/// A JSON number: an integer as long as it is written as one and fits in 64 bits, otherwise a double.
package enum JSONNumber: Sendable, Equatable {
    case integer(Int64)
    case double(Double)
}

/// One JSON value.
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    /// The text of a string, nil for every other kind.
    package var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The value of an integer, or of a double without a fraction up to 2^53; nil for everything else.
    package var int: Int? {
        guard case .number(let number) = self else { return nil }
        switch number {
        case .integer(let value): return Int(exactly: value)
        case .double(let value): return value.magnitude <= 9_007_199_254_740_992 ? Int(exactly: value) : nil
        }
    }

    /// The value of a number, rounded to a double where an integer has more than 53 bits; nil for every other kind.
    package var double: Double? {
        guard case .number(let number) = self else { return nil }
        switch number {
        case .integer(let value): return Double(value)
        case .double(let value): return value
        }
    }

    /// The value of `true` or `false`, nil for every other kind (numbers included).
    package var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The elements of an array, nil for every other kind.
    package var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The object, nil for every other kind.
    package var object: JSONObject? {
        guard case .object(let object) = self else { return nil }
        return object
    }

    /// Whether this is `null`.
    package var isNull: Bool {
        guard case .null = self else { return false }
        return true
    }

    /// The member of an object; nil where this is no object or has no such key.
    package subscript(_ key: String) -> JSONValue? { object?[key] }
}

extension JSONValue: Equatable {
    /// Equal kinds and contents: strings by their bytes, objects with the same entries in the same order, and an
    /// integer is never equal to a double.
    package static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): sameBytes(a, b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .number(.integer(value)) }
    package init(floatLiteral value: Double) { self = .number(.double(value)) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }

    /// A number that is an integer.
    package init(_ value: Int) { self = .number(.integer(Int64(value))) }
    /// A number that is a double; it is written as `null` where it is not finite.
    package init(_ value: Double) { self = .number(.double(value)) }
}
