/// Signs with a meaning inside tags.
enum Symbol: String, Sendable {
    case add = "+"
    case subtract = "-"
    case divide = "/"
    case floorDivide = "//"
    case multiply = "*"
    case modulo = "%"
    case power = "**"
    case tilde = "~"
    case leftBracket = "["
    case rightBracket = "]"
    case leftParenthesis = "("
    case rightParenthesis = ")"
    case leftBrace = "{"
    case rightBrace = "}"
    case equal = "=="
    case notEqual = "!="
    case greater = ">"
    case greaterOrEqual = ">="
    case less = "<"
    case lessOrEqual = "<="
    case assign = "="
    case dot = "."
    case colon = ":"
    case pipe = "|"
    case comma = ","
    case semicolon = ";"
}

/// One lexical unit of a template.
struct Token: Sendable {
    enum Kind: Sendable, Equatable {
        /// Text outside of all tags, whitespace control already applied.
        case data(Text)
        case variableBegin
        case variableEnd
        case blockBegin
        case blockEnd
        case name(Text)
        case string(Text)
        case integer(Int)
        case float(Double)
        case symbol(Symbol)
        case end
    }

    let kind: Kind
    /// Line in the source, 1-based.
    let line: Int

    /// How an error message shows the token.
    var shown: String {
        switch kind {
        case .data: "text"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .name(let name): "'\(name)'"
        case .string: "a string"
        case .integer(let value): "'\(value)'"
        case .float(let value): "'\(value)'"
        case .symbol(let symbol): "'\(symbol.rawValue)'"
        case .end: "the end of the template"
        }
    }
}
