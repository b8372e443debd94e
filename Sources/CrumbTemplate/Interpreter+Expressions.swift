extension Interpreter {
    func evaluate(_ expression: Expression, _ scope: Scope) throws(TemplateError) -> Value {
        try step()
        switch expression {
        case .constant(let constant):
            switch constant {
            case .null: return .null
            case .bool(let value): return .bool(value)
            case .integer(let value): return .integer(value)
            case .double(let value): return .double(value)
            case .text(let text): return .text(text)
            }
        case .name(let name, let line):
            self.line = line
            return try lookUp(name, scope)
        default:
            depth += 1
            defer { depth -= 1 }
            try checkEvaluationDepth()
            return try evaluateNested(expression, scope)
        }
    }

    private func evaluateNested(_ expression: Expression, _ scope: Scope) throws(TemplateError) -> Value {
        switch expression {
        case .postfix(let base, let chain):
            return try evaluate(chain, on: try evaluate(base, scope), scope)
        case .arithmetic(let first, let rest, let line):
            var value = try evaluate(first, scope)
            for (sign, operand) in rest {
                let right = try evaluate(operand, scope)
                self.line = line
                value = try arithmetic(sign, value, right)
            }
            return value
        case .concatenation(let operands):
            var builder = TextBuilder(self)
            for operand in operands { try builder.append(try text(of: try evaluate(operand, scope))) }
            return .text(builder.text)
        case .comparison(let first, let rest, let line): return try compareChain(first, rest, line, scope)
        case .and(let operands):
            for operand in operands.dropLast() {
                let value = try evaluate(operand, scope)
                if !value.isTrue { return value }
            }
            return try operands.last.map { operand throws(TemplateError) in try evaluate(operand, scope) } ?? .null
        case .or(let operands):
            for operand in operands.dropLast() {
                let value = try evaluate(operand, scope)
                if value.isTrue { return value }
            }
            return try operands.last.map { operand throws(TemplateError) in try evaluate(operand, scope) } ?? .null
        case .not(let operand): return .bool(!(try evaluate(operand, scope).isTrue))
        case .negative(let operand, let line):
            let value = try evaluate(operand, scope)
            self.line = line
            return try signed(value, isNegative: true)
        case .positive(let operand, let line):
            let value = try evaluate(operand, scope)
            self.line = line
            return try signed(value, isNegative: false)
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test, scope).isTrue { return try evaluate(then, scope) }
            guard let otherwise else {
                return .undefined(Undefined("the inline 'if' has no 'else' and its condition does not hold"))
            }
            return try evaluate(otherwise, scope)
        case .list(let elements): return try list(try evaluateAll(elements, scope))
        case .tuple(let elements): return try tuple(try evaluateAll(elements, scope))
        case .dictionary(let entries):
            let dictionary = ValueDictionary()
            for (key, value) in entries {
                let key = try evaluate(key, scope)
                dictionary.set(key, hashed: try self.key(of: key), to: try evaluate(value, scope))
            }
            return try self.dictionary(dictionary)
        case .constant, .name: return try evaluate(expression, scope)
        }
    }

    private func evaluateAll(_ expressions: [Expression], _ scope: Scope) throws(TemplateError) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression, scope)) }
        return values
    }

    private func compareChain(
        _ first: Expression, _ rest: [(sign: Comparison, operand: Expression)], _ line: Int, _ scope: Scope
    ) throws(TemplateError) -> Value {
        var left = try evaluate(first, scope)
        for (comparison, operand) in rest {
            let right = try evaluate(operand, scope)
            self.line = line
            guard try compare(comparison, left, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    // MARK: Postfixes

    private func evaluate(_ chain: [Postfix], on base: Value, _ scope: Scope) throws(TemplateError) -> Value {
        var value = base
        for postfix in chain {
            try step()
            switch postfix.kind {
            case .attribute(let attribute):
                line = postfix.line
                value = try self.attribute(attribute, of: value)
            case .item(let index):
                let index = try evaluate(index, scope)
                line = postfix.line
                value = try item(index, of: value)
            case .slice(let start, let stop, let step):
                let start = try bound(start, scope)
                let stop = try bound(stop, scope)
                let step = try bound(step, scope)
                line = postfix.line
                value = try slice(value, start, stop, step)
            case .call(let arguments):
                let arguments = try self.arguments(arguments, scope)
                line = postfix.line
                value = try call(value, arguments)
            case .filter(let filter): value = try apply(filter, to: value, scope)
            case .test(let test):
                let arguments = try self.arguments(test.arguments, scope)
                line = postfix.line
                guard let known = test.test else { throw fail("there is no test named '\(test.name)'") }
                value = .bool(try self.test(known, value, arguments) != test.isNegated)
            }
        }
        return value
    }

    func apply(_ filter: FilterCall, to value: Value, _ scope: Scope) throws(TemplateError) -> Value {
        let arguments = try self.arguments(filter.arguments, scope)
        line = filter.line
        guard let known = filter.filter else { throw fail("there is no filter named '\(filter.name)'") }
        return try self.filter(known, value, arguments)
    }

    func arguments(_ call: CallArguments, _ scope: Scope) throws(TemplateError) -> Arguments {
        var arguments = Arguments()
        for argument in call.positional { arguments.positional.append(try evaluate(argument, scope)) }
        for (name, argument) in call.named { arguments.named.append((name, try evaluate(argument, scope))) }
        if let list = call.unpackedList {
            let elements = try self.elements(of: try evaluate(list, scope))
            try charge(elements: elements.count)
            arguments.positional += elements
        }
        guard let unpacked = call.unpackedDictionary else { return arguments }
        guard case .dictionary(let dictionary) = try evaluate(unpacked, scope) else {
            throw fail("'**' in a call needs a dictionary")
        }
        for (key, value) in zip(dictionary.keys, dictionary.values) {
            guard case .text(let name) = key else {
                throw fail("'**' in a call needs a dictionary with strings as keys")
            }
            guard arguments.named(name) == nil else { throw fail("the argument '\(name)' is given twice in a call") }
            arguments.named.append((name, value))
        }
        try charge(elements: 2 * dictionary.count)
        return arguments
    }

    // MARK: Slices

    /// One bound of a slice; nil if it is left out or none.
    private func bound(_ expression: Expression?, _ scope: Scope) throws(TemplateError) -> Int? {
        guard let expression else { return nil }
        switch try evaluate(expression, scope) {
        case .null: return nil
        case .integer(let value): return value
        case .bool(let value): return value ? 1 : 0
        case let other: throw fail("a slice needs integers, not \(describe(other))")
        }
    }

    private func slice(_ value: Value, _ start: Int?, _ stop: Int?, _ step: Int?) throws(TemplateError) -> Value {
        guard step != 0 else { throw fail("the step of a slice is 0") }
        switch value {
        case .text(let text):
            try charge(2 * text.bytes.count)
            let indices = SliceIndices(count: text.count, start, stop, step ?? 1)
            if indices.step == 1 { return .text(text.slice(indices.start, indices.start + indices.count)) }
            let scalars = Array(text.scalars)
            var result = String.UnicodeScalarView()
            for index in indices.all { result.append(scalars[index]) }
            return .text(Text(String(result)))
        case .list(let list):
            return try self.list(SliceIndices(count: list.items.count, start, stop, step ?? 1).pick(list.items))
        case .tuple(let list):
            return try tuple(SliceIndices(count: list.items.count, start, stop, step ?? 1).pick(list.items))
        case .range(let range):
            let indices = SliceIndices(count: range.count, start, stop, step ?? 1)
            let (newStep, overflow) = range.step.multipliedReportingOverflow(by: indices.step)
            guard !overflow else { throw fail("the step of a slice is too large") }
            let first = range.start &+ indices.start &* range.step
            return .range(
                ValueRange(start: first, stop: first &+ indices.count &* newStep, step: newStep, count: indices.count))
        default: throw fail("\(describe(value)) cannot be sliced")
        }
    }
}

/// The positions a Python slice selects.
struct SliceIndices {
    let start: Int
    let step: Int
    let count: Int

    /// `step` is not 0.
    init(count length: Int, _ start: Int?, _ stop: Int?, _ step: Int) {
        let lowest = step < 0 ? -1 : 0
        let highest = step < 0 ? length - 1 : length
        func clamped(_ index: Int?, _ missing: Int) -> Int {
            guard let index else { return missing }
            return index < 0 ? max(index + length, lowest) : min(index, highest)
        }
        let first = clamped(start, step < 0 ? highest : lowest)
        let last = clamped(stop, step < 0 ? lowest : highest)
        self.start = first
        // `step` may be any integer; only its distance to the span matters.
        self.step = max(min(step, length + 1), -length - 1)
        count =
            step < 0
            ? (last < first ? (first - last - 1) / -self.step + 1 : 0)
            : (first < last ? (last - first - 1) / self.step + 1 : 0)
    }

    var all: [Int] { (0..<count).map { start + $0 * step } }

    func pick(_ items: [Value]) -> [Value] {
        step == 1 ? Array(items[start..<(start + count)]) : all.map { items[$0] }
    }
}
