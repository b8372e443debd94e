package import CrumbJSON

/// Reads `config.json` values and refuses those out of range, so that later code can trust every number.
///
/// A key that is null counts as missing, as in Hugging Face's files.
package struct ConfigurationReader: Sendable {
    /// Where the keys come from; errors name it.
    package let source: String
    private let object: JSONObject
    /// Keys of the enclosing objects, with dots; empty at the top level.
    private let path: String

    package init(_ object: JSONObject, source: String, path: String = "") {
        self.object = object
        self.source = source
        self.path = path
    }

    /// The value of `key`, or nil where it is missing or null.
    package func value(_ key: String) -> JSONValue? {
        guard let value = object[key] else { return nil }
        if case .null = value { return nil }
        return value
    }

    /// An integer within `range`. Missing keys take `fallback`; without one they are an error.
    package func integer(
        _ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil
    ) throws(ModelError) -> Int {
        guard let value = value(key) else {
            guard let fallback else { throw missing(key) }
            return fallback
        }
        guard let number = value.int, range.contains(number) else {
            throw refused(key, value, "an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A finite number within `range`. Missing keys take `fallback`; without one they are an error.
    package func number(
        _ key: String, in range: ClosedRange<Double>, default fallback: Double? = nil
    ) throws(ModelError) -> Double {
        guard let value = value(key) else {
            guard let fallback else { throw missing(key) }
            return fallback
        }
        guard let number = value.double, range.contains(number) else {
            throw refused(key, value, "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A boolean, `fallback` where it is missing.
    package func flag(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
        guard let value = value(key) else { return fallback }
        guard let flag = value.bool else { throw refused(key, value, "true or false") }
        return flag
    }

    /// A string, or nil where it is missing.
    package func string(_ key: String) throws(ModelError) -> String? {
        guard let value = value(key) else { return nil }
        guard let string = value.string else { throw refused(key, value, "a string") }
        return string
    }

    /// A list of numbers within `range`, or nil where it is missing.
    package func numbers(_ key: String, in range: ClosedRange<Double>) throws(ModelError) -> [Double]? {
        guard let value = value(key) else { return nil }
        guard let array = value.array else { throw refused(key, value, "a list of numbers") }
        var numbers: [Double] = []
        numbers.reserveCapacity(array.count)
        for element in array {
            guard let number = element.double, range.contains(number) else {
                throw refused(key, element, "a list of numbers from \(range.lowerBound) to \(range.upperBound)")
            }
            numbers.append(number)
        }
        return numbers
    }

    /// One integer or a list of them within `range` (as `eos_token_id` is written); empty where it is missing.
    package func oneOrMore(_ key: String, in range: ClosedRange<Int>) throws(ModelError) -> [Int] {
        guard let value = value(key) else { return [] }
        let elements = value.array ?? [value]
        var integers: [Int] = []
        for element in elements {
            guard let number = element.int, range.contains(number) else {
                throw refused(key, element, "integers from \(range.lowerBound) to \(range.upperBound)")
            }
            integers.append(number)
        }
        return integers
    }

    /// The object under `key`, or nil where it is missing.
    package func nested(_ key: String) throws(ModelError) -> ConfigurationReader? {
        guard let value = value(key) else { return nil }
        guard let inner = value.object else { throw refused(key, value, "an object") }
        return ConfigurationReader(inner, source: source, path: full(key) + ".")
    }

    /// An error about `key`, with the name of the source before it.
    package func error(_ key: String, _ reason: String) -> ModelError {
        ModelError("\(source): \(full(key)) \(reason)")
    }

    private func full(_ key: String) -> String { path + key }

    private func missing(_ key: String) -> ModelError { error(key, "is missing from the model's configuration") }

    private func refused(_ key: String, _ value: JSONValue, _ expected: String) -> ModelError {
        var text = JSON.serialize(value, pretty: false)
        if text.utf8.count > 60 { text = String(text.prefix(60)) + "..." }
        return error(key, "is \(text), but must be \(expected)")
    }
}
