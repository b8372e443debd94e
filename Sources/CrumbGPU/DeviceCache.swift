package import CrumbABI
package import CrumbCUDA
package import CrumbModel
import Synchronization

/// Keys and values of several sequences in one piece of device memory, so that one launch attends for all of them.
///
/// fp16 [layers][keys, values][slots][kv heads][capacity][headDim].
package final class CacheArena: Sendable {
    /// Never given to another arena of the process.
    let id: Int
    package let slots: Int
    /// Positions of a slot.
    package let capacity: Int
    /// Bytes of one position's keys and values in all layers of one slot.
    package let positionBytes: Int
    private static let made = Atomic(0)
    private let keyValueHeads: Int
    /// fp16 numbers of one layer's keys (or values).
    private let layerCount: Int
    private let memory: DeviceBuffer<UInt16>

    /// - Parameter layers: Of the cache; nil for all of the model's.
    /// - Throws: `ModelError` for sizes that no card holds; `CUDAError` when the memory cannot be had.
    package init(
        _ configuration: ModelConfiguration, slots: Int, capacity: Int, layers: Int? = nil, on device: Device
    ) throws {
        precondition(slots > 0 && capacity > 0, "an empty cache")
        let layers = layers ?? configuration.numHiddenLayers
        let row = slots.multipliedReportingOverflow(by: configuration.keyValueFeatures)
        let layer = row.partialValue.multipliedReportingOverflow(by: capacity)
        let all = layer.partialValue.multipliedReportingOverflow(by: 2 * layers)
        guard !row.overflow, !layer.overflow, !all.overflow, capacity <= Int(Int32.max) else {
            throw ModelError(
                "the keys and values of \(slots) sequences of \(capacity) positions fit no memory; ask for a shorter context"
            )
        }
        id = Self.made.add(1, ordering: .relaxed).newValue
        self.slots = slots
        self.capacity = capacity
        keyValueHeads = configuration.numKeyValueHeads
        layerCount = layer.partialValue
        positionBytes = 2 * 2 * layers * configuration.keyValueFeatures
        memory = try DeviceBuffer(
            count: all.partialValue, on: device,
            for: "the cache of \(slots == 1 ? "a sequence" : "\(slots) sequences") of \(capacity) positions")
    }

    /// All keys and values become zero.
    package func fill(in stream: borrowing Stream) throws(CUDAError) { try stream.fill(memory.view) }

    /// One layer's part, as kernels take it.
    package func layer(_ index: Int) -> crumb_kv_layer {
        let keys = memory.view[2 * index * layerCount..<(2 * index + 1) * layerCount]
        return crumb_kv_layer(
            keys: keys.address, values: keys.address + UInt64(keys.byteCount), capacity: UInt32(capacity),
            kv_heads: UInt32(keyValueHeads))
    }
}

/// One sequence's keys and values on a card: a slot of an arena.
package final class DeviceCache: SequenceCache {
    package let arena: CacheArena
    package let slot: Int
    package private(set) var length = 0

    package init(_ arena: CacheArena, slot: Int) {
        precondition(slot >= 0 && slot < arena.slots, "slot \(slot) of \(arena.slots)")
        self.arena = arena
        self.slot = slot
    }

    package var capacity: Int { arena.capacity }
    package var positionBytes: Int { arena.positionBytes }

    package func advance(by count: Int) {
        precondition(count >= 0 && length + count <= capacity, "\(length) + \(count) of \(capacity) positions")
        length += count
    }

    package func truncate(to length: Int) {
        precondition(length >= 0 && length <= self.length, "\(length) of \(self.length) tokens")
        self.length = length
    }
}

extension GPUDecoder {
    package func makeCaches(sequences: Int, capacity: Int) throws -> [any SequenceCache] {
        try makeCaches(sequences, capacity: capacity)
    }
}
