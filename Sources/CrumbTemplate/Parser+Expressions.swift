extension Parser {
    /// One expression, or a tuple of several with commas between them and no parentheses around.
    mutating func tuple(allowsConditional: Bool = true, endingWith end: Text? = nil) throws(TemplateError) -> Expression
    {
        try tuple(inParentheses: false, endingWith: end) { parser throws(TemplateError) in
            allowsConditional ? try parser.expression() : try parser.disjunction()
        }
    }

    private mutating func tuple(
        inParentheses: Bool, endingWith end: Text?, _ element: (inout Parser) throws(TemplateError) -> Expression
    ) throws(TemplateError) -> Expression {
        var elements: [Expression] = []
        var isTuple = false
        while true {
            if !elements.isEmpty { try expect(.comma) }
            if isTupleEnd(end) { break }
            elements.append(try element(&self))
            guard isSymbol(.comma) else { break }
            isTuple = true
        }
        if !isTuple, let only = elements.first { return only }
        guard isTuple || inParentheses else { throw fail("\(token.shown) stands where an expression is expected") }
        return .tuple(elements)
    }

    func isTupleEnd(_ end: Text?) -> Bool {
        switch token.kind {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis): true
        case .name(let name): name == end
        default: false
        }
    }

    /// An expression with `if`/`else` allowed.
    mutating func expression() throws(TemplateError) -> Expression {
        try enter()
        var levels = 1
        let unknownCount = unknownNames.count
        var result = try disjunction()
        while skip(name: "if") {
            unknownNames.removeLast(unknownNames.count - unknownCount)
            try enter()
            levels += 1
            let conditional = isConditional
            isConditional = true
            let test = try disjunction()
            let otherwise = skip(name: "else") ? try expression() : nil
            isConditional = conditional
            // `a if b if c` nests to the left.
            result = .conditional(test: test, then: result, otherwise: otherwise)
        }
        for _ in 0..<levels { leave() }
        return result
    }

    private mutating func disjunction() throws(TemplateError) -> Expression {
        var operands = [try conjunction()]
        while skip(name: "or") { operands.append(try conjunction()) }
        return operands.count == 1 ? operands[0] : .or(operands)
    }

    private mutating func conjunction() throws(TemplateError) -> Expression {
        var operands = [try negation()]
        while skip(name: "and") { operands.append(try negation()) }
        return operands.count == 1 ? operands[0] : .and(operands)
    }

    private mutating func negation() throws(TemplateError) -> Expression {
        guard skip(name: "not") else { return try comparison() }
        try enter()
        let operand = try negation()
        leave()
        return .not(operand)
    }

    private mutating func comparison() throws(TemplateError) -> Expression {
        let line = self.line
        let first = try sum()
        var rest: [(sign: Comparison, operand: Expression)] = []
        while true {
            if case .symbol(let symbol) = token.kind, let comparison = Comparison(rawValue: symbol.rawValue) {
                advance()
                rest.append((comparison, try sum()))
            } else if skip(name: "in") {
                rest.append((.isIn, try sum()))
            } else if isName("not"), nextToken.kind == .name("in") {
                advance()
                advance()
                rest.append((.isNotIn, try sum()))
            } else {
                return rest.isEmpty ? first : .comparison(first, rest, line: line)
            }
        }
    }

    private mutating func sum() throws(TemplateError) -> Expression {
        try chain([.add, .subtract]) { parser throws(TemplateError) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(TemplateError) -> Expression {
        var operands = [try product()]
        while skip(.tilde) { operands.append(try product()) }
        return operands.count == 1 ? operands[0] : .concatenation(operands)
    }

    private mutating func product() throws(TemplateError) -> Expression {
        try chain([.multiply, .divide, .floorDivide, .modulo]) { parser throws(TemplateError) in try parser.powers() }
    }

    /// Powers apply from the left, unlike Python's.
    private mutating func powers() throws(TemplateError) -> Expression {
        try chain([.power]) { parser throws(TemplateError) in try parser.unary() }
    }

    private mutating func chain(
        _ operators: [ArithmeticOperator], _ operand: (inout Parser) throws(TemplateError) -> Expression
    ) throws(TemplateError) -> Expression {
        let line = self.line
        let first = try operand(&self)
        var rest: [(sign: ArithmeticOperator, operand: Expression)] = []
        while case .symbol(let symbol) = token.kind, let found = ArithmeticOperator(rawValue: symbol.rawValue),
            operators.contains(found)
        {
            advance()
            rest.append((found, try operand(&self)))
        }
        return rest.isEmpty ? first : .arithmetic(first, rest, line: line)
    }

    private mutating func unary(allowsFilters: Bool = true) throws(TemplateError) -> Expression {
        let line = self.line
        var node: Expression
        if isSymbol(.subtract) || isSymbol(.add) {
            let isNegative = isSymbol(.subtract)
            advance()
            try enter()
            let operand = try unary(allowsFilters: false)
            leave()
            node = isNegative ? .negative(operand, line: line) : .positive(operand, line: line)
        } else {
            node = try primary()
        }
        var chain = try postfixes()
        if allowsFilters { chain += try filtersAndTests() }
        if !chain.isEmpty { node = .postfix(node, chain) }
        return node
    }

    /// A name, a literal or something in brackets.
    mutating func primary() throws(TemplateError) -> Expression {
        let line = self.line
        switch token.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return .constant(.bool(true))
            case "false", "False": return .constant(.bool(false))
            case "none", "None": return .constant(.null)
            default:
                noteUse(of: name)
                return .name(id(of: name), line: line)
            }
        case .string(var text):
            advance()
            while case .string(let more) = token.kind {
                text.bytes += more.bytes
                advance()
            }
            return .constant(.text(text))
        case .integer(let value):
            advance()
            return .constant(.integer(value))
        case .float(let value):
            advance()
            return .constant(.double(value))
        case .symbol(.leftParenthesis):
            advance()
            let result = try tuple(inParentheses: true, endingWith: nil) { parser throws(TemplateError) in
                try parser.expression()
            }
            try expect(.rightParenthesis)
            return result
        case .symbol(.leftBracket): return try list()
        case .symbol(.leftBrace): return try dictionary()
        default: throw fail("\(token.shown) stands where an expression is expected")
        }
    }

    private mutating func list() throws(TemplateError) -> Expression {
        try expect(.leftBracket)
        var elements: [Expression] = []
        while !isSymbol(.rightBracket) {
            if !elements.isEmpty { try expect(.comma) }
            if isSymbol(.rightBracket) { break }
            elements.append(try expression())
        }
        try expect(.rightBracket)
        return .list(elements)
    }

    private mutating func dictionary() throws(TemplateError) -> Expression {
        try expect(.leftBrace)
        var entries: [(key: Expression, value: Expression)] = []
        while !isSymbol(.rightBrace) {
            if !entries.isEmpty { try expect(.comma) }
            if isSymbol(.rightBrace) { break }
            let key = try expression()
            try expect(.colon)
            entries.append((key, try expression()))
        }
        try expect(.rightBrace)
        return .dictionary(entries)
    }
}
