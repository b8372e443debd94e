// What every fuzz target shares. A target's inputs are answered with a value or an error; a trap, a sanitizer report, a
// hang or a broken promise (`Fuzzer.require`) is a finding.

import CLibFuzzer
import Glibc

package enum Fuzzer {
    package typealias Test = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32

    /// Runs the target for ever, or as long as libFuzzer's options say. With `--write-seeds FOLDER` it writes the seeds,
    /// one file each, and ends.
    package static func run(seeds: [[UInt8]], _ test: Test) -> Never {
        if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--write-seeds" {
            for (index, seed) in seeds.enumerated() { write(seed, to: "\(CommandLine.arguments[2])/seed-\(index)") }
            exit(0)
        }
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(
            withUnsafeMutablePointer(to: &arguments) { pointer in
                pointer.withMemoryRebound(to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.self, capacity: 1) {
                    LLVMFuzzerRunDriver(&count, $0, test)
                }
            })
    }

    /// Ends the run with a finding unless the promise holds.
    package static func require(_ promise: Bool, _ what: @autoclosure () -> String) {
        if !promise { fatalError(what()) }
    }

    /// The input as an array of its own, so that the sanitizer sees every step beyond its end.
    package static func bytes(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
        [UInt8](UnsafeBufferPointer(start: start, count: count))
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        guard let file = fopen(path, "wb") else { fatalError("\(path) cannot be created") }
        bytes.withUnsafeBytes { _ = fwrite($0.baseAddress, 1, $0.count, file) }
        fclose(file)
    }
}

/// Bytes of a number, little-endian, for seeds.
package func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// The bytes of a file that holds seeds, nil where it cannot be read.
package func readFile(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        if count == 0 { return bytes }
        bytes += buffer[..<count]
    }
}
