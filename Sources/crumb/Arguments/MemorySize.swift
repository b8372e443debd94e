import ArgumentParser

/// An amount of memory on the command line: `6G`, `512MiB`, `800000000`. Letters are powers of 1024.
struct MemorySize: ExpressibleByArgument, Equatable {
    let bytes: Int

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number.isFinite else { return nil }
        let shift: Double
        switch argument.dropFirst(digits.count).lowercased() {
        case "", "b": shift = 1
        case "k", "kb", "kib": shift = 1024
        case "m", "mb", "mib": shift = 1_048_576
        case "g", "gb", "gib": shift = 1_073_741_824
        case "t", "tb", "tib": shift = 1_099_511_627_776
        default: return nil
        }
        guard let bytes = Int(exactly: (number * shift).rounded()), bytes > 0 else { return nil }
        self.bytes = bytes
    }
}
