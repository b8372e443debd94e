// A chart is a group of SVG elements of known size; pictures and pages put charts below each other. Colours are CSS
// variables, so that one file reads well on light and dark pages.

/// A drawn chart and the room it takes, in pixels.
package struct Chart: Sendable {
    var width: Double
    var height: Double
    /// Drawn with the upper left corner at (0, 0).
    var content: [Markup]

    /// The chart as a picture of its own, for a page that has `Chart.style`.
    package func picture(label: String) -> Markup {
        Markup(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "class": "chart", "role": "img", "aria-label": label,
                "viewBox": "0 0 \(coordinate(width)) \(coordinate(height))", "width": coordinate(width),
                "height": coordinate(height),
            ], content)
    }

    /// The chart moved to a place.
    func at(_ x: Double, _ y: Double) -> Markup {
        Markup("g", ["transform": "translate(\(coordinate(x)) \(coordinate(y)))"], content)
    }

    /// Colours and letters of all charts. Two hues, blue and orange, are told apart by every kind of colour vision; amounts
    /// are shown as opacity over the paper.
    package static let style: StaticString = """
        .chart{--paper:#fff;--ink:#1f2328;--muted:#59636e;--grid:#d1d9e0;--first:#0969da;--second:#bc4c00;\
        font:12px system-ui,-apple-system,"Segoe UI",sans-serif;background:var(--paper);max-width:100%;height:auto}\
        @media(prefers-color-scheme:dark){.chart{--paper:#0d1117;--ink:#e6edf3;--muted:#9198a1;--grid:#3d444d;\
        --first:#58a6ff;--second:#f0883e}}\
        .chart text{fill:var(--ink)}.chart .h{font-size:15px;font-weight:600}.chart .m{fill:var(--muted);font-size:11px}\
        .chart .e{text-anchor:end}.chart .c{text-anchor:middle}.chart .n{font-size:9px;text-anchor:middle}\
        .chart .first{fill:var(--first)}.chart .second{fill:var(--second)}.chart .paper{fill:var(--paper)}\
        .chart .most{fill:var(--first);fill-opacity:.2}.chart .half{fill:var(--first);fill-opacity:.4}\
        .chart .cell{fill:var(--grid);fill-opacity:.35}\
        .chart .line{fill:none;stroke:var(--first);stroke-width:1.6;stroke-linejoin:round}\
        .chart .axis{stroke:var(--grid);stroke-width:1}
        """
}

/// A line of text; `style` names classes of `Chart.style`.
func label(_ text: String, _ x: Double, _ y: Double, _ style: String = "") -> Markup {
    Markup("text", ["x": coordinate(x), "y": coordinate(y), "class": style], text: text)
}

/// A filled rectangle.
func block(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String, opacity: Double = 1) -> Markup
{
    if opacity == 1 {
        return Markup(
            "rect",
            [
                "x": coordinate(x), "y": coordinate(y), "width": coordinate(width), "height": coordinate(height),
                "class": style,
            ])
    }
    return Markup(
        "rect",
        [
            "x": coordinate(x), "y": coordinate(y), "width": coordinate(width), "height": coordinate(height),
            "class": style, "fill-opacity": coordinate(opacity),
        ])
}

/// A thin line of the axes' colour.
func rule(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> Markup {
    Markup(
        "line",
        ["x1": coordinate(x1), "y1": coordinate(y1), "x2": coordinate(x2), "y2": coordinate(y2), "class": "axis"])
}
