import CrumbEval
import Testing

struct RunningMeanTests {
    @Test func meanDeviationAndErrorAreThoseOfTheFormulas() {
        var mean = RunningMean()
        let values = [1e9 + 1, 1e9 + 2, 1e9 + 4, 1e9 + 9]
        for value in values { mean.add(value) }
        #expect(mean.count == 4)
        #expect(mean.mean == 1e9 + 4)
        // Squared distances 9 + 4 + 0 + 25.
        #expect(abs(mean.deviation - (38.0 / 3).squareRoot()) < 1e-6)
        #expect(abs(mean.standardError - (38.0 / 4 / 3).squareRoot()) < 1e-6)
    }

    @Test func oneNumberHasNoSpread() {
        var mean = RunningMean()
        mean.add(3)
        #expect(mean.deviation == 0)
        #expect(mean.standardError == 0)
    }
}
