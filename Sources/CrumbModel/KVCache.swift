import Glibc

/// The keys and values of one sequence's tokens in host memory, for every layer.
///
/// Each layer has K and V as (capacity, numKeyValueHeads x headDim), row-major: one row per position. Memory is
/// reserved for the whole capacity; the system backs a page when it is first written.
package final class KVCache: SequenceCache {
    package enum Element: Sendable {
        case half, float

        package var byteCount: Int { self == .half ? 2 : 4 }
    }

    package let element: Element
    package let capacity: Int
    package let layers: Int
    /// Numbers in one row: key-value heads x headDim.
    package let rowCount: Int
    package private(set) var length = 0

    private let memory: UnsafeMutableRawPointer
    /// From one of the 2 x layers matrices to the next, a multiple of 64 bytes.
    private let matrixBytes: Int

    /// - Parameter capacity: Positions, prompt and answer together.
    /// - Throws: `ModelError` when the memory cannot be had.
    package init(
        layers: Int, rowCount: Int, capacity: Int, element: Element = .half
    ) throws(ModelError) {
        precondition(layers > 0 && rowCount > 0 && capacity > 0, "an empty cache")
        let row = rowCount.multipliedReportingOverflow(by: element.byteCount)
        let matrix = row.partialValue.multipliedReportingOverflow(by: capacity)
        let rounded = matrix.partialValue.addingReportingOverflow(63)
        let total = (rounded.partialValue & ~63).multipliedReportingOverflow(by: 2 * layers)
        let overflow = row.overflow || matrix.overflow || rounded.overflow || total.overflow
        var pointer: UnsafeMutableRawPointer?
        guard !overflow, posix_memalign(&pointer, 64, total.partialValue) == 0, let pointer else {
            throw ModelError(
                "no memory for the keys and values of \(capacity) positions in \(layers) layers; ask for a shorter context"
            )
        }
        self.element = element
        self.capacity = capacity
        self.layers = layers
        self.rowCount = rowCount
        memory = pointer
        matrixBytes = rounded.partialValue & ~63
    }

    /// A cache for `configuration`'s layers and heads.
    package convenience init(
        _ configuration: ModelConfiguration, capacity: Int, element: Element = .half
    ) throws(ModelError) {
        try self.init(
            layers: configuration.numHiddenLayers, rowCount: configuration.keyValueFeatures, capacity: capacity,
            element: element)
    }

    deinit { free(memory) }

    /// Bytes reserved for all layers.
    package var byteCount: Int { 2 * layers * matrixBytes }

    package var positionBytes: Int { 2 * layers * rowBytes }

    /// Bytes of one position's K (or V) row.
    package var rowBytes: Int { rowCount * element.byteCount }

    /// K of a layer, (capacity, rowCount) of `element`.
    package func keys(_ layer: Int) -> UnsafeMutableRawPointer {
        precondition(layer >= 0 && layer < layers, "layer \(layer) of \(layers)")
        return memory + 2 * layer * matrixBytes
    }

    /// V of a layer, (capacity, rowCount) of `element`.
    package func values(_ layer: Int) -> UnsafeMutableRawPointer { keys(layer) + matrixBytes }

    package func advance(by count: Int) {
        precondition(count >= 0 && length + count <= capacity, "\(length) + \(count) of \(capacity) positions")
        length += count
    }

    package func truncate(to length: Int) {
        precondition(length >= 0 && length <= self.length, "\(length) of \(self.length) tokens")
        self.length = length
    }
}
