/// A literal of the source.
enum Constant: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case double(Double)
    case text(Text)
}

enum ArithmeticOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
}

enum Comparison: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
}

/// A variable's place in `ParsedTemplate.names`.
typealias NameID = Int

/// An expression. Chains of one precedence are flat lists, so that only real nesting makes the tree deep.
indirect enum Expression: Sendable {
    case constant(Constant)
    case name(NameID, line: Int)
    case list([Expression])
    case tuple([Expression])
    case dictionary([(key: Expression, value: Expression)])
    /// Operators of one precedence, applied from the left.
    case arithmetic(Expression, [(sign: ArithmeticOperator, operand: Expression)], line: Int)
    /// `~`
    case concatenation([Expression])
    /// `a < b < c` as Python reads it: every neighbouring pair must hold.
    case comparison(Expression, [(sign: Comparison, operand: Expression)], line: Int)
    case and([Expression])
    case or([Expression])
    case not(Expression)
    case negative(Expression, line: Int)
    case positive(Expression, line: Int)
    case conditional(test: Expression, then: Expression, otherwise: Expression?)
    case postfix(Expression, [Postfix])
}

/// What may follow an expression: `.name`, `[item]`, `[a:b:c]`, `(arguments)`, `|filter`, `is test`.
struct Postfix: Sendable {
    enum Kind: Sendable {
        case attribute(Attribute)
        case item(Expression)
        case slice(start: Expression?, stop: Expression?, step: Expression?)
        case call(CallArguments)
        case filter(FilterCall)
        case test(TestCall)
    }

    let kind: Kind
    let line: Int
}

/// A name behind a dot, with the method it means on values that have it.
struct Attribute: Sendable {
    let name: Text
    let method: Method?

    init(_ name: Text) {
        self.name = name
        method = Method(rawValue: name.string)
    }
}

/// The arguments of a call, in the order of the source.
struct CallArguments: Sendable {
    var positional: [Expression] = []
    var named: [(name: Text, value: Expression)] = []
    /// `*list`
    var unpackedList: Expression?
    /// `**dictionary`
    var unpackedDictionary: Expression?
}

struct FilterCall: Sendable {
    let name: Text
    /// Nil for a name nobody knows: an error when it is reached.
    let filter: Filter?
    let arguments: CallArguments
    let line: Int
}

struct TestCall: Sendable {
    let name: Text
    let test: Test?
    let arguments: CallArguments
    let isNegated: Bool
}

/// The left side of an assignment.
indirect enum Target: Sendable {
    case name(NameID)
    /// `namespace.attribute`
    case attribute(NameID, Text)
    case tuple([Target])
}

struct Statement: Sendable {
    enum Kind: Sendable {
        case text(Text)
        case output(Expression)
        case branch([(test: Expression, body: [Statement])], otherwise: [Statement])
        case loop(ForLoop)
        case set(Target, Expression)
        case setBlock(Target, [FilterCall], body: [Statement])
        case macro(MacroDefinition)
        case callBlock(Expression, CallArguments, caller: MacroDefinition)
        case filterBlock([FilterCall], body: [Statement])
        case with([(target: Target, value: Expression)], body: [Statement])
        /// A body with its own variables: `{% generation %}`.
        case scope([Statement])
        case breakLoop
        case continueLoop
    }

    let kind: Kind
    let line: Int
}

final class ForLoop: Sendable {
    let target: Target
    let iterable: Expression
    let test: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]

    init(
        target: Target, iterable: Expression, test: Expression?, isRecursive: Bool, body: [Statement],
        otherwise: [Statement]
    ) {
        self.target = target
        self.iterable = iterable
        self.test = test
        self.isRecursive = isRecursive
        self.body = body
        self.otherwise = otherwise
    }
}

/// A macro, or the body of a call block seen as one.
final class MacroDefinition: Sendable {
    /// Nil for the body of a call block.
    let name: Text?
    let nameID: NameID
    let parameters: [(id: NameID, name: Text)]
    /// Defaults of the last parameters.
    let defaults: [Expression]
    let body: [Statement]
    /// Which of the special names the body mentions; only those arguments are accepted.
    let special: SpecialNames

    init(
        name: Text?, nameID: NameID, parameters: [(id: NameID, name: Text)], defaults: [Expression],
        body: [Statement], special: SpecialNames
    ) {
        self.name = name
        self.nameID = nameID
        self.parameters = parameters
        self.defaults = defaults
        self.body = body
        self.special = special
    }
}

struct SpecialNames: OptionSet, Sendable {
    let rawValue: Int
    static let caller = SpecialNames(rawValue: 1)
    static let varargs = SpecialNames(rawValue: 2)
    static let kwargs = SpecialNames(rawValue: 4)
}

/// A template, read and checked.
struct ParsedTemplate: Sendable {
    let body: [Statement]
    /// Every variable name of the source; `NameID` counts in here.
    let names: [Text]

    /// Names with a meaning of their own stand first.
    static let reservedNames: [Text] = ["loop", "caller", "varargs", "kwargs"]
    static let loopName: NameID = 0
    static let callerName: NameID = 1
    static let varargsName: NameID = 2
    static let kwargsName: NameID = 3
}
