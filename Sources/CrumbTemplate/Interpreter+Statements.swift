extension Interpreter {
    func execute(_ statements: [Statement], _ scope: Scope) throws(TemplateError) -> Flow {
        for statement in statements {
            let flow = try execute(statement, scope)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func execute(_ statement: Statement, _ scope: Scope) throws(TemplateError) -> Flow {
        try step()
        line = statement.line
        switch statement.kind {
        case .text(let text): try write(text)
        case .output(let expression): try write(try text(of: try evaluate(expression, scope)))
        case .set(let target, let expression): try assign(target, try evaluate(expression, scope), scope)
        case .macro(let definition): scope.set(definition.nameID, macro(definition, scope))
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        default: return try executeBlock(statement, scope)
        }
        return .normal
    }

    /// Statements with a body.
    private func executeBlock(_ statement: Statement, _ scope: Scope) throws(TemplateError) -> Flow {
        depth += 1
        defer { depth -= 1 }
        try checkEvaluationDepth()
        switch statement.kind {
        case .branch(let branches, let otherwise):
            for branch in branches where try evaluate(branch.test, scope).isTrue {
                return try execute(branch.body, scope)
            }
            return try execute(otherwise, scope)
        case .loop(let loop):
            let iterable = try evaluate(loop.iterable, scope)
            guard loop.isRecursive else { return try run(loop, over: iterable, scope, depth0: 0) }
            try write(try recurse(loop, over: iterable, scope, depth0: 0))
            return .normal
        case .setBlock(let target, let filters, let body):
            let (text, flow) = try captured(body, filters, scope)
            if flow == .normal { try assign(target, text, scope) }
            return flow
        case .filterBlock(let filters, let body):
            let (text, flow) = try captured(body, filters, scope)
            if flow == .normal { try write(try string(text, "the result of a filter block")) }
            return flow
        case .callBlock(let callee, let arguments, let caller):
            let function = try evaluate(callee, scope)
            var values = try self.arguments(arguments, scope)
            guard values.named("caller") == nil else { throw fail("the argument 'caller' is taken by the call block") }
            values.named.append(("caller", macro(caller, scope)))
            try write(try string(try call(function, values), "the result of a call block"))
        case .with(let bindings, let body):
            let inner = Scope(parent: scope)
            var values: [Value] = []
            for binding in bindings { values.append(try evaluate(binding.value, scope)) }
            for (binding, value) in zip(bindings, values) { try assign(binding.target, value, inner) }
            return try execute(body, inner)
        case .scope(let body): _ = try execute(body, Scope(parent: scope))
        default: break
        }
        return .normal
    }

    private func captured(
        _ body: [Statement], _ filters: [FilterCall], _ scope: Scope
    ) throws(TemplateError) -> (Value, Flow) {
        let inner = Scope(parent: scope)
        let (text, flow) = try capture { () throws(TemplateError) in try execute(body, inner) }
        var value = Value.text(text)
        guard flow == .normal else { return (value, flow) }
        for filter in filters { value = try apply(filter, to: value, inner) }
        return (value, flow)
    }

    /// Gives a value, or the parts of it, to a target.
    func assign(_ target: Target, _ value: Value, _ scope: Scope) throws(TemplateError) {
        switch target {
        case .name(let name): scope.set(name, value)
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace) = try lookUp(name, scope) else {
                throw fail(
                    "'\(template.names[name])' is not a namespace, so its attribute '\(attribute)' cannot be set")
            }
            try checkNamespaceName(attribute)
            try check(depth: value.depth + 1)
            namespace.dictionary.set(attribute, to: value)
        case .tuple(let targets):
            let parts = try elements(of: value)
            guard parts.count == targets.count else {
                throw fail("\(parts.count) values cannot be unpacked into \(targets.count) names")
            }
            for (target, part) in zip(targets, parts) { try assign(target, part, scope) }
        }
    }

    // MARK: Loops

    private func run(
        _ loop: ForLoop, over iterable: Value, _ scope: Scope, depth0: Int
    ) throws(TemplateError) -> Flow {
        let state = try self.state(of: loop, over: iterable, scope, depth0: depth0)
        let inner = Scope(parent: scope)
        // As in jinja2, a round cut short by `break` or `continue` does not keep `else` from running.
        var isElseDue = true
        defer { inner.removeAll() }
        while let element = try state.next(self) {
            try step()
            inner.removeAll()
            inner.set(ParsedTemplate.loopName, .loop(state))
            try assign(loop.target, element, inner)
            let flow = try execute(loop.body, inner)
            if flow == .breakLoop { break }
            if flow == .normal { isElseDue = false }
        }
        inner.removeAll()
        guard isElseDue, !loop.otherwise.isEmpty else { return .normal }
        return try execute(loop.otherwise, Scope(parent: scope))
    }

    /// Runs a recursive loop, or one more level of it.
    func recurse(_ loop: ForLoop, over iterable: Value, _ scope: Scope, depth0: Int) throws(TemplateError) -> Text {
        callDepth += 1
        defer { callDepth -= 1 }
        guard callDepth <= limits.callDepth else {
            throw exceeded("recursive loops and macro calls are nested more than \(limits.callDepth) deep")
        }
        return try capture { () throws(TemplateError) in
            try run(loop, over: iterable, scope, depth0: depth0)
        }.text
    }

    private func state(
        of loop: ForLoop, over iterable: Value, _ scope: Scope, depth0: Int
    ) throws(TemplateError) -> LoopState {
        let recursion = loop.isRecursive ? (loop: loop, scope: scope) : nil
        if loop.isRecursive || loop.test != nil { hold(scope) }
        let source = try iterator(of: iterable)
        try check(depth: source.depth + 2)
        guard let test = loop.test else {
            return LoopState(source, count: try? count(of: iterable), depth0: depth0, recursion: recursion)
        }
        let inner = Scope(parent: scope)
        let filtered = TransformIterator(source) { (element, run) throws(TemplateError) in
            inner.removeAll()
            try run.assign(loop.target, element, inner)
            return try run.evaluate(test, inner).isTrue ? .keep(element) : .drop
        }
        return LoopState(filtered, count: nil, depth0: depth0, recursion: recursion)
    }

    func checkEvaluationDepth() throws(TemplateError) {
        guard depth <= limits.evaluationDepth else {
            throw exceeded("statements, expressions and calls are nested more than \(limits.evaluationDepth) deep")
        }
    }
}
