/// Where a model is run.
package enum DeviceChoice: Sendable, Equatable, CustomStringConvertible {
    /// On the first GPU where there is one that can, else on the CPU; the log says which, and warns where there is
    /// a GPU that cannot.
    case automatic
    case cpu
    /// On this GPU, or not at all.
    case cuda(Int)

    /// Reads "auto", "cpu", "cuda" or "cuda:N".
    ///
    /// - Throws: `EngineError` that names what was given and what is known.
    package init(_ text: String) throws(EngineError) {
        switch text {
        case "auto": self = .automatic
        case "cpu": self = .cpu
        case "cuda": self = .cuda(0)
        default:
            let digits = text.hasPrefix("cuda:") ? text.dropFirst("cuda:".count) : ""
            // Int takes signs, which no card's number has.
            guard let index = Int(digits), digits.allSatisfy({ ("0"..."9").contains($0) }), index < 1 << 16 else {
                throw EngineError(
                    "the device is \"\(text)\", but must be auto, cpu, cuda or cuda: and the number of a GPU, as in cuda:0"
                )
            }
            self = .cuda(index)
        }
    }

    /// The number of the GPU that is meant, where a GPU is.
    package var index: Int {
        guard case .cuda(let index) = self else { return 0 }
        return index
    }

    package var description: String {
        switch self {
        case .automatic: "auto"
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        }
    }
}
