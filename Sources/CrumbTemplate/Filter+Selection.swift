extension Interpreter {
    /// `map`, `select`, `reject` and their `attr` forms: iterators that work as they are asked.
    func selection(
        _ filter: Filter, _ value: Value, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> Value {
        // The arguments live on in the iterator, and may be iterators themselves.
        let held = arguments.positional + arguments.named.map(\.value)
        let depth = held.reduce(value.depth) { max($0, $1.depth) } + 2
        return try iterator(
            DeferredIterator(depth: depth) { run throws(TemplateError) in
                // As in jinja2, what is false is not even looked at: a number 0 passes, a 1 does not.
                guard value.isTrue else { return ListIterator([], depth: 1) }
                if filter == .map {
                    let mapping = try run.mapping(arguments, name)
                    return TransformIterator(try run.iterator(of: value)) { (element, run) throws(TemplateError) in
                        .keep(try mapping(element, run))
                    }
                }
                let condition = try run.condition(filter, arguments, name)
                let isKept = filter == .select || filter == .selectattr
                return TransformIterator(try run.iterator(of: value)) { (element, run) throws(TemplateError) in
                    try condition(element, run) == isKept ? .keep(element) : .drop
                }
            })
    }

    private func mapping(
        _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> (Value, Interpreter) throws(TemplateError) -> Value {
        if arguments.positional.isEmpty, let attribute = arguments.named("attribute") {
            let standard = arguments.named("default")
            if let unknown = arguments.named.first(where: { $0.name != "attribute" && $0.name != "default" }) {
                throw fail("\(name) has no argument '\(unknown.name)'")
            }
            let path = try path(attribute) ?? []
            let usesDefault = standard.map { !isNone($0) } ?? false
            return { (element, run) throws(TemplateError) in
                try run.value(at: path, of: element, default: usesDefault ? standard : nil)
            }
        }
        guard let first = arguments.positional.first else { throw fail("\(name) needs the name of a filter") }
        let filterName = try string(first, name)
        var rest = arguments
        rest.positional.removeFirst()
        return { [rest] (element, run) throws(TemplateError) in
            guard let filter = Filter(rawValue: filterName.string) else {
                throw run.fail("there is no filter named '\(filterName)'")
            }
            return try run.filter(filter, element, rest)
        }
    }

    private func condition(
        _ filter: Filter, _ arguments: Arguments, _ name: String
    ) throws(TemplateError) -> (Value, Interpreter) throws(TemplateError) -> Bool {
        var rest = arguments
        var path: [Value] = []
        if filter == .selectattr || filter == .rejectattr {
            guard let attribute = rest.positional.first else { throw fail("\(name) needs the name of an attribute") }
            path = try self.path(attribute) ?? []
            rest.positional.removeFirst()
        }
        guard let first = rest.positional.first else {
            return { [path] (element, run) throws(TemplateError) in try run.value(at: path, of: element).isTrue }
        }
        let testName = try string(first, name)
        rest.positional.removeFirst()
        return { [path, rest] (element, run) throws(TemplateError) in
            guard let test = Test(rawValue: testName.string) else {
                throw run.fail("there is no test named '\(testName)'")
            }
            return try run.test(test, try run.value(at: path, of: element), rest)
        }
    }
}
