/// The page of `crumb quantize --report`: one self-contained HTML file, nothing of it fetched from elsewhere.
package struct QuantizationPage: Sendable {
    /// A named figure.
    package struct Fact: Sendable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What was quantized.
    package var title: String
    /// The figures a reader looks for first: bits per weight, size, perplexity, time.
    package var headline: [Fact]
    /// What was asked for.
    package var options: [Fact]
    /// Everything else that was measured.
    package var details: [Fact]
    /// Output error of each matrix relative to its output, over the calibration text.
    package var errors: LayerMap?
    /// Bits per weight of each matrix.
    package var bits: LayerMap?
    /// How the ranges of the source's groups are spread.
    package var ranges: RangeBands?
    /// Where the 4-bit channels and the outliers lie.
    package var channels: [ChannelMap]

    package init(
        title: String, headline: [Fact], options: [Fact], details: [Fact], errors: LayerMap? = nil,
        bits: LayerMap? = nil, ranges: RangeBands? = nil, channels: [ChannelMap] = []
    ) {
        self.channels = channels
        self.ranges = ranges
        self.title = title
        self.headline = headline
        self.options = options
        self.details = details
        self.errors = errors
        self.bits = bits
    }

    /// The whole HTML file.
    package func html() -> String {
        var body = Markup("main", [:], [Markup("h1", [:], text: title)])
        body.append(
            Markup(
                "div", ["class": "tiles"],
                headline.map { fact in
                    Markup("div", [:], [Markup("b", [:], text: fact.value), Markup("span", [:], text: fact.name)])
                }))
        if let errors {
            body.append(Markup("h2", [:], text: "Error by layer"))
            body.append(
                Markup(
                    "p", [:],
                    text:
                        "How far each matrix's outputs moved on the calibration text: squared error over squared output. "
                        + "All panels have the same axis."))
            body.append(LayerChart(map: errors).chart().picture(label: "Error of each kind of matrix over the layers"))
        }
        if let bits {
            body.append(Markup("h2", [:], text: "Bits by layer"))
            body.append(Markup("p", [:], text: "Bits per weight of each matrix, scales, outliers and order included."))
            let all = bits.values.joined().compactMap { $0 }
            let map = HeatMap(map: bits, empty: min(all.min() ?? 0, 2), full: max(all.max() ?? 0, 4)) {
                Figures.decimal($0, places: 2)
            }
            body.append(map.chart().picture(label: "Bits per weight of each matrix"))
        }
        if !channels.isEmpty {
            body.append(Markup("h2", [:], text: "4-bit channels and outliers"))
            body.append(Markup("p", [:], text: ChannelMap.explanation))
            for map in channels {
                body.append(
                    ChannelMapChart(map: map).chart().picture(
                        label: "4-bit channels and outliers of \(map.title) over the layers"))
            }
        }
        if let ranges {
            body.append(Markup("h2", [:], text: "Ranges of the groups"))
            body.append(Markup("p", [:], text: "Of the source's weights. " + RangeBands.explanation))
            body.append(
                ranges.chart().picture(label: "Ranges of the groups of each kind of matrix over the layers"))
        }
        for (heading, facts) in [("Measured", details), ("Options", options)] where !facts.isEmpty {
            body.append(Markup("h2", [:], text: heading))
            body.append(Self.table(facts))
        }
        let head = Markup(
            "head", [:],
            [
                Markup("meta", ["charset": "utf-8"]),
                Markup("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
                Markup("title", [:], text: title), Markup(style: Self.style), Markup(style: Chart.style),
            ])
        let page = Markup("html", ["lang": "en"], [head, Markup("body", [:], [body])])
        return "<!doctype html>\n" + page.rendered() + "\n"
    }

    private static func table(_ facts: [Fact]) -> Markup {
        Markup(
            "table", [:],
            facts.map { fact in
                Markup("tr", [:], [Markup("th", [:], text: fact.name), Markup("td", [:], text: fact.value)])
            })
    }

    private static let style: StaticString = """
        :root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--muted:#59636e;--grid:#d1d9e0}\
        @media(prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--muted:#9198a1;--grid:#3d444d}}\
        body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}\
        main{max-width:960px;margin:0 auto;padding:32px 24px 64px}h1{font-size:24px;margin:0 0 20px}\
        h2{font-size:17px;margin:36px 0 4px}p{color:var(--muted);margin:0 0 16px}\
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}\
        .tiles div{border:1px solid var(--grid);border-radius:8px;padding:12px 16px}\
        .tiles b{display:block;font-size:20px;font-weight:600}.tiles span{color:var(--muted);font-size:13px}\
        table{border-collapse:collapse;margin-top:8px}th,td{text-align:left;padding:4px 24px 4px 0;font-weight:400;\
        border-bottom:1px solid var(--grid);vertical-align:top}th{color:var(--muted);white-space:nowrap}
        """
}
