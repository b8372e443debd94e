extension Parser {
    /// What may stand left of `=` or between `for` and `in`.
    mutating func assignmentTarget(
        endingWith end: Text? = nil, allowsNamespace: Bool = false
    ) throws(TemplateError) -> Target {
        try enter()
        var targets: [Target] = []
        var isTuple = false
        while true {
            if !targets.isEmpty { try expect(.comma) }
            if isTupleEnd(end) { break }
            targets.append(try simpleTarget(allowsNamespace: allowsNamespace))
            guard isSymbol(.comma) else { break }
            isTuple = true
        }
        leave()
        if !isTuple, let only = targets.first { return only }
        guard isTuple else { throw fail("\(token.shown) stands where a variable name is expected") }
        return .tuple(targets)
    }

    private mutating func simpleTarget(allowsNamespace: Bool) throws(TemplateError) -> Target {
        if skip(.leftParenthesis) {
            let inner = isSymbol(.rightParenthesis) ? Target.tuple([]) : try assignmentTarget()
            try expect(.rightParenthesis)
            return inner
        }
        let line = self.line
        let name = try expectName()
        if allowsNamespace, skip(.dot) { return .attribute(id(of: name), try expectName()) }
        try checkAssignable(name, line: line)
        return .name(id(of: name))
    }

    func checkAssignable(_ name: Text, line: Int) throws(TemplateError) {
        let constants: [Text] = ["true", "false", "none", "True", "False", "None"]
        if constants.contains(name) {
            throw TemplateError(kind: .syntax, line: line, message: "'\(name)' is a constant and cannot be assigned to")
        }
        if name == "loop", loopDepth > 0 {
            throw TemplateError(kind: .syntax, line: line, message: "'loop' cannot be assigned to inside of a loop")
        }
    }
}
