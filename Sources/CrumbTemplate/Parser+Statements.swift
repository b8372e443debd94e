extension Parser {
    /// Statements and text up to the tag named by one of `ends` (which stays unread), or up to the end of the source
    /// if there are none.
    mutating func statements(until ends: [Text]) throws(TemplateError) -> [Statement] {
        try enter()
        let opened = line
        var body: [Statement] = []
        while true {
            let line = self.line
            switch token.kind {
            case .data(let text):
                body.append(Statement(kind: .text(text), line: line))
                advance()
            case .variableBegin:
                advance()
                body.append(Statement(kind: .output(try tuple()), line: line))
                guard token.kind == .variableEnd else { throw fail("\(token.shown) stands where '}}' is expected") }
                advance()
            case .blockBegin:
                advance()
                guard case .name(let name) = token.kind else {
                    throw fail("\(token.shown) stands where the name of a tag is expected")
                }
                if ends.contains(name) {
                    leave()
                    return body
                }
                body.append(contentsOf: try statement(name, endingWith: ends))
                try expectBlockEnd()
            case .end where ends.isEmpty:
                leave()
                return body
            default:
                let wanted = ends.map { "'\($0)'" }.joined(separator: " or ")
                throw fail("the template ends before \(wanted) of the block in line \(opened)")
            }
        }
    }

    /// The body of a block up to one of `ends`, which stays unread.
    mutating func body(until ends: Text...) throws(TemplateError) -> [Statement] {
        _ = skip(.colon)
        try expectBlockEnd()
        return try statements(until: ends)
    }

    private mutating func statement(_ name: Text, endingWith ends: [Text]) throws(TemplateError) -> [Statement] {
        let line = self.line
        advance()
        let kind: Statement.Kind
        switch name {
        case "if": kind = try branch()
        case "for": kind = try loop()
        case "set": kind = try set()
        case "macro": kind = .macro(try macro())
        case "call": kind = try callBlock()
        case "filter":
            let filters = try filters(startsInline: true)
            kind = .filterBlock(
                filters, body: try isolated { parser throws(TemplateError) in try parser.body(until: "endfilter") })
            advance()
        case "with": kind = try with()
        case "print": return try printed()
        case "generation":
            kind = .scope(try macroBody(until: "endgeneration").body)
            advance()
        case "break", "continue":
            guard loopDepth > 0 else { throw fail("'\(name)' stands outside of a loop") }
            kind = name == "break" ? .breakLoop : .continueLoop
        case "include", "import", "from", "extends", "block":
            throw fail("'\(name)' needs other templates, which a chat template does not have")
        default:
            let wanted = ends.map { "'\($0)'" }.joined(separator: " or ")
            throw fail("the tag '\(name)' is unknown\(ends.isEmpty ? "" : ", \(wanted) is expected")")
        }
        return [Statement(kind: kind, line: line)]
    }

    /// Runs `read` where unknown filters are errors again and `break` still leaves the loop outside.
    mutating func isolated<T>(_ read: (inout Parser) throws(TemplateError) -> T) throws(TemplateError) -> T {
        let conditional = isConditional
        isConditional = false
        let result = try read(&self)
        isConditional = conditional
        return result
    }

    private mutating func branch() throws(TemplateError) -> Statement.Kind {
        let conditional = isConditional
        isConditional = true
        var branches: [(test: Expression, body: [Statement])] = []
        repeat {
            let test = try tuple(allowsConditional: false)
            branches.append((test, try body(until: "elif", "else", "endif")))
        } while skip(name: "elif")
        var otherwise: [Statement] = []
        if skip(name: "else") { otherwise = try body(until: "endif") }
        advance()
        isConditional = conditional
        return .branch(branches, otherwise: otherwise)
    }

    private mutating func loop() throws(TemplateError) -> Statement.Kind {
        loopDepth += 1
        let target = try assignmentTarget(endingWith: "in")
        loopDepth -= 1
        try expect(name: "in")
        let iterable = try tuple(allowsConditional: false, endingWith: "recursive")
        let test = skip(name: "if") ? try expression() : nil
        let isRecursive = skip(name: "recursive")
        loopDepth += 1
        let body = try isolated { parser throws(TemplateError) in try parser.body(until: "endfor", "else") }
        loopDepth -= 1
        var otherwise: [Statement] = []
        if skip(name: "else") {
            let outer = loopDepth
            // The body of a recursive loop is a function of its own, its `else` leaves no outer loop.
            if isRecursive { loopDepth = 0 }
            otherwise = try isolated { parser throws(TemplateError) in try parser.body(until: "endfor") }
            loopDepth = outer
        }
        advance()
        return .loop(
            ForLoop(
                target: target, iterable: iterable, test: test, isRecursive: isRecursive, body: body,
                otherwise: otherwise))
    }

    private mutating func set() throws(TemplateError) -> Statement.Kind {
        let target = try assignmentTarget(allowsNamespace: true)
        if skip(.assign) { return .set(target, try tuple()) }
        let filters = try filters(startsInline: false)
        let body = try isolated { parser throws(TemplateError) in try parser.body(until: "endset") }
        advance()
        return .setBlock(target, filters, body: body)
    }

    private mutating func with() throws(TemplateError) -> Statement.Kind {
        var bindings: [(target: Target, value: Expression)] = []
        while token.kind != .blockEnd {
            if !bindings.isEmpty { try expect(.comma) }
            let target = try assignmentTarget()
            try expect(.assign)
            bindings.append((target, try expression()))
        }
        let body = try isolated { parser throws(TemplateError) in try parser.body(until: "endwith") }
        advance()
        return .with(bindings, body: body)
    }

    private mutating func printed() throws(TemplateError) -> [Statement] {
        var outputs: [Statement] = []
        while token.kind != .blockEnd {
            if !outputs.isEmpty { try expect(.comma) }
            let line = self.line
            outputs.append(Statement(kind: .output(try expression()), line: line))
        }
        return outputs
    }

    // MARK: Macros

    private mutating func macro() throws(TemplateError) -> MacroDefinition {
        let line = self.line
        let name = try expectName()
        try checkAssignable(name, line: line)
        let nameID = id(of: name)
        let (parameters, defaults) = try signature()
        let (body, special) = try macroBody(until: "endmacro")
        advance()
        return try definition(name, nameID, parameters, defaults, body, special)
    }

    private mutating func callBlock() throws(TemplateError) -> Statement.Kind {
        var parameters: [(id: NameID, name: Text)] = []
        var defaults: [Expression] = []
        if isSymbol(.leftParenthesis) { (parameters, defaults) = try signature() }
        guard case .postfix(let callee, var chain) = try expression(),
            case .call(let arguments)? = chain.popLast()?.kind
        else { throw fail("'call' needs the call of a macro, as in '{% call name() %}'") }
        let (body, special) = try macroBody(until: "endcall")
        advance()
        let caller = try definition(nil, ParsedTemplate.callerName, parameters, defaults, body, special)
        return .callBlock(chain.isEmpty ? callee : .postfix(callee, chain), arguments, caller: caller)
    }

    private func definition(
        _ name: Text?, _ nameID: NameID, _ parameters: [(id: NameID, name: Text)], _ defaults: [Expression],
        _ body: [Statement], _ special: SpecialNames
    ) throws(TemplateError) -> MacroDefinition {
        var special = special
        for (index, parameter) in parameters.enumerated() {
            switch parameter.id {
            case ParsedTemplate.callerName where special.contains(.caller):
                guard index >= parameters.count - defaults.count else {
                    throw fail("a macro's parameter 'caller' needs a default")
                }
                special.remove(.caller)
            case ParsedTemplate.varargsName: special.remove(.varargs)
            case ParsedTemplate.kwargsName: special.remove(.kwargs)
            default: break
            }
        }
        return MacroDefinition(
            name: name, nameID: nameID, parameters: parameters, defaults: defaults, body: body, special: special)
    }

    /// A body that runs as a function of its own, and the special names it mentions.
    private mutating func macroBody(until end: Text) throws(TemplateError) -> (body: [Statement], special: SpecialNames)
    {
        let outer = loopDepth
        loopDepth = 0
        specialNames.append([])
        let body = try isolated { parser throws(TemplateError) in try parser.body(until: end) }
        loopDepth = outer
        return (body, specialNames.removeLast())
    }

    private mutating func signature() throws(TemplateError) -> ([(id: NameID, name: Text)], [Expression]) {
        var parameters: [(id: NameID, name: Text)] = []
        var defaults: [Expression] = []
        try expect(.leftParenthesis)
        while !isSymbol(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let line = self.line
            let name = try expectName()
            try checkAssignable(name, line: line)
            guard !parameters.contains(where: { $0.name == name }) else {
                throw fail("the parameter '\(name)' is named twice")
            }
            parameters.append((id(of: name), name))
            if skip(.assign) {
                defaults.append(try expression())
            } else if !defaults.isEmpty {
                throw fail("the parameter '\(name)' without a default follows one with a default")
            }
        }
        try expect(.rightParenthesis)
        return (parameters, defaults)
    }
}
