/// The variables of one block, and the blocks around it.
final class Scope {
    let parent: Scope?
    private var names: [NameID] = []
    private var values: [Value] = []

    init(parent: Scope?) {
        self.parent = parent
    }

    func set(_ name: NameID, _ value: Value) {
        for index in names.indices where names[index] == name {
            values[index] = value
            return
        }
        names.append(name)
        values.append(value)
    }

    func value(_ name: NameID) -> Value? {
        var scope: Scope? = self
        while let current = scope {
            for index in current.names.indices where current.names[index] == name { return current.values[index] }
            scope = current.parent
        }
        return nil
    }

    func removeAll() {
        names.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
    }
}
