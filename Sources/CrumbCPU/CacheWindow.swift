import CrumbModel
import CrumbSIMD

/// One key-value head of a layer's cache, for kernels: d columns of K and of V.
struct CacheWindow {
    let element: KVCache.Element
    /// The head's column of position 0.
    let keys: UnsafeRawPointer
    let values: UnsafeRawPointer
    /// From one position to the next, in numbers and in bytes.
    let stride: Int
    let rowBytes: Int
    let d: Int

    init(_ cache: KVCache, _ layer: Int, column: Int, _ d: Int) {
        element = cache.element
        keys = UnsafeRawPointer(cache.keys(layer)) + column * cache.element.byteCount
        values = UnsafeRawPointer(cache.values(layer)) + column * cache.element.byteCount
        stride = cache.rowCount
        rowBytes = cache.rowBytes
        self.d = d
    }

    /// q k^T for some positions.
    func scores(_ query: UnsafePointer<Float>, _ positions: Range<Int>, into scores: UnsafeMutablePointer<Float>) {
        let first = keys + positions.lowerBound * rowBytes
        switch element {
        case .half:
            crumb_attention_scores(
                query, first.assumingMemoryBound(to: UInt16.self), stride, positions.count, d, scores)
        case .float:
            let key = first.assumingMemoryBound(to: Float.self)
            for j in 0..<positions.count { scores[j] = crumb_dot(query, key + j * stride, d) }
        }
    }

    /// Sum of the values of some positions, weighted.
    func weightedSum(
        _ weights: UnsafePointer<Float>, _ positions: Range<Int>, into sum: UnsafeMutablePointer<Float>
    ) {
        let first = values + positions.lowerBound * rowBytes
        switch element {
        case .half:
            crumb_attention_values(
                weights, first.assumingMemoryBound(to: UInt16.self), stride, positions.count, d, sum)
        case .float:
            let value = first.assumingMemoryBound(to: Float.self)
            sum.update(repeating: 0, count: d)
            for j in 0..<positions.count { crumb_add_scaled(sum, weights[j], value + j * stride, d) }
        }
    }

    /// Panel of the keys of at most 32 positions: P[i][j] = key (first + j) [firstColumn + i], i < depth.
    func fillKeyPanel(
        _ positions: Range<Int>, firstColumn: Int, depth: Int, scratch: UnsafeMutableRawPointer,
        panel: UnsafeMutablePointer<Float>
    ) {
        crumb_fill_panel_dense(
            element == .half ? CRUMB_F16 : CRUMB_F32, keys + positions.lowerBound * rowBytes, rowBytes,
            positions.count, firstColumn, depth, scratch, panel)
    }

    /// Panel of at most 32 columns of the values: P[j][i] = value (first + j) [firstColumn + i], i < width.
    func fillValuePanel(_ positions: Range<Int>, firstColumn: Int, width: Int, panel: UnsafeMutablePointer<Float>) {
        let first = values + positions.lowerBound * rowBytes + firstColumn * element.byteCount
        switch element {
        case .half:
            crumb_fill_panel_halves(first.assumingMemoryBound(to: UInt16.self), stride, width, positions.count, panel)
        case .float:
            let value = first.assumingMemoryBound(to: Float.self)
            let panelWidth = Int(CRUMB_PANEL_WIDTH)
            panel.update(repeating: 0, count: positions.count * panelWidth)
            for j in 0..<positions.count {
                (panel + j * panelWidth).update(from: value + j * stride, count: width)
            }
        }
    }
}
