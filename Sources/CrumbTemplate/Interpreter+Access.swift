extension Interpreter {
    /// `value.name`: a method or other attribute first, then the item of this name.
    func attribute(_ attribute: Attribute, of value: Value) throws(TemplateError) -> Value {
        if case .undefined(let undefined) = value {
            throw fail("\(undefined.reason), so its attribute '\(attribute.name)' cannot be read")
        }
        if let own = try ownAttribute(attribute, of: value) { return own }
        if case .dictionary(let dictionary) = value, let item = dictionary[.text(attribute.name)] { return item }
        return .undefined(Undefined("\(describe(value)) has no attribute '\(attribute.name)'"))
    }

    /// `value[index]`: the item first, then, for strings, the attribute of this name.
    func item(_ index: Value, of value: Value) throws(TemplateError) -> Value {
        switch value {
        case .undefined(let undefined): throw fail("\(undefined.reason), so its items cannot be read")
        case .dictionary(let dictionary):
            if let key = try hashable(index), let item = dictionary[key] { return item }
        case .list(let list), .tuple(let list):
            if let position = position(index, count: list.items.count) { return list.items[position] }
        case .range(let range):
            if let position = position(index, count: range.count) { return .integer(range[position]) }
        case .text(let text):
            try charge(text.bytes.count)
            if let position = position(index, count: text.count) { return .text(text.slice(position, position + 1)) }
        default: break
        }
        if case .text(let name) = index, let own = try ownAttribute(Attribute(name), of: value) { return own }
        return .undefined(Undefined("\(describe(value)) has no item \(shown(index))"))
    }

    /// An index, counted from the end if negative; nil if it is none or lies outside.
    private func position(_ index: Value, count: Int) -> Int? {
        let position: Int
        switch index {
        case .integer(let value): position = value
        case .bool(let value): position = value ? 1 : 0
        default: return nil
        }
        guard position < count, position >= -count else { return nil }
        return position < 0 ? position + count : position
    }

    /// The key a value makes; nil if it cannot be one.
    func hashable(_ value: Value) throws(TemplateError) -> Key? {
        if case .tuple = value { try payForElements(of: value) }
        return Key(unchecked: value)
    }

    func key(of value: Value) throws(TemplateError) -> Key {
        guard let key = try hashable(value) else { throw fail("\(describe(value)) cannot be the key of a dictionary") }
        return key
    }

    /// Pays for all elements of nested tuples: shared ones count as often as they appear.
    private func payForElements(of value: Value) throws(TemplateError) {
        guard case .tuple(let list) = value else { return }
        try charge(elements: 4 * list.items.count)
        for item in list.items { try payForElements(of: item) }
    }

    /// What a value has of its own by this name, beside its items.
    private func ownAttribute(_ attribute: Attribute, of value: Value) throws(TemplateError) -> Value? {
        switch value {
        case .loop(let loop): return try loop.attribute(attribute.name, self)
        case .namespace(let namespace): return namespace.dictionary[.text(attribute.name)]
        case .macro(let macro): return macroAttribute(attribute.name, of: macro)
        case .tuple(let list) where list.isGroup && attribute.name == "grouper": return list.items.first
        case .tuple(let list) where list.isGroup && attribute.name == "list": return list.items.last
        case .range(let range):
            switch attribute.name {
            case "start": return .integer(range.start)
            case "stop": return .integer(range.stop)
            case "step": return .integer(range.step)
            default: break
            }
        case .cycler(let cycler) where attribute.name == "current": return cycler.items[cycler.position]
        default: break
        }
        if attribute.name.bytes.starts(with: [0x5F, 0x5F]), attribute.name.hasSuffix("__") {
            return .undefined(Undefined("the attribute '\(attribute.name)' is out of a template's reach"))
        }
        guard let method = attribute.method else { return nil }
        if method.isRefused(on: value) {
            return .undefined(
                Undefined("'\(attribute.name)' would change a \(value.typeName), which a template cannot"))
        }
        return method.exists(on: value) ? .method(BoundMethod(value, method)) : nil
    }

    private func macroAttribute(_ name: Text, of macro: Macro) -> Value? {
        let definition = macro.definition
        switch name {
        case "name": return definition.name.map { .text($0) } ?? .null
        case "arguments": return .tuple(ValueList(definition.parameters.map { .text($0.name) }))
        case "catch_kwargs": return .bool(definition.special.contains(.kwargs))
        case "catch_varargs": return .bool(definition.special.contains(.varargs))
        case "caller": return .bool(definition.special.contains(.caller))
        default: return nil
        }
    }

    /// An index or key in a message.
    private func shown(_ index: Value) -> String {
        switch index {
        case .text(let text): "'\(text.string.prefix(60))'"
        case .integer(let value): "\(value)"
        default: "of type \(index.typeName)"
        }
    }
}
