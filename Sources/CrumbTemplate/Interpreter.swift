import CrumbJSON

/// Renders one template once. It sees the context it is given and nothing else: there is no way from a template to
/// a file, a clock or the process.
final class Interpreter {
    let template: ParsedTemplate
    let limits: TemplateLimits
    /// Seconds since 1970 (UTC) for `strftime_now`; nil leaves that function undefined.
    let date: Int64?

    private let context: JSONObject
    /// Context variables already turned into values.
    private var resolved: [NameID: Value] = [:]
    /// Rendered text, of the block being captured or of the whole.
    private var output: [UInt8] = []

    private var steps = 0
    private var work = 0
    var depth = 0
    var callDepth = 0
    /// Line of the construct in work, for messages.
    var line = 1

    /// What may be part of a reference cycle, emptied at the end.
    private var scopes: [Scope] = []
    private var namespaces: [Namespace] = []

    init(_ template: ParsedTemplate, context: JSONObject, date: Int64?, limits: TemplateLimits) {
        self.template = template
        self.context = context
        self.date = date
        self.limits = limits
    }

    /// The rendered text.
    func render() throws(TemplateError) -> String {
        let root = Scope(parent: nil)
        defer {
            root.removeAll()
            for scope in scopes { scope.removeAll() }
            for namespace in namespaces { namespace.dictionary = ValueDictionary() }
        }
        _ = try execute(template.body, root)
        return String(decoding: output, as: UTF8.self)
    }

    // MARK: Budget

    func fail(_ message: String) -> TemplateError {
        TemplateError(kind: .evaluation, line: line, message: message)
    }

    func exceeded(_ message: String) -> TemplateError {
        TemplateError(kind: .limit, line: line, message: message)
    }

    /// Pays for one statement, expression or round of a loop.
    func step() throws(TemplateError) {
        steps += 1
        if steps > limits.steps { throw exceeded("rendering takes more than the \(limits.steps) steps allowed") }
    }

    /// Pays for reading or writing `bytes` bytes.
    func charge(_ bytes: Int) throws(TemplateError) {
        let (sum, overflow) = work.addingReportingOverflow(bytes)
        guard !overflow, sum <= limits.workBytes else {
            throw exceeded("rendering works on more than the \(limits.workBytes) bytes allowed")
        }
        work = sum
    }

    /// Pays for a list of `elements` values before it is made.
    func charge(elements: Int) throws(TemplateError) {
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: MemoryLayout<Value>.stride)
        try charge(overflow ? .max : bytes)
    }

    /// Pays for a string of `bytes` bytes before it is made.
    func charge(string bytes: Int) throws(TemplateError) {
        guard bytes <= limits.stringBytes else {
            throw exceeded("a string of \(bytes) bytes is longer than the \(limits.stringBytes) allowed")
        }
        try charge(bytes)
    }

    // MARK: Making containers

    func list(_ items: [Value]) throws(TemplateError) -> Value {
        .list(try checked(ValueList(items)))
    }

    func tuple(_ items: [Value]) throws(TemplateError) -> Value {
        .tuple(try checked(ValueList(items)))
    }

    private func checked(_ list: ValueList) throws(TemplateError) -> ValueList {
        try charge(elements: list.items.count)
        try check(depth: list.depth)
        return list
    }

    func check(depth: Int) throws(TemplateError) {
        guard depth <= limits.valueDepth else {
            throw exceeded("lists and dictionaries are nested more than \(limits.valueDepth) deep")
        }
    }

    func dictionary(_ dictionary: ValueDictionary) throws(TemplateError) -> Value {
        try charge(elements: 2 * dictionary.count)
        try check(depth: dictionary.depth)
        return .dictionary(dictionary)
    }

    func iterator(_ iterator: ValueIterator) throws(TemplateError) -> Value {
        try check(depth: iterator.depth)
        return .iterator(iterator)
    }

    func namespace(_ dictionary: ValueDictionary) throws(TemplateError) -> Value {
        try check(depth: dictionary.depth)
        let namespace = Namespace(dictionary)
        namespaces.append(namespace)
        return .namespace(namespace)
    }

    /// Notes a scope that a value holds on to.
    func hold(_ scope: Scope) {
        if scopes.last !== scope { scopes.append(scope) }
    }

    func macro(_ definition: MacroDefinition, _ scope: Scope) -> Value {
        hold(scope)
        return .macro(Macro(definition, scope: scope))
    }

    // MARK: Output

    func write(_ text: Text) throws(TemplateError) {
        try charge(text.bytes.count)
        guard output.count + text.bytes.count <= limits.outputBytes else {
            throw exceeded("the text grows beyond the \(limits.outputBytes) bytes allowed")
        }
        output += text.bytes
    }

    /// What `body` writes, as a string instead of output. A loop left in the middle of it takes the text along.
    func capture(_ body: () throws(TemplateError) -> Flow) throws(TemplateError) -> (text: Text, flow: Flow) {
        let outer = output
        output = []
        let flow = try body()
        let text = Text(output)
        output = outer
        return (text, flow)
    }

    // MARK: Variables

    /// The value of a variable: of the blocks around, of the context, or one of the functions.
    func lookUp(_ name: NameID, _ scope: Scope) throws(TemplateError) -> Value {
        if let value = scope.value(name) { return value }
        if let value = resolved[name] { return value }
        let text = template.names[name]
        let value: Value
        if let json = context[text.string] {
            value = try self.value(json, depth: 0)
        } else if let function = GlobalFunction(rawValue: text.string), function != .strftimeNow || date != nil {
            value = .function(function)
        } else {
            value = .undefined(Undefined("'\(text)' is undefined"))
        }
        resolved[name] = value
        return value
    }

    /// A value of the context. Its size is the caller's matter, its depth is not.
    private func value(_ json: JSONValue, depth: Int) throws(TemplateError) -> Value {
        try check(depth: depth)
        switch json {
        case .null: return .null
        case .bool(let value): return .bool(value)
        case .number(.integer(let value)): return .integer(Int(value))
        case .number(.double(let value)): return .double(value)
        case .string(let string): return .text(Text(string))
        case .array(let array):
            var items: [Value] = []
            items.reserveCapacity(array.count)
            for element in array { items.append(try value(element, depth: depth + 1)) }
            return .list(ValueList(items))
        case .object(let object):
            let dictionary = ValueDictionary()
            for entry in object.entries {
                dictionary.set(Text(entry.key), to: try value(entry.value, depth: depth + 1))
            }
            return .dictionary(dictionary)
        }
    }
}

/// How a list of statements ended.
enum Flow {
    case normal
    case breakLoop
    case continueLoop
}
