import CrumbCUDA

/// Two pieces of pinned memory through which much data goes to the card: one is filled while the other is copied.
struct Staging: ~Copyable {
    /// Bytes of a piece; large enough for copies at the link's speed. Not tuned yet.
    static let bytes = 16 << 20

    private let pieces: PinnedBuffer<UInt8>
    private let copied: EventPair
    private var turn = 0

    /// Events have one owner, so they cannot lie in an array.
    private struct EventPair: ~Copyable {
        let first: Event
        let second: Event
    }

    init(on device: Device) throws(CUDAError) {
        let first = try Event(on: device)
        let second = try Event(on: device)
        pieces = try PinnedBuffer(count: 2 * Self.bytes, on: device, for: "the upload of weights")
        copied = EventPair(first: first, second: second)
    }

    /// Fills a piece by `fill` and copies its first `count` bytes to `address`.
    mutating func send(
        _ count: Int, to address: UInt64, in stream: borrowing Stream, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(CUDAError) {
        let start = turn * Self.bytes
        let piece = UnsafeMutableBufferPointer(rebasing: pieces.elements[start..<start + count])
        // An event that was never recorded has happened.
        if turn == 0 { try copied.first.synchronize() } else { try copied.second.synchronize() }
        fill(UnsafeMutableRawBufferPointer(piece))
        try stream.copy(UnsafeBufferPointer(piece), to: DeviceView<UInt8>(address: address, count: count))
        if turn == 0 { try copied.first.record(in: stream) } else { try copied.second.record(in: stream) }
        turn = 1 - turn
    }
}
