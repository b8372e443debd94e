import CrumbReport
import Testing

@Suite struct MarkupTests {
    @Test func `text and attributes are escaped, empty elements closed`() {
        let markup = Markup(
            "g", ["id": "a\"<"], [Markup("text", text: "<b> & \u{1} \u{1F600}"), Markup("rect"), Markup("td")])
        #expect(
            markup.rendered()
                == "<g id=\"a&quot;&lt;\"><text>&lt;b&gt; &amp; \u{FFFD} \u{1F600}</text><rect/><td></td></g>")
    }
}

@Suite struct LogHistogramTests {
    @Test func `a value falls into the bin of its octave`() {
        var histogram = LogHistogram()
        histogram.add(0.25)
        histogram.add(1)
        histogram.add(1.99)
        #expect(histogram.counts[0] == 1)
        #expect(histogram.counts[2 * LogHistogram.binsPerOctave] == 1)
        #expect(histogram.counts[3 * LogHistogram.binsPerOctave - 1] == 1)
        #expect(histogram.total == 3)
    }

    @Test(arguments: [Float(0), -1, .nan, -Float.infinity, 1e-30]) func `what is not above the lowest bin counts in it`(
        value: Float
    ) {
        var histogram = LogHistogram()
        histogram.add(value)
        #expect(histogram.counts.first == 1 && histogram.total == 1)
    }

    @Test(arguments: [Float(1e30), .infinity]) func `what is above the highest bin counts in it`(value: Float) {
        var histogram = LogHistogram()
        histogram.add(value)
        #expect(histogram.counts.last == 1 && histogram.total == 1)
    }
}

@Suite struct ChannelMapTests {
    @Test func `channels are averaged over bins of nearly equal size`() {
        var map = ChannelMap(title: "o_proj", channels: 192)
        map.append(fourBit: (0..<192).map { $0 < 96 ? 1 : 0 }, outliers: [Int](repeating: 2, count: 192))
        #expect(map.fourBit[0].count == ChannelMap.bins)
        #expect(map.fourBit[0].prefix(64).allSatisfy { $0 == 1 } && map.fourBit[0].suffix(64).allSatisfy { $0 == 0 })
        #expect(map.outliers[0].allSatisfy { $0 == 2 })
    }

    @Test func `few channels have a bin each`() {
        var map = ChannelMap(title: "o_proj", channels: 3)
        map.append(fourBit: [1, 0, 0.5], outliers: [0, 5, 0])
        #expect(map.fourBit == [[1, 0, 0.5]])
        #expect(map.outliers == [[0, 5, 0]])
    }
}

@Suite struct PlotTests {
    @Test func `the picture holds every part that has data`() {
        let svg = Samples.plot().svg()
        for part in [
            "Ranges of the groups", "Share of 4-bit channels", "Where they lie", "groups with 4 bits", "q_proj",
        ] {
            #expect(svg.contains(part), "\(part) is missing")
        }
        #expect(svg.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.hasSuffix("</svg>\n"))
        #expect(svg.contains("prefers-color-scheme:dark"))
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }

    @Test func `an unquantized model has only ranges`() {
        var plot = Samples.plot()
        plot.fourBitShares = nil
        plot.channels = []
        plot.ranges = [GroupRanges(kind: "up_proj")]
        let svg = plot.svg()
        #expect(!svg.contains("4-bit"))
        #expect(!svg.contains("groups with 4 bits"))
    }

    @Test func `a map of a large model stays below a megabyte`() {
        var map = ChannelMap(title: "down_proj", channels: 28672)
        for layer in 0..<126 {
            map.append(
                fourBit: (0..<28672).map { ($0 &* 2_654_435_761 &+ layer) % 7 < 2 ? 1 : 0 },
                outliers: (0..<28672).map { ($0 &* 40503 &+ layer) % 11 })
        }
        let plot = InspectionPlot(title: "large", subtitle: "", ranges: [], channels: [map])
        #expect(plot.svg().utf8.count < 1_000_000)
    }

    @Test func `a hostile name stays text`() {
        var plot = Samples.plot()
        plot.title = "</svg><script>alert(1)</script>"
        #expect(!plot.svg().contains("<script"))
    }
}

@Suite struct QuantizationPageTests {
    @Test func `the page has its figures, charts and options, and asks nothing of the network`() {
        let html = Samples.page().html()
        #expect(html.hasPrefix("<!doctype html>\n<html lang=\"en\">"))
        for part in [
            "Error by layer", "Bits by layer", "4-bit channels and outliers", "Ranges of the groups", "2.77", "--bits",
            "prefers-color-scheme",
        ] {
            #expect(html.contains(part), "\(part) is missing")
        }
        for address in ["src=", "href=", "url(", "@import", "<script"] { #expect(!html.contains(address)) }
    }
}

@Suite struct RangeBandsTests {
    @Test func `a panel has bands, a median and as much of the axis as is used`() {
        let svg = Samples.bands().svg(title: "model: ranges")
        #expect(svg.ranges(of: "class=\"half\"").count == 1 + Samples.kinds.count)
        #expect(svg.contains(">0.5</text>") && svg.contains(">2</text>") && !svg.contains(">0.01</text>"))
        #expect(svg.contains("widest 9.50") && !svg.contains("nan") && !svg.contains("inf"))
    }

    @Test(arguments: [[[]], [[0, 0, 0, 0, 0]], [[1, 1, 1, 1, 1]], [[1e-8, 1, 1, 1, 1e8], [0, 1, 2, 3, .infinity]]])
    func `layers that are all alike, empty or far apart stay within the picture`(quantiles: [[Double]]) {
        let layers = quantiles.filter { !$0.isEmpty }
        let svg = RangeBands(kinds: [.init(name: "q_proj", layers: layers, largest: 1)]).svg(title: "odd")
        #expect(!svg.contains("nan") && !svg.contains("inf"))
        #expect(svg.ranges(of: "<line").count < 20)
    }
}
