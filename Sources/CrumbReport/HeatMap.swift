/// One amount for each kind of matrix and each layer.
package struct LayerMap: Sendable {
    /// Names of the rows: kinds of matrices.
    package var kinds: [String]
    /// [kind][layer]; nil where a layer has no such matrix.
    package var values: [[Double?]]

    package init(kinds: [String], values: [[Double?]]) {
        precondition(kinds.count == values.count, "\(kinds.count) kinds with \(values.count) rows of values")
        self.kinds = kinds
        self.values = values
    }
}

/// A map of layers (across) and kinds of matrices (down), the amount as the depth of a colour and, where there is room,
/// as a number.
struct HeatMap {
    let map: LayerMap
    /// The amounts of no colour and of full colour.
    let empty: Double
    let full: Double
    /// The number that stands in a cell.
    let text: (Double) -> String

    private static let margin = 90.0
    private static let cellHeight = 22.0

    func chart() -> Chart {
        let layers = map.values.map(\.count).max() ?? 0
        let step = layers == 0 ? 0 : (Panels.width - Self.margin) / Double(layers)
        let numbered = step >= 22
        var content: [Markup] = []
        for (row, kind) in map.kinds.enumerated() {
            let y = Double(row) * Self.cellHeight
            content.append(label(kind, Self.margin - 8, y + 15, "e"))
            for (layer, value) in map.values[row].enumerated() {
                let x = Self.margin + Double(layer) * step
                content.append(block(x, y, step - 1, Self.cellHeight - 1, "cell"))
                guard let value, value.isFinite else { continue }
                let depth = full > empty ? min(max((value - empty) / (full - empty), 0), 1) : 0
                if depth > 0 {
                    // Full colour would drown the number on it.
                    content.append(block(x, y, step - 1, Self.cellHeight - 1, "first", opacity: depth * 0.75))
                }
                if numbered { content.append(label(text(value), x + (step - 1) / 2, y + 14, "n")) }
            }
        }
        let foot = Double(map.kinds.count) * Self.cellHeight
        for layer in stride(from: 0, to: layers, by: max(1, (layers + 19) / 20)) {
            content.append(label("\(layer)", Self.margin + (Double(layer) + 0.5) * step, foot + 13, "m c"))
        }
        content.append(label("layer", Self.margin - 8, foot + 13, "m e"))
        return Chart(width: Panels.width, height: foot + 18, content: content)
    }
}
