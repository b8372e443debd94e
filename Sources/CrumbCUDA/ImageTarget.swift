/// What an image of kernels was compiled for: machine code of one architecture, or PTX that the driver compiles.
package struct ImageTarget: Sendable, Hashable, CustomStringConvertible {
    /// As nvcc calls it: "sm_80", "sm_90a", "compute_90".
    package let name: String
    package let capability: ComputeCapability
    /// PTX, compiled by the driver on the card's first use of it; slower to load, and kept in the driver's cache.
    package let isPTX: Bool
    /// Uses what only this very architecture has (the "a" of sm_90a).
    package let isSpecific: Bool

    /// nil for what is no target's name.
    package init?(_ name: String) {
        let (digits, isPTX): (Substring, Bool)
        if name.hasPrefix("sm_") {
            (digits, isPTX) = (name.dropFirst(3), false)
        } else if name.hasPrefix("compute_") {
            (digits, isPTX) = (name.dropFirst(8), true)
        } else {
            return nil
        }
        let isSpecific = digits.hasSuffix("a")
        guard let number = Int(isSpecific ? digits.dropLast() : digits), number >= 10, number < 10_000 else {
            return nil
        }
        self.name = name
        self.isPTX = isPTX
        self.isSpecific = isSpecific
        capability = ComputeCapability(number / 10, number % 10)
    }

    /// Whether a card runs this: machine code on its own generation from its own minor version on, PTX on everything
    /// later, and the specific kind nowhere else.
    package func serves(_ card: ComputeCapability) -> Bool {
        if isSpecific { return card == capability }
        return isPTX ? card >= capability : card.major == capability.major && card.minor >= capability.minor
    }

    /// Whether this is the better one of two that serve a card: machine code before PTX, then the newer, then the
    /// specific one.
    func isBetter(than other: ImageTarget) -> Bool {
        if isPTX != other.isPTX { return !isPTX }
        if capability != other.capability { return capability > other.capability }
        return isSpecific && !other.isSpecific
    }

    package var description: String { name }
}
