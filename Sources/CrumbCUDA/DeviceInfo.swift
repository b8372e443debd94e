/// A version of the CUDA interface that a driver offers, such as 13.0.
package struct DriverVersion: Sendable, Comparable, CustomStringConvertible {
    /// 1000 x major + 10 x minor, as the driver counts.
    package let number: Int32

    package init(number: Int32) { self.number = number }

    /// What the kernels' machine code needs: nvcc 13.0 made it, and only drivers of the same major version promise to
    /// load it.
    package static let minimum = DriverVersion(number: 13000)

    package static func < (a: DriverVersion, b: DriverVersion) -> Bool { a.number < b.number }

    package var description: String { "\(number / 1000).\(number % 1000 / 10)" }

    /// The driver release for Linux that first offered `minimum`.
    var release: String { "580" }
}

/// The generation of a card: 9.0 is Hopper.
package struct ComputeCapability: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let major: Int
    package let minor: Int

    package init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    package static func < (a: ComputeCapability, b: ComputeCapability) -> Bool {
        (a.major, a.minor) < (b.major, b.minor)
    }

    package var description: String { "\(major).\(minor)" }

    /// Clusters, bulk copies and programmatic launches exist from Hopper on.
    package var hasProgrammaticLaunch: Bool { major >= 9 }
}

/// What there is to know about a card before anything runs on it.
package struct DeviceInfo: Sendable {
    /// The N of cuda:N.
    package let index: Int
    package let name: String
    /// Such as "0000:04:00.0"; NVML finds the card by it.
    package let busID: String
    package let driverVersion: DriverVersion
    package let capability: ComputeCapability
    /// Streaming multiprocessors.
    package let multiprocessors: Int
    package let totalBytes: Int
    package let l2Bytes: Int
    /// Shared memory that one block may ask for, and that a multiprocessor has for all its blocks.
    package let sharedBytesPerBlock: Int
    package let sharedBytesPerMultiprocessor: Int
    package let clockMegahertz: Int
    package let memoryClockMegahertz: Int
    package let memoryBusBits: Int

    /// The card in messages: "cuda:0 (NVIDIA H200)".
    package var label: String { "cuda:\(index) (\(name))" }

    /// Bytes a second that the memory's clock and width allow; two transfers a clock.
    package var nominalBandwidth: Double { 2 * Double(memoryClockMegahertz) * 1e6 * Double(memoryBusBits) / 8 }
}
