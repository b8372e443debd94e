import CrumbGPU
import CrumbJSON
import CrumbReport

extension KernelTiming {
    /// Microseconds, for people.
    var microseconds: String { Figures.decimal(seconds * 1e6, places: 2) }

    /// What every report for programs says of a kernel.
    var fields: [(String, JSONValue)] {
        [
            ("kernel", .string(kernel)), ("path", .string(path)), ("m", m.map { JSONValue($0) } ?? .null),
            ("n", n.map { JSONValue($0) } ?? .null), ("k", k.map { JSONValue($0) } ?? .null),
            ("microseconds", JSONValue(seconds * 1e6)), ("bytes", bytes.map { JSONValue($0) } ?? .null),
        ]
    }
}
