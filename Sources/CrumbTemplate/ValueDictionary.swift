/// A dictionary in insertion order, with Python's idea of equal keys (`1`, `1.0` and `true` are one).
///
/// Written only while it is being made, or by the one namespace that owns it.
final class ValueDictionary {
    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    private(set) var depth = 1
    /// Positions by key; built once there are more entries than a linear search likes.
    private var index: [Key: Int]?

    private static let linearSearchLimit = 8

    init() {}

    var count: Int { keys.count }

    func position(of key: Key) -> Int? {
        if let index { return index[key] }
        return keys.firstIndex { candidate in
            if case .text(let left) = candidate {
                if case .text(let right) = key { return left == right }
                return false
            }
            return Key(unchecked: candidate) == key
        }
    }

    subscript(key: Key) -> Value? {
        position(of: key).map { values[$0] }
    }

    /// Sets a key, which keeps its place and spelling if it is there already.
    func set(_ key: Value, hashed: Key, to value: Value) {
        depth = max(depth, key.depth + 1, value.depth + 1)
        if let position = position(of: hashed) {
            values[position] = value
            return
        }
        keys.append(key)
        values.append(value)
        if index != nil {
            index?[hashed] = keys.count - 1
        } else if keys.count > ValueDictionary.linearSearchLimit {
            var index: [Key: Int] = [:]
            for (position, key) in keys.enumerated() {
                if let hashed = Key(unchecked: key) { index[hashed] = position }
            }
            self.index = index
        }
    }

    func set(_ name: Text, to value: Value) {
        set(.text(name), hashed: .text(name), to: value)
    }
}

/// What makes two dictionary keys the same.
enum Key: Hashable {
    case undefined
    case null
    case integer(Int)
    case double(Double)
    case text(Text)
    case tuple([Key])
    case object(ObjectIdentifier)
    case range([Int])
    case function(GlobalFunction)

    /// The key of a value; nil for lists, dictionaries and tuples with such inside. The caller bounds the size of
    /// tuples.
    init?(unchecked value: Value) {
        switch value {
        case .undefined: self = .undefined
        case .null: self = .null
        case .bool(let value): self = .integer(value ? 1 : 0)
        case .integer(let value): self = .integer(value)
        case .double(let value):
            if let exact = Int(exactly: value) { self = .integer(exact) } else { self = .double(value) }
        case .text(let text): self = .text(text)
        case .tuple(let list):
            var parts: [Key] = []
            for item in list.items {
                guard let part = Key(unchecked: item) else { return nil }
                parts.append(part)
            }
            self = .tuple(parts)
        case .list, .dictionary, .view: return nil
        case .range(let range):
            self = .range(range.identity)
        case .iterator(let iterator): self = .object(ObjectIdentifier(iterator))
        case .namespace(let namespace): self = .object(ObjectIdentifier(namespace))
        case .loop(let loop): self = .object(ObjectIdentifier(loop))
        case .macro(let macro): self = .object(ObjectIdentifier(macro))
        case .method(let method): self = .object(ObjectIdentifier(method))
        case .function(let function): self = .function(function)
        case .cycler(let cycler): self = .object(ObjectIdentifier(cycler))
        case .joiner(let joiner): self = .object(ObjectIdentifier(joiner))
        }
    }
}
