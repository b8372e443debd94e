import CrumbReport
import Testing

@Suite struct BarChartTests {
    @Test("bars have their names, texts and lengths; what is no number has none")
    func bars() {
        let svg = BarChart(
            title: "A & B",
            bars: [
                BarChart.Bar(name: "first", amount: 2, text: "2 nats"),
                BarChart.Bar(name: "second", amount: 1, text: "1 nat"),
                BarChart.Bar(name: "third", amount: .nan, text: "none"),
            ]
        ).svg()
        #expect(
            svg.contains("A &amp; B") && svg.contains(">first<") && svg.contains(">1 nat<") && svg.contains(">none<"))
        // 720 pixels less names and values.
        #expect(svg.contains("width=\"360\"") && svg.contains("width=\"180\"") && svg.contains("width=\"0\""))
    }

    @Test("a chart of nothing is a chart")
    func empty() { #expect(BarChart(title: "none", bars: []).svg().contains("none")) }
}
