extension Parser {
    /// Any number of `.name`, `[...]` and `(...)`.
    mutating func postfixes() throws(TemplateError) -> [Postfix] {
        var chain: [Postfix] = []
        while true {
            let line = self.line
            switch token.kind {
            case .symbol(.dot): chain.append(Postfix(kind: try attribute(), line: line))
            case .symbol(.leftBracket): chain.append(Postfix(kind: try subscripted(), line: line))
            case .symbol(.leftParenthesis): chain.append(Postfix(kind: .call(try callArguments()), line: line))
            default: return chain
            }
        }
    }

    /// Any number of `|filter`, `is test` and calls of what they give.
    mutating func filtersAndTests() throws(TemplateError) -> [Postfix] {
        var chain: [Postfix] = []
        while true {
            let line = self.line
            switch token.kind {
            case .symbol(.pipe):
                for filter in try filters(startsInline: false) {
                    chain.append(Postfix(kind: .filter(filter), line: filter.line))
                }
            case .name("is"):
                advance()
                chain.append(Postfix(kind: .test(try test()), line: line))
            case .symbol(.leftParenthesis): chain.append(Postfix(kind: .call(try callArguments()), line: line))
            default: return chain
            }
        }
    }

    private mutating func attribute() throws(TemplateError) -> Postfix.Kind {
        advance()
        switch token.kind {
        case .name(let name):
            advance()
            return .attribute(Attribute(name))
        case .integer(let index):
            advance()
            return .item(.constant(.integer(index)))
        default: throw fail("\(token.shown) stands where a name or number is expected after '.'")
        }
    }

    private mutating func subscripted() throws(TemplateError) -> Postfix.Kind {
        advance()
        var start: Expression?
        if !isSymbol(.colon) {
            let first = try expression()
            guard isSymbol(.colon) else {
                var elements = [first]
                while skip(.comma) { elements.append(try expression()) }
                try expect(.rightBracket)
                return .item(elements.count == 1 ? first : .tuple(elements))
            }
            start = first
        }
        try expect(.colon)
        let stop = isSymbol(.colon) || isSymbol(.rightBracket) ? nil : try expression()
        var step: Expression?
        if skip(.colon), !isSymbol(.rightBracket) { step = try expression() }
        try expect(.rightBracket)
        return .slice(start: start, stop: stop, step: step)
    }

    mutating func callArguments() throws(TemplateError) -> CallArguments {
        try expect(.leftParenthesis)
        var arguments = CallArguments()
        var isFirst = true
        while !isSymbol(.rightParenthesis) {
            if !isFirst {
                try expect(.comma)
                if isSymbol(.rightParenthesis) { break }
            }
            isFirst = false
            if skip(.multiply) {
                guard arguments.unpackedList == nil, arguments.unpackedDictionary == nil else {
                    throw fail("'*' may stand only once in a call, and before '**'")
                }
                arguments.unpackedList = try expression()
            } else if skip(.power) {
                guard arguments.unpackedDictionary == nil else { throw fail("'**' may stand only once in a call") }
                arguments.unpackedDictionary = try expression()
            } else if case .name(let name) = token.kind, nextToken.kind == .symbol(.assign) {
                guard arguments.unpackedDictionary == nil else {
                    throw fail("the argument '\(name)' stands behind '**' in a call")
                }
                guard !arguments.named.contains(where: { $0.name == name }) else {
                    throw fail("the argument '\(name)' is given twice in a call")
                }
                advance()
                advance()
                arguments.named.append((name, try expression()))
            } else {
                guard arguments.unpackedList == nil, arguments.unpackedDictionary == nil, arguments.named.isEmpty else {
                    throw fail("an argument without a name stands behind named ones in a call")
                }
                arguments.positional.append(try expression())
            }
        }
        try expect(.rightParenthesis)
        return arguments
    }

    /// `|a|b(...)`; with `startsInline` the first name stands without its bar.
    mutating func filters(startsInline: Bool) throws(TemplateError) -> [FilterCall] {
        var filters: [FilterCall] = []
        var isInline = startsInline
        while isInline || skip(.pipe) {
            isInline = false
            let line = self.line
            let name = try dottedName()
            let filter = Filter(rawValue: name.string)
            if filter == nil { noteUnknown("filter", name, line) }
            let arguments = isSymbol(.leftParenthesis) ? try callArguments() : CallArguments()
            filters.append(FilterCall(name: name, filter: filter, arguments: arguments, line: line))
        }
        return filters
    }

    private mutating func test() throws(TemplateError) -> TestCall {
        let isNegated = skip(name: "not")
        let line = self.line
        let name = try dottedName()
        let test = Test(rawValue: name.string)
        if test == nil { noteUnknown("test", name, line) }
        var arguments = CallArguments()
        switch token.kind {
        case .symbol(.leftParenthesis): arguments = try callArguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw fail("tests with 'is' cannot be chained")
        case .name, .string, .integer, .float, .symbol(.leftBracket), .symbol(.leftBrace):
            let operand = try primary()
            let chain = try postfixes()
            arguments.positional = [chain.isEmpty ? operand : .postfix(operand, chain)]
        default: break
        }
        return TestCall(name: name, test: test, arguments: arguments, isNegated: isNegated)
    }

    private mutating func dottedName() throws(TemplateError) -> Text {
        var name = try expectName()
        while skip(.dot) {
            name.bytes.append(UInt8(ascii: "."))
            name.bytes += try expectName().bytes
        }
        return name
    }

    private mutating func noteUnknown(_ kind: String, _ name: Text, _ line: Int) {
        guard !isConditional else { return }
        unknownNames.append(
            TemplateError(kind: .syntax, line: line, message: "there is no \(kind) named '\(name)'"))
    }
}
