// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: what leaks into an API is visible at the head of its file,
/// and existential boxes are spelled out.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// Rooms that read hostile bytes also mark every unsafe expression, as a map for reviewers. The numeric
/// rooms work on raw buffers throughout, where the mark would stand on every line and say nothing.
let guarded: [SwiftSetting] = strict + [.strictMemorySafety()]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

/// A target of the data's way, its settings, and what it imports: rooms by name without "Crumb", and products.
struct Room {
    enum Kind { case c, swift, guarded, program }

    let name: String
    let kind: Kind
    let dependencies: [Target.Dependency]

    init(_ name: String, _ kind: Kind, _ rooms: [String] = [], _ products: [Target.Dependency] = []) {
        self.name = name
        self.kind = kind
        dependencies = rooms.map { .target(name: "Crumb" + $0) } + products
    }

    var target: Target {
        switch kind {
        case .c: .target(name: name, dependencies: dependencies, cSettings: [.unsafeFlags(["-O3"])])
        case .swift: .target(name: name, dependencies: dependencies, swiftSettings: strict)
        case .guarded: .target(name: name, dependencies: dependencies, swiftSettings: guarded)
        case .program: .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
        }
    }
}

/// One row per room, in the direction of the data: a room imports only from rows above its own.
/// `Scripts/check-imports` holds the sources to this table.
let rooms: [Room] = [
    Room("CrumbABI", .c),
    Room("CrumbSIMD", .c, ["ABI"]),
    Room("CrumbCorpus", .c),
    Room("CrumbSandbox", .c),
    Room("CrumbJSON", .guarded),
    Room("CrumbThreads", .swift),
    Room("CrumbTensor", .swift),
    Room("CrumbReport", .swift),
    Room("CrumbBLAS", .swift),
    Room("CrumbKernels", .c),
    Room("CrumbCUDATypes", .c),
    Room("CrumbCUDA", .swift, ["CUDATypes", "Kernels"]),
    Room("CrumbTokenizer", .guarded, ["JSON"]),
    Room("CrumbTemplate", .guarded, ["JSON"]),
    Room("CrumbPacked", .swift, ["ABI", "Tensor"]),
    Room("CrumbFormats", .guarded, ["JSON", "Tensor"]),
    Room("CrumbDigest", .swift, ["Formats"], [crypto]),
    Room("CrumbTasks", .swift, ["Corpus", "Formats", "JSON", "Sandbox"]),
    Room("CrumbQuant", .swift, ["ABI", "BLAS", "Packed", "Tensor", "Threads"]),
    Room("CrumbModel", .swift, ["ABI", "Formats", "JSON", "Packed", "Tensor", "Threads"]),
    Room("CrumbCPU", .swift, ["ABI", "Model", "Packed", "SIMD", "Tensor", "Threads"]),
    Room("CrumbGPU", .swift, ["ABI", "CPU", "CUDA", "JSON", "Model", "Packed", "Tensor", "Threads"]),
    Room("CrumbTune", .swift, ["ABI", "CUDA", "JSON", "Model", "Packed", "Quant", "Tensor", "Threads"]),
    Room(
        "CrumbEngine", .swift,
        [
            "ABI", "CPU", "CUDA", "Digest", "Formats", "GPU", "JSON", "Model", "Packed", "Template", "Tensor",
            "Threads", "Tokenizer",
        ],
        [logging]),
    Room(
        "CrumbEval", .swift,
        ["Corpus", "CUDA", "Engine", "Formats", "GPU", "Model", "SIMD", "Tasks", "Tensor", "Threads", "Tokenizer"]),
    Room(
        "CrumbPipeline", .swift,
        [
            "ABI", "BLAS", "Corpus", "CUDA", "Digest", "Engine", "Eval", "Formats", "JSON", "Model", "Packed", "Quant",
            "Tensor", "Threads", "Tokenizer", "Tune",
        ],
        [logging]),
    Room(
        "crumb", .program,
        [
            "ABI", "CUDA", "Engine", "Eval", "Formats", "GPU", "JSON", "Model", "Packed", "Pipeline", "Quant", "Report",
            "Tasks", "Tensor", "Threads", "Tokenizer", "Tune",
        ],
        [logging, .product(name: "ArgumentParser", package: "swift-argument-parser")]),
]

