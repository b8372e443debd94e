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

enum Kind { case c, swift, guarded }

/// One row per room, in the direction of the data: a room imports only from rows above its own.
/// `Scripts/check-imports` holds the sources to this table.
let rooms: [(name: String, kind: Kind, dependencies: [Target.Dependency])] = [
    ("CrumbABI", .c, []),
    ("CrumbSIMD", .c, ["CrumbABI"]),
    ("CrumbJSON", .guarded, []),
    ("CrumbThreads", .swift, []),
    ("CrumbTensor", .swift, []),
    ("CrumbReport", .swift, []),
    ("CrumbTokenizer", .guarded, ["CrumbJSON"]),
    ("CrumbTemplate", .guarded, ["CrumbJSON"]),
    ("CrumbBLAS", .swift, []),
    ("CrumbPacked", .swift, ["CrumbABI", "CrumbTensor"]),
    ("CrumbFormats", .guarded, ["CrumbJSON", "CrumbTensor", .product(name: "Crypto", package: "swift-crypto")]),
    ("CrumbQuant", .swift, ["CrumbABI", "CrumbBLAS", "CrumbPacked", "CrumbTensor", "CrumbThreads"]),
    ("CrumbModel", .swift, ["CrumbABI", "CrumbFormats", "CrumbJSON", "CrumbPacked", "CrumbTensor"]),
    ("CrumbCPU", .swift, [
        "CrumbABI", "CrumbFormats", "CrumbModel", "CrumbPacked", "CrumbSIMD", "CrumbTensor", "CrumbThreads",
    ]),
    ("CrumbEngine", .swift, [
        "CrumbABI", "CrumbCPU", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbPacked", "CrumbTemplate", "CrumbTensor",
        "CrumbThreads", "CrumbTokenizer", .product(name: "Logging", package: "swift-log"),
    ]),
    ("CrumbEval", .swift, [
        "CrumbABI", "CrumbCPU", "CrumbEngine", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbPacked", "CrumbSIMD",
        "CrumbTensor", "CrumbThreads",
    ]),
    ("CrumbPipeline", .swift, [
        "CrumbABI", "CrumbBLAS", "CrumbCPU", "CrumbEngine", "CrumbEval", "CrumbFormats", "CrumbJSON", "CrumbModel",
        "CrumbPacked", "CrumbQuant", "CrumbTensor", "CrumbThreads", "CrumbTokenizer",
        .product(name: "Logging", package: "swift-log"),
    ]),
]

/// The rooms that have tests of their own, with what these tests use beside the room.
let tests: [(room: String, others: [Target.Dependency])] = [
    ("CrumbJSON", []),
    ("CrumbReport", []),
    ("CrumbTokenizer", ["CrumbJSON"]),
    ("CrumbTemplate", ["CrumbJSON"]),
    ("CrumbSIMD", ["CrumbABI"]),
    ("CrumbPacked", ["CrumbABI", "CrumbTensor"]),
    ("CrumbThreads", []),
    ("CrumbFormats", ["CrumbJSON", "CrumbTensor"]),
    ("CrumbQuant", ["CrumbABI", "CrumbBLAS", "CrumbPacked", "CrumbThreads"]),
    ("CrumbModel", ["CrumbFormats", "CrumbJSON", "CrumbTensor"]),
    ("CrumbCPU", [
        "CrumbABI", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbPacked", "CrumbTensor", "CrumbThreads",
    ]),
    ("CrumbEngine", [
        "CrumbABI", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbPacked", "CrumbTemplate", "CrumbTensor",
        "CrumbThreads", "CrumbTokenizer", .product(name: "Logging", package: "swift-log"),
    ]),
    ("CrumbEval", [
        "CrumbCPU", "CrumbEngine", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbTensor", "CrumbThreads",
        "CrumbTokenizer", .product(name: "Logging", package: "swift-log"),
    ]),
    ("CrumbPipeline", [
        "CrumbABI", "CrumbEngine", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbPacked", "CrumbThreads",
        .product(name: "Logging", package: "swift-log"),
    ]),
]

let package = Package(
    name: "crumb",
    products: [.executable(name: "crumb", targets: ["crumb"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: rooms.map { room in
        switch room.kind {
        case .c: .target(name: room.name, dependencies: room.dependencies, cSettings: [.unsafeFlags(["-O3"])])
        case .swift: .target(name: room.name, dependencies: room.dependencies, swiftSettings: strict)
        case .guarded: .target(name: room.name, dependencies: room.dependencies, swiftSettings: guarded)
        }
    } + [
        .executableTarget(
            name: "crumb",
            dependencies: [
                "CrumbABI", "CrumbEngine", "CrumbEval", "CrumbFormats", "CrumbJSON", "CrumbModel", "CrumbPacked",
                "CrumbPipeline", "CrumbQuant", "CrumbReport", "CrumbTensor", "CrumbThreads", "CrumbTokenizer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandTests", dependencies: ["crumb", "CrumbFormats", "CrumbJSON"], swiftSettings: strict),
        .target(
            name: "CrumbTestSupport", dependencies: ["CrumbFormats", "CrumbJSON", "CrumbTensor"],
            path: "Tests/CrumbTestSupport", swiftSettings: strict),
    ] + tests.map { test in
        .testTarget(
            name: test.room + "Tests",
            dependencies: [.target(name: test.room), "CrumbTestSupport"] + test.others, swiftSettings: strict)
    },
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
