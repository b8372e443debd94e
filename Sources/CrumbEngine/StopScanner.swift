/// Looks for stop strings in text that arrives in pieces, and holds back what may be the beginning of one.
///
/// Works on UTF-8 bytes. Pieces are whole characters, as `StreamingDecoder` gives them, and a stop string begins with a
/// whole character, so every cut falls between characters.
package struct StopScanner: Sendable {
    private let stops: [[UInt8]]
    private var held: [UInt8] = []

    /// - Parameter stops: Empty ones are ignored.
    package init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty } }

    /// Takes the next piece.
    ///
    /// - Returns: the text that can be shown, and whether a stop string was found, which is not part of the text; the
    ///   scanner is then empty.
    package mutating func push(_ piece: String) -> (text: String, stopped: Bool) {
        if stops.isEmpty { return (piece, false) }
        held.append(contentsOf: piece.utf8)
        if let start = firstMatch() {
            let text = String(decoding: held[..<start], as: UTF8.self)
            held = []
            return (text, true)
        }
        let keep = stops.map { heldSuffix(matching: $0) }.max() ?? 0
        let text = String(decoding: held[..<(held.count - keep)], as: UTF8.self)
        held.removeFirst(held.count - keep)
        return (text, false)
    }

    /// The text still held back, when no more pieces come.
    package mutating func finish() -> String {
        defer { held = [] }
        return String(decoding: held, as: UTF8.self)
    }

    /// Where the earliest stop string begins.
    private func firstMatch() -> Int? {
        held.indices.first { start in
            stops.contains { $0.count <= held.count - start && held[start..<start + $0.count].elementsEqual($0) }
        }
    }

    /// Bytes of the longest end of the held text that is the beginning of `stop`.
    private func heldSuffix(matching stop: [UInt8]) -> Int {
        for count in stride(from: min(stop.count - 1, held.count), to: 0, by: -1)
        where held[(held.count - count)...].elementsEqual(stop[..<count]) {
            return count
        }
        return 0
    }
}
