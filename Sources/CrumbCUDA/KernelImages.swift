import CrumbKernels

/// The compiled kernels: each source's images for several architectures. `Scripts/kernels` writes the bytes.
///
/// An index of text comes first, padded with newlines to a multiple of 64 bytes:
///
///     crumb-kernels 1
///     image SOURCE TARGET OFFSET BYTES KERNEL,KERNEL,...
///     end
///
/// Offsets count from the end of the index. An image is a fat binary with one cubin or PTX, compressed,
/// which the driver unpacks.
package struct KernelImages: @unchecked Sendable {  // the bytes are never written
    /// One source compiled for one architecture.
    package struct Image {
        /// The source's name without its suffix.
        package let module: String
        package let target: ImageTarget
        package let bytes: UnsafeRawBufferPointer
        package let kernels: [String]
    }

    package let images: [Image]

    /// The images that are part of this program; none when it was built without them.
    package static let builtIn = KernelImages(
        UnsafeRawBufferPointer(start: crumb_kernel_images, count: crumb_kernel_images_bytes))

    private static let title = "crumb-kernels 1"
    private static let alignment = 64

    /// Reads the index of `bytes`, which must stay where they are; what is no archive holds no images.
    package init(_ bytes: UnsafeRawBufferPointer) {
        images = Self.read(bytes) ?? []
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) -> [Image]? {
        var lines: [[Substring]] = []
        var end = 0
        while lines.last != ["end"] {
            guard let newline = bytes[end...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            let line = String(decoding: bytes[end..<newline], as: UTF8.self)
            lines.append(line.split(separator: " "))
            end = newline + 1
        }
        let start = (end + alignment - 1) / alignment * alignment
        guard start <= bytes.count, lines.first == title.split(separator: " ") else { return nil }
        var images: [Image] = []
        for line in lines.dropFirst().dropLast() {
            guard line.count == 6, line[0] == "image", let target = ImageTarget(String(line[2])),
                let offset = Int(line[3]), let count = Int(line[4]), offset >= 0, count > 0,
                offset <= bytes.count - start, count <= bytes.count - start - offset
            else { return nil }
            let window = UnsafeRawBufferPointer(rebasing: bytes[start + offset..<start + offset + count])
            images.append(
                Image(
                    module: String(line[1]), target: target, bytes: window,
                    kernels: line[5].split(separator: ",").map(String.init)))
        }
        return images
    }

    /// What the kernels were compiled for, each once, in the order of the build.
    package var targets: [ImageTarget] {
        images.reduce(into: []) { targets, image in
            if !targets.contains(image.target) { targets.append(image.target) }
        }
    }

    /// The best target for a card, as `crumb doctor` prints it; nil where none fits.
    package func target(for card: ComputeCapability) -> ImageTarget? {
        Self.best(targets.filter { $0.serves(card) })
    }

    /// The best image that has `kernel` and runs on a card.
    ///
    /// - Throws: `CUDAError` that names the card and the images there are.
    package func image(of kernel: String, for info: DeviceInfo) throws(CUDAError) -> Image {
        let having = images.filter { $0.kernels.contains(kernel) }
        guard !having.isEmpty else {
            throw CUDAError(
                .noSuchKernel, "the program has no kernel named \(kernel); run make kernels and build again")
        }
        let best = Self.best(having.map(\.target).filter { $0.serves(info.capability) })
        guard let best, let image = having.first(where: { $0.target == best }) else {
            throw .noImage("kernel \(kernel) was", having.map(\.target), info)
        }
        return image
    }

    /// Refuses a card that no image serves.
    package func check(_ info: DeviceInfo) throws(CUDAError) {
        guard !images.isEmpty else {
            throw CUDAError(
                .noKernels,
                "this program was built without GPU kernels; run make kernels, build again, or use --device cpu")
        }
        guard target(for: info.capability) != nil else { throw .noImage("the kernels were", targets, info) }
    }

    private static func best(_ targets: [ImageTarget]) -> ImageTarget? {
        targets.max { $1.isBetter(than: $0) }
    }
}
