extension Interpreter {
    func call(_ function: Value, _ arguments: Arguments) throws(TemplateError) -> Value {
        switch function {
        case .macro(let macro): return .text(try call(macro, arguments))
        case .method(let method): return try call(method, arguments)
        case .function(let function): return try call(function, arguments)
        case .loop(let loop):
            let values = try bind(arguments, to: ["iterable"], required: 1, of: "loop()")
            guard let recursion = loop.recursion, let iterable = values[0] else {
                throw fail("'loop' can be called only in a loop marked 'recursive'")
            }
            return .text(try recurse(recursion.loop, over: iterable, recursion.scope, depth0: loop.depth0 + 1))
        case .joiner(let joiner):
            _ = try bind(arguments, to: [], of: "a joiner")
            defer { joiner.isUsed = true }
            return joiner.isUsed ? joiner.separator : .text("")
        case .undefined(let undefined): throw fail("\(undefined.reason), so it cannot be called")
        default: throw fail("\(describe(function)) cannot be called")
        }
    }

    // MARK: Macros

    private func call(_ macro: Macro, _ arguments: Arguments) throws(TemplateError) -> Text {
        callDepth += 1
        depth += 1
        defer {
            callDepth -= 1
            depth -= 1
        }
        guard callDepth <= limits.callDepth else {
            throw exceeded("recursive loops and macro calls are nested more than \(limits.callDepth) deep")
        }
        try checkEvaluationDepth()
        let scope = Scope(parent: macro.scope)
        try bind(arguments, to: macro.definition, scope)
        return try capture { () throws(TemplateError) in try execute(macro.definition.body, scope) }.text
    }

    private func bind(
        _ arguments: Arguments, to definition: MacroDefinition, _ scope: Scope
    ) throws(TemplateError) {
        let name = definition.name.map { "the macro '\($0)'" } ?? "the call block"
        let parameters = definition.parameters
        var named = arguments.named
        for (index, parameter) in parameters.enumerated() {
            if index < arguments.positional.count {
                scope.set(parameter.id, arguments.positional[index])
            } else if let given = named.firstIndex(where: { $0.name == parameter.name }) {
                scope.set(parameter.id, named.remove(at: given).value)
            }
        }
        for (index, parameter) in parameters.enumerated() where index >= arguments.positional.count {
            if arguments.named.contains(where: { $0.name == parameter.name }) { continue }
            let defaultIndex = index - (parameters.count - definition.defaults.count)
            scope.set(
                parameter.id,
                defaultIndex >= 0
                    ? try evaluate(definition.defaults[defaultIndex], scope)
                    : .undefined(Undefined("the parameter '\(parameter.name)' of \(name) was not given")))
        }
        if definition.special.contains(.caller) {
            var caller = Value.undefined(Undefined("\(name) was not called by a call block, so 'caller'"))
            if let given = named.firstIndex(where: { $0.name == "caller" }) { caller = named.remove(at: given).value }
            scope.set(ParsedTemplate.callerName, caller)
        }
        if definition.special.contains(.kwargs) {
            let rest = ValueDictionary()
            for (name, value) in named { rest.set(name, to: value) }
            scope.set(ParsedTemplate.kwargsName, try dictionary(rest))
        } else if let unknown = named.first {
            throw fail("\(name) has no parameter '\(unknown.name)'")
        }
        let surplus = Array(arguments.positional.dropFirst(parameters.count))
        if definition.special.contains(.varargs) {
            scope.set(ParsedTemplate.varargsName, try tuple(surplus))
        } else if !surplus.isEmpty {
            throw fail("\(name) takes at most \(parameters.count) arguments, not \(arguments.positional.count)")
        }
    }

    // MARK: Functions

    private func call(_ function: GlobalFunction, _ arguments: Arguments) throws(TemplateError) -> Value {
        switch function {
        case .range: return try range(arguments)
        case .dict: return try dictionary(try dictionary(from: arguments))
        case .namespace:
            let attributes = try dictionary(from: arguments)
            for case .text(let name) in attributes.keys { try checkNamespaceName(name) }
            try charge(elements: 2 * attributes.count)
            return try namespace(attributes)
        case .cycler:
            guard !arguments.positional.isEmpty, arguments.named.isEmpty else {
                throw fail("cycler() needs at least one value")
            }
            let cycler = Cycler(arguments.positional)
            try check(depth: cycler.depth)
            return .cycler(cycler)
        case .joiner:
            let separator = try bind(arguments, to: ["sep"], of: "joiner()")[0] ?? .text(", ")
            try check(depth: separator.depth + 1)
            return .joiner(Joiner(separator))
        case .raiseException:
            let message = try bind(arguments, to: ["message"], required: 1, of: "raise_exception()")[0] ?? .null
            throw TemplateError(kind: .raised, line: line, message: try text(of: message).string)
        case .strftimeNow:
            let values = try bind(arguments, to: ["format"], required: 1, of: "strftime_now()")
            let format = try string(values[0] ?? .null, "strftime_now()")
            guard let date else { throw fail("strftime_now() needs a date, which this rendering has not") }
            do {
                return .text(try DateFormat.text(format, seconds: date))
            } catch {
                throw fail(error.message)
            }
        }
    }

    private func range(_ arguments: Arguments) throws(TemplateError) -> Value {
        guard arguments.named.isEmpty, (1...3).contains(arguments.positional.count) else {
            throw fail("range() takes one to three integers")
        }
        var bounds: [Int] = []
        for argument in arguments.positional { bounds.append(try integer(argument, "range()")) }
        let start = bounds.count == 1 ? 0 : bounds[0]
        let stop = bounds.count == 1 ? bounds[0] : bounds[1]
        let step = bounds.count == 3 ? bounds[2] : 1
        guard step != 0 else { throw fail("the step of range() is 0") }
        var count: UInt = 0
        if step > 0 ? start < stop : start > stop {
            let span = step > 0 ? UInt(bitPattern: stop &- start) : UInt(bitPattern: start &- stop)
            count = (span - 1) / step.magnitude + 1
        }
        guard count <= UInt(limits.rangeItems) else {
            throw exceeded("range() with \(count) numbers is longer than the \(limits.rangeItems) allowed")
        }
        return .range(ValueRange(start: start, stop: stop, step: step, count: Int(count)))
    }

    /// `dict(...)`: a copy of a dictionary or of pairs, then the named arguments.
    private func dictionary(from arguments: Arguments) throws(TemplateError) -> ValueDictionary {
        let result = ValueDictionary()
        guard arguments.positional.count <= 1 else { throw fail("dict() takes at most one argument without a name") }
        if let source = arguments.positional.first {
            if case .undefined(let undefined) = source { throw fail("\(undefined.reason), so it makes no dictionary") }
            if case .dictionary(let dictionary) = source {
                for (key, value) in zip(dictionary.keys, dictionary.values) {
                    result.set(key, hashed: try self.key(of: key), to: value)
                }
            } else {
                for pair in try elements(of: source) {
                    let parts = try elements(of: pair)
                    guard parts.count == 2 else { throw fail("dict() needs pairs of a key and a value") }
                    result.set(parts[0], hashed: try key(of: parts[0]), to: parts[1])
                }
            }
        }
        for (name, value) in arguments.named { result.set(name, to: value) }
        return result
    }

    func checkNamespaceName(_ name: Text) throws(TemplateError) {
        guard name.bytes.first != UInt8(ascii: "_") else {
            throw fail("'\(name)' starts with an underscore, which names in a namespace must not")
        }
    }
}
