/// Evaluated arguments of a call.
struct Arguments {
    var positional: [Value] = []
    var named: [(name: Text, value: Value)] = []

    func named(_ name: Text) -> Value? {
        named.first { $0.name == name }?.value
    }

    var isEmpty: Bool { positional.isEmpty && named.isEmpty }
}

extension Interpreter {
    /// Arguments in the order of `names`, nil where one is left out, as Python binds them to a signature.
    /// - Throws: `TemplateError` for too many arguments, unknown names and arguments given twice.
    func bind(
        _ arguments: Arguments, to names: [Text], required: Int = 0, of function: String
    ) throws(TemplateError) -> [Value?] {
        guard arguments.positional.count <= names.count else {
            throw fail("\(function) takes at most \(names.count) arguments, not \(arguments.positional.count)")
        }
        var values: [Value?] = arguments.positional
        values += [Value?](repeating: nil, count: names.count - values.count)
        for (name, value) in arguments.named {
            guard let index = names.firstIndex(of: name) else { throw fail("\(function) has no argument '\(name)'") }
            guard values[index] == nil else { throw fail("\(function) is given its argument '\(name)' twice") }
            values[index] = value
        }
        for index in 0..<required where values[index] == nil {
            throw fail("\(function) is called without its argument '\(names[index])'")
        }
        return values
    }

    // MARK: Readings of one argument

    func integer(_ value: Value, _ what: @autoclosure () -> String) throws(TemplateError) -> Int {
        switch value {
        case .integer(let value): return value
        case .bool(let value): return value ? 1 : 0
        default: throw fail("\(what()) needs an integer, not \(describe(value))")
        }
    }

    func string(_ value: Value, _ what: @autoclosure () -> String) throws(TemplateError) -> Text {
        guard case .text(let text) = value else { throw fail("\(what()) needs a string, not \(describe(value))") }
        return text
    }

    /// How a message shows a value: its type, and the reason if it is missing.
    func describe(_ value: Value) -> String {
        switch value {
        case .undefined(let undefined): "a missing value (\(undefined.reason))"
        case .null: "none"
        case .integer, .iterator: "an \(value.typeName)"
        default: "a \(value.typeName)"
        }
    }
}

/// Collects a string piece by piece, paying for each.
struct TextBuilder {
    private(set) var text = Text()
    private let run: Interpreter

    init(_ run: Interpreter) {
        self.run = run
    }

    mutating func append(_ piece: Text) throws(TemplateError) {
        try append(piece.bytes)
    }

    mutating func append<Bytes: Collection<UInt8>>(_ bytes: Bytes) throws(TemplateError) {
        guard text.bytes.count + bytes.count <= run.limits.stringBytes else {
            throw run.exceeded("a string grows beyond the \(run.limits.stringBytes) bytes allowed")
        }
        try run.charge(bytes.count)
        text.bytes += bytes
    }
}
