import CrumbCUDA
import CrumbJSON

/// The card that figures were measured on, and its driver.
struct MeasuredCard {
    let info: DeviceInfo
    /// NVIDIA's own number of the driver; nil where NVML is missing.
    let release: String?

    /// "NVIDIA H200".
    var name: String { info.name }

    /// "driver 580.159.04, CUDA 13.0"; the first of them where it is known.
    var driver: String { (release.map { "driver \($0), " } ?? "") + "CUDA \(info.driverVersion)" }

    /// What a report for programs says of the driver.
    var driverFields: [(String, JSONValue)] {
        [("cuda", .string("\(info.driverVersion)")), ("driver", release.map { .string($0) } ?? .null)]
    }
}
