/// A value of the template language. Lists, tuples and dictionaries never change once made, so that cycles and
/// unbounded nesting cannot arise; only namespaces can be written to.
enum Value {
    case undefined(Undefined)
    case null
    case bool(Bool)
    case integer(Int)
    case double(Double)
    case text(Text)
    case list(ValueList)
    case tuple(ValueList)
    case dictionary(ValueDictionary)
    case range(ValueRange)
    /// What `keys()`, `values()` and `items()` of a dictionary give.
    case view(DictionaryView)
    /// Something to be run through once, as Python's generators.
    case iterator(ValueIterator)
    case namespace(Namespace)
    case loop(LoopState)
    case macro(Macro)
    case method(BoundMethod)
    case function(GlobalFunction)
    case cycler(Cycler)
    case joiner(Joiner)

    static func text(_ string: String) -> Value { .text(Text(string)) }

    var isUndefined: Bool {
        if case .undefined = self { true } else { false }
    }

    /// The value's type in Python's words, for messages.
    var typeName: String {
        switch self {
        case .undefined: "undefined value"
        case .null: "none"
        case .bool: "boolean"
        case .integer: "integer"
        case .double: "float"
        case .text: "string"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dictionary"
        case .range: "range"
        case .view: "dictionary view"
        case .iterator: "iterator"
        case .namespace: "namespace"
        case .loop: "loop"
        case .macro: "macro"
        case .method: "method"
        case .function: "function"
        case .cycler: "cycler"
        case .joiner: "joiner"
        }
    }

    /// How many containers lie inside one another, this one included.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .dictionary(let dictionary): dictionary.depth
        case .view(let view): view.dictionary.depth + 1
        case .iterator(let iterator): iterator.depth
        case .loop(let loop): loop.valueDepth
        case .method(let method): method.receiver.depth + 1
        case .cycler(let cycler): cycler.depth
        case .joiner(let joiner): joiner.separator.depth + 1
        default: 0
        }
    }

    /// Python's truth of a value.
    var isTrue: Bool {
        switch self {
        case .undefined, .null: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .double(let value): value != 0
        case .text(let text): !text.isEmpty
        case .list(let list), .tuple(let list): !list.items.isEmpty
        case .dictionary(let dictionary): !dictionary.keys.isEmpty
        case .range(let range): range.count > 0
        case .view(let view): !view.dictionary.keys.isEmpty
        default: true
        }
    }
}

/// A missing variable, attribute or item: prints as nothing, and complains when used for more.
final class Undefined {
    /// Why it is missing, as the predicate of an error message.
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}

final class ValueList {
    let items: [Value]
    let depth: Int
    /// True for the `(grouper, list)` pairs of the filter `groupby`, which also answer to these names.
    let isGroup: Bool

    init(_ items: [Value], isGroup: Bool = false) {
        self.items = items
        self.isGroup = isGroup
        depth = items.reduce(0) { max($0, $1.depth) } + 1
    }
}

final class ValueRange {
    let start: Int
    let stop: Int
    let step: Int
    let count: Int

    /// `step` is not 0 and `count` what follows from the other three.
    init(start: Int, stop: Int, step: Int, count: Int) {
        self.start = start
        self.stop = stop
        self.step = step
        self.count = count
    }

    subscript(index: Int) -> Int { start + index * step }

    /// Equal for ranges of the same numbers.
    var identity: [Int] {
        count == 0 ? [0] : count == 1 ? [1, start] : [count, start, step]
    }
}

final class DictionaryView {
    enum Kind { case keys, values, items }

    let kind: Kind
    let dictionary: ValueDictionary

    init(_ kind: Kind, _ dictionary: ValueDictionary) {
        self.kind = kind
        self.dictionary = dictionary
    }

    func items() -> [Value] {
        switch kind {
        case .keys: dictionary.keys
        case .values: dictionary.values
        case .items: zip(dictionary.keys, dictionary.values).map { .tuple(ValueList([$0, $1])) }
        }
    }
}

/// The one kind of value a template can write to.
final class Namespace {
    var dictionary: ValueDictionary

    init(_ dictionary: ValueDictionary) {
        self.dictionary = dictionary
    }
}

/// A macro together with the variables around its definition.
final class Macro {
    let definition: MacroDefinition
    let scope: Scope

    init(_ definition: MacroDefinition, scope: Scope) {
        self.definition = definition
        self.scope = scope
    }
}

final class BoundMethod {
    let receiver: Value
    let method: Method

    init(_ receiver: Value, _ method: Method) {
        self.receiver = receiver
        self.method = method
    }
}

final class Cycler {
    let items: [Value]
    let depth: Int
    var position = 0

    init(_ items: [Value]) {
        self.items = items
        depth = items.reduce(0) { max($0, $1.depth) } + 1
    }
}

final class Joiner {
    let separator: Value
    var isUsed = false

    init(_ separator: Value) {
        self.separator = separator
    }
}

/// The functions a template can call by name.
enum GlobalFunction: String, CaseIterable {
    case range
    case dict
    case namespace
    case cycler
    case joiner
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}
