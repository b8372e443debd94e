import CrumbJSON

/// Typed and range-checked access to the metadata, with errors that name the key.
struct GGUFMetadata {
    let path: String
    let values: JSONObject

    func has(_ key: String) -> Bool { values[key] != nil }

    /// - Throws: `FormatError` where the key is missing, no integer, or outside `range`.
    func int(_ key: String, in range: ClosedRange<Int>) throws(FormatError) -> Int {
        guard let value = try optionalInt(key, in: range) else { throw missing(key) }
        return value
    }

    func optionalInt(_ key: String, in range: ClosedRange<Int>) throws(FormatError) -> Int? {
        guard let value = values[key] else { return nil }
        guard case .array = value else {
            guard let number = value.int, range.contains(number) else {
                throw FormatError(
                    path: path,
                    reason: "\(key) is \(shown(value)), but must be an integer from \(range.lowerBound) to"
                        + " \(range.upperBound)")
            }
            return number
        }
        throw FormatError(path: path, reason: "\(key) differs from layer to layer, which is not supported")
    }

    /// A float as the shortest decimal that gives the same single: 1e-05 rather than 9.999999747378752e-06.
    func optionalFloat(_ key: String, in range: ClosedRange<Double>) throws(FormatError) -> Double? {
        guard let value = values[key] else { return nil }
        guard let number = value.double, number.isFinite, range.contains(number) else {
            throw FormatError(
                path: path,
                reason: "\(key) is \(shown(value)), but must be a number from \(range.lowerBound) to"
                    + " \(range.upperBound)")
        }
        return Double(Float(number).description) ?? number
    }

    func optionalBool(_ key: String) throws(FormatError) -> Bool? {
        guard let value = values[key] else { return nil }
        guard let bool = value.bool else {
            throw FormatError(path: path, reason: "\(key) is \(shown(value)), but must be true or false")
        }
        return bool
    }

    func string(_ key: String) throws(FormatError) -> String {
        guard let text = try optionalString(key) else { throw missing(key) }
        return text
    }

    func optionalString(_ key: String) throws(FormatError) -> String? {
        guard let value = values[key] else { return nil }
        guard let text = value.string else {
            throw FormatError(path: path, reason: "\(key) is \(shown(value)), but must be a string")
        }
        return text
    }

    /// The elements of an array, each turned by `convert`; an empty array where the key is missing.
    func array<Element>(_ key: String, _ convert: (JSONValue) -> Element?) throws(FormatError) -> [Element] {
        guard let value = values[key] else { return [] }
        guard let elements = value.array else {
            throw FormatError(path: path, reason: "\(key) is \(shown(value)), but must be an array")
        }
        var converted: [Element] = []
        converted.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard let element = convert(element) else {
                throw FormatError(path: path, reason: "element \(index) of \(key) is \(shown(element)), a wrong kind")
            }
            converted.append(element)
        }
        return converted
    }

    private func missing(_ key: String) -> FormatError {
        FormatError(path: path, reason: "the metadata key \(key) is missing; convert the model again")
    }

    private func shown(_ value: JSONValue) -> String {
        switch value {
        case .array(let elements): "an array of \(elements.count) elements"
        case .object: "an object"
        case .string(let text): "a string of \(text.utf8.count) bytes"
        default: JSON.serialize(value)
        }
    }
}