/// The tests of a room, and what they import beside it.
func tests(_ room: String, _ others: [String] = [], _ products: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: room + "Tests",
        dependencies: [.target(name: room), "CrumbTestSupport"] + others.map { .target(name: "Crumb" + $0) } + products,
        swiftSettings: strict)
}

let package = Package(
    name: "crumb",
    products: [.executable(name: "crumb", targets: ["crumb"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: rooms.map(\.target) + [
        .target(
            name: "CrumbTestSupport", dependencies: ["CrumbFormats", "CrumbJSON", "CrumbTensor"],
            path: "Tests/CrumbTestSupport", swiftSettings: strict),
        tests("CrumbJSON"),
        tests("CrumbThreads"),
        tests("CrumbReport"),
        tests("CrumbCUDA", ["CUDATypes"]),
        tests("CrumbTokenizer", ["JSON"]),
        tests("CrumbTemplate", ["JSON"]),
        tests("CrumbSIMD", ["ABI"]),
        tests("CrumbPacked", ["ABI", "Tensor"]),
        tests("CrumbFormats", ["JSON", "Tensor"]),
        tests("CrumbDigest", ["Formats"]),
        tests("CrumbTasks", ["Formats", "JSON"]),
        tests("CrumbQuant", ["ABI", "BLAS", "Packed", "Threads"]),
        tests("CrumbTune", ["ABI", "JSON", "Model", "Packed"]),
        tests("CrumbModel", ["Formats", "JSON", "Tensor"]),
        tests("CrumbCPU", ["ABI", "Formats", "JSON", "Model", "Packed", "Tensor", "Threads"]),
        tests(
            "CrumbGPU",
            [
                "ABI", "CPU", "CUDA", "CUDATypes", "Engine", "Eval", "Formats", "JSON", "Model", "Packed", "Tensor",
                "Threads",
            ],
            [logging]),
        tests(
            "CrumbEngine",
            ["ABI", "Digest", "Formats", "JSON", "Model", "Packed", "Template", "Tensor", "Threads", "Tokenizer"],
            [logging]),
        tests(
            "CrumbEval", ["CPU", "Engine", "Formats", "JSON", "Model", "Tasks", "Tensor", "Threads", "Tokenizer"],
            [logging]),
        tests(
            "CrumbPipeline",
            ["ABI", "Engine", "Eval", "Formats", "JSON", "Model", "Packed", "Tensor", "Threads", "Tune"],
            [logging]),
        .testTarget(
            name: "CommandTests", dependencies: ["crumb", "CrumbFormats", "CrumbJSON"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzz targets; `Scripts/fuzz` builds and runs them. They exist only when asked for, because they link libFuzzer,
// which needs its own compiler flags.
if Context.environment["CRUMB_FUZZ"] != nil {
    let readers: [(name: String, dependencies: [Target.Dependency])] = [
        ("json", ["CrumbFormats", "CrumbJSON"]),
        ("gguf", ["CrumbFormats", "CrumbTensor"]),
        ("safetensors", ["CrumbFormats", "CrumbTensor"]),
        ("tokenizer", ["CrumbJSON", "CrumbTokenizer"]),
        ("template", ["CrumbJSON", "CrumbTemplate"]),
    ]
    package.targets += [
        .target(name: "CLibFuzzer", path: "Fuzz/CLibFuzzer"),
        .target(name: "FuzzSupport", dependencies: ["CLibFuzzer"], path: "Fuzz/FuzzSupport", swiftSettings: strict),
    ]
    package.targets += readers.map { reader in
        .executableTarget(
            name: "fuzz-\(reader.name)", dependencies: ["FuzzSupport"] + reader.dependencies,
            path: "Fuzz/fuzz-\(reader.name)", swiftSettings: strict)
    }
}
