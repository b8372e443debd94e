import CrumbCUDA
import Testing

extension FakeDriverTests {
    @Suite struct KernelImagesTests {
        private func info(_ major: Int32, _ minor: Int32) throws -> DeviceInfo {
            try FakeDriver.driver { $0.capability = (major, minor) }.info(of: 0)
        }

        private static let shipped = [
            "sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120", "compute_80", "compute_90",
        ]

        @Test(
            arguments: [
                (7, 0, nil), (7, 5, "sm_75"), (8, 0, "sm_80"), (8, 6, "sm_86"), (8, 7, "sm_86"), (8, 9, "sm_89"),
                (9, 0, "sm_90a"), (10, 0, "sm_100"), (10, 3, "sm_100"), (11, 0, "compute_90"), (12, 0, "sm_120"),
                (12, 1, "sm_120"), (13, 0, "compute_90"),
            ] as [(Int, Int, String?)]) func `each card gets its own machine code, or the newest PTX that it takes`(
                _ major: Int, _ minor: Int, _ name: String?
            )
        {
            let images = FakeImages.scale(Self.shipped)
            #expect(images.target(for: ComputeCapability(major, minor))?.name == name)
        }

        @Test func `machine code of an older minor version goes before newer PTX, and the specific before the general`()
        {
            let images = FakeImages.scale(["compute_89", "sm_86", "sm_80", "sm_90", "sm_90a"])
            #expect(images.target(for: ComputeCapability(8, 9))?.name == "sm_86")
            #expect(images.target(for: ComputeCapability(9, 0))?.name == "sm_90a")
        }

        @Test(.enabled(if: !KernelImages.builtIn.images.isEmpty)) func `the program's own images are compressed`() {
            let images = KernelImages.builtIn.images
            for image in images {
                // The magic number of fat binaries, and of Zstandard behind the headers.
                #expect(image.bytes.loadUnaligned(as: UInt32.self) == 0xBA55_ED50, "\(image.module) \(image.target)")
                let head = Array(image.bytes.prefix(256))
                let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
                #expect((0..<head.count - 4).contains { Array(head[$0..<$0 + 4]) == frame }, "\(image.module)")
            }
            #expect(Set(images.map(\.target.name)) == Set(Self.shipped))
        }

        @Test(arguments: ["sm_", "sm_9x", "sm_90b", "compute_", "80", "sm_-80", "sm_9", "sm_99999"])
        func `what is no architecture is no target`(_ name: String) {
            #expect(ImageTarget(name) == nil)
        }

        @Test func `a card that no image serves is named with the images there are`() throws {
            let images = FakeImages.scale(["sm_80", "sm_90a"])
            let error = try #require(throws: CUDAError.self) { try images.check(try info(7, 5)) }
            #expect(error.kind == .noImage)
            for part in ["cuda:0 (Fake H200)", "7.5", "sm_80, sm_90a", "--device cpu"] {
                #expect(error.description.contains(part))
            }
        }

        @Test func `a kernel for one architecture only is refused on others by its own name`() throws {
            let images = FakeImages.images(
                FakeImages.text([
                    .init(module: "a", target: "sm_80", kernels: "common"),
                    .init(module: "b", target: "sm_90a", kernels: "hopper", bytes: [7, 8, 9]),
                ]))
            let error = try #require(throws: CUDAError.self) { try images.image(of: "hopper", for: try info(8, 0)) }
            #expect(error.kind == .noImage && error.description.contains("kernel hopper was compiled for sm_90a only"))
            #expect(try Array(images.image(of: "hopper", for: try info(9, 0)).bytes) == [7, 8, 9])
            let unknown = try #require(throws: CUDAError.self) { try images.image(of: "other", for: try info(8, 0)) }
            #expect(unknown.kind == .noSuchKernel)
        }

        @Test func `a program built without kernels says how to get them`() throws {
            let images = FakeImages.images([])
            let error = try #require(throws: CUDAError.self) { try images.check(try info(9, 0)) }
            #expect(error.kind == .noKernels && error.description.contains("make kernels"))
        }

        @Test func `an archive cut short or lying about its sizes holds no images`() {
            let whole = FakeImages.text([.init(module: "a", target: "sm_80", kernels: "k")])
            #expect(FakeImages.images(whole).images.count == 1)
            // Behind the image lies padding, which may be missing.
            for length in 0..<64 + 5 { #expect(FakeImages.images(Array(whole.prefix(length))).images.isEmpty) }
            for line in [
                "image a sm_80 0 -1 k", "image a sm_80 -1 5 k", "image a sm_80 9223372036854775807 5 k",
                "image a sm_80 0 9223372036854775807 k", "image a sm_80 0 5", "image a sm_xx 0 5 k",
                "noise a sm_80 0 5 k",
            ] {
                let text = "crumb-kernels 1\n\(line)\nend\n" + String(repeating: "\n", count: 128)
                #expect(FakeImages.images(Array(text.utf8)).images.isEmpty, "\(line)")
            }
            #expect(FakeImages.images(Array("crumb-kernels 2\nend\n".utf8)).images.isEmpty)
        }

        @Test func `the kernels of this program, where there are any, serve Hopper`() {
            let images = KernelImages.builtIn
            #expect(images.images.isEmpty || images.target(for: ComputeCapability(9, 0)) != nil)
        }
    }
}
