import CrumbCUDA
import CrumbGPU
package import CrumbModel

/// Where a decoder runs and with what, in the words of every log, table and object of figures.
package struct Placement: Sendable, Equatable, CustomStringConvertible {
    /// "cpu", or the GPU's number and name: "cuda:0 (NVIDIA H200)".
    package let device: String
    /// The CPU's instruction set ("avx512"), or the image of GPU kernels and how products are made.
    package let backend: String

    package init(_ decoder: any Decoder) {
        if let gpu = decoder as? GPUDecoder {
            device = gpu.device.label
            backend = gpu.kernelsName
        } else {
            device = DeviceChoice.cpu.description
            backend = decoder.name
        }
    }

    package var description: String { "\(device), \(backend)" }
}

extension LoadedModel {
    /// Where this model runs.
    package var placement: Placement { Placement(decoder) }
}
