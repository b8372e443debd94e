import CrumbCUDA

/// What the decoder is called in logs and tables of results.
extension GPUDecoder {
    package var name: String { "\(device.label), \(imageName)" }

    /// The image that serves the card: "sm_90a".
    package var imageName: String { library.images.target(for: device.info.capability)?.name ?? "no image" }

    /// Which kernels are used, and how products are made.
    package var kernelsName: String { "\(imageName), \(pathName)" }
}
