/// One panel for each kind of matrix: an amount over the layers, all panels on the same axis from zero.
struct LayerChart {
    let map: LayerMap

    private static let height = 90.0

    func chart() -> Chart {
        let highest = map.values.joined().compactMap { $0 }.filter(\.isFinite).max() ?? 0
        return Panels(panelHeight: Self.height + 18).chart(titles: map.kinds) { index in
            panel(map.values[index], highest: highest)
        }
    }

    private func panel(_ values: [Double?], highest: Double) -> [Markup] {
        let step = Panels.panelWidth / Double(max(values.count - 1, 1))
        let largest = values.compactMap { $0 }.filter(\.isFinite).max() ?? 0
        var path = ""
        var pen = "M"
        for (layer, value) in values.enumerated() {
            guard let value, value.isFinite else {
                pen = "M"
                continue
            }
            let y = highest > 0 ? Self.height * (1 - value / highest) : Self.height
            path += "\(pen)\(coordinate(Double(layer) * step)) \(coordinate(y))"
            pen = "L"
        }
        var content = [
            rule(0, Self.height, Panels.panelWidth, Self.height), rule(0, 0, Panels.panelWidth, 0),
            label("largest \(Figures.significant(largest))", Panels.panelWidth, -7, "m e"),
            label("layer 0", 0, Self.height + 14, "m"),
            label("\(max(values.count - 1, 0))", Panels.panelWidth, Self.height + 14, "m e"),
        ]
        if !path.isEmpty { content.append(Markup("path", ["d": path, "class": "line"])) }
        return content
    }
}
