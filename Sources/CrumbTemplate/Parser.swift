/// Turns tokens into a syntax tree, by recursive descent with a bound on its depth.
struct Parser {
    private let tokens: [Token]
    private var index = 0
    private let limits: TemplateLimits
    private var depth = 0
    private var names: [Text] = ParsedTemplate.reservedNames
    private var nameIDs: [Text: NameID] = [:]

    /// Loops around the current statement, up to the nearest macro: whether `break` has something to leave.
    var loopDepth = 0
    /// Unknown filters and tests are errors, except behind a condition that may never hold.
    var isConditional = false
    /// Errors of unknown filters and tests so far, less those that turned out to stand behind a condition.
    var unknownNames: [TemplateError] = []
    /// Special names mentioned in each of the macro bodies around the current position, the innermost last.
    var specialNames: [SpecialNames] = []

    /// Reads a whole template.
    /// - Throws: `TemplateError` with the line of the first construct that cannot be read.
    static func parse(_ source: String, limits: TemplateLimits) throws(TemplateError) -> ParsedTemplate {
        var parser = Parser(tokens: try Lexer.tokens(of: source, limits: limits), limits: limits)
        let body = try parser.statements(until: [])
        if let unknown = parser.unknownNames.first { throw unknown }
        return ParsedTemplate(body: body, names: parser.names)
    }

    private init(tokens: [Token], limits: TemplateLimits) {
        self.tokens = tokens
        self.limits = limits
        for (id, name) in names.enumerated() { nameIDs[name] = id }
    }

    // MARK: Tokens

    var token: Token { tokens[index] }

    var nextToken: Token { tokens[min(index + 1, tokens.count - 1)] }

    var line: Int { token.line }

    mutating func advance() {
        if index + 1 < tokens.count { index += 1 }
    }

    func fail(_ message: String) -> TemplateError {
        TemplateError(kind: .syntax, line: line, message: message)
    }

    func isSymbol(_ symbol: Symbol) -> Bool { token.kind == .symbol(symbol) }

    func isName(_ name: Text) -> Bool { token.kind == .name(name) }

    mutating func skip(_ symbol: Symbol) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: Text) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: Symbol) throws(TemplateError) {
        guard skip(symbol) else { throw fail("\(token.shown) stands where '\(symbol.rawValue)' is expected") }
    }

    mutating func expect(name: Text) throws(TemplateError) {
        guard skip(name: name) else { throw fail("\(token.shown) stands where '\(name)' is expected") }
    }

    mutating func expectName() throws(TemplateError) -> Text {
        guard case .name(let name) = token.kind else { throw fail("\(token.shown) stands where a name is expected") }
        advance()
        return name
    }

    mutating func expectBlockEnd() throws(TemplateError) {
        guard token.kind == .blockEnd else { throw fail("\(token.shown) stands where '%}' is expected") }
        advance()
    }

    // MARK: Bookkeeping

    mutating func id(of name: Text) -> NameID {
        if let id = nameIDs[name] { return id }
        names.append(name)
        nameIDs[name] = names.count - 1
        return names.count - 1
    }

    /// Counts one level of nesting; every call is paired with `leave()`.
    mutating func enter() throws(TemplateError) {
        depth += 1
        guard depth <= limits.nesting else {
            throw TemplateError(
                kind: .limit, line: line,
                message: "statements or parentheses are nested more than \(limits.nesting) deep")
        }
    }

    mutating func leave() {
        depth -= 1
    }

    mutating func noteUse(of name: Text) {
        let special: SpecialNames
        switch name {
        case "caller": special = .caller
        case "varargs": special = .varargs
        case "kwargs": special = .kwargs
        default: return
        }
        for index in specialNames.indices { specialNames[index].insert(special) }
    }
}
