import CrumbABI
import CrumbEngine
import CrumbGPU
import CrumbPacked
import Testing

@Suite struct PlanTests {
    @Test func `a matrix-vector product takes the stages, threads and splits that were measured`() throws {
        func plan(_ bits: Int, _ n: Int, _ k: Int, _ m: Int) -> MatvecPlan? {
            MatvecPlan(bits: bits, rows: n, columns: k, tokens: m, multiprocessors: 132, limit: 227 << 10)
        }
        let wide = try #require(plan(8, 128256, 4096, 1))
        #expect(wide.threads == 512 && wide.stages == 2 && wide.split == 1)
        let half = try #require(plan(16, 4096, 4096, 1))
        #expect(half.threads == 512 && half.stages == 3 && half.split == 16)
        // What does not fit with three stages takes two, then fewer threads, then no plan at all.
        #expect(plan(16, 4096, 4096, 8)?.stages == 2)
        #expect(try #require(plan(16, 4096, 11008, 8)).threads < 512)
        #expect(plan(16, 8192, 28672, 8) == nil && plan(16, 4096, 4100, 1) == nil)
        let fitting = try #require(
            MatvecPlan.fitting(
                bits: 16, rows: 8192, columns: 28672, tokens: 8, multiprocessors: 132, limit: 227 << 10))
        #expect(fitting.tokens == 3 && fitting.plan.sharedBytes <= 227 << 10)
        for k in [32, 576, 4096] {
            let split = try #require(plan(4, 64, k, 2)).split
            #expect([1, 2, 4, 8, 16].contains(split))
        }
    }

    @Test func `attention is split over clusters for one token and not at all for many`() {
        func splits(_ blocks: Int, _ limit: Int, _ hasClusters: Bool = true) -> AttentionSplits {
            AttentionSplits(blocks: blocks, limit: limit, multiprocessors: 132, hasClusters: hasClusters)
        }
        #expect(splits(32, 2048).count == 8 && splits(32, 2048).usesClusters)
        #expect(splits(8, 32768).count == 48 && splits(8, 32768).usesClusters)
        #expect(splits(256, 4096).count == 1 && !splits(256, 4096).usesClusters)
        #expect(splits(1, 40).count == 1)
        #expect(splits(8, 1 << 20, false).count == 49)
        for blocks in 1...300 where splits(blocks, 9999).usesClusters {
            #expect(splits(blocks, 9999).count % Int(CRUMB_DECODE_CLUSTER) == 0)
        }
    }

    @Test func `an order turned round gives each channel its place`() {
        let padding = UInt16(CRUMB_PADDING_CHANNEL)
        let tables = OrderTables([2, padding, 0, 1, padding], columns: 3)
        #expect(tables.places == [2, 3, 0] && tables.padding == [1, 4])
    }

    @Test(arguments: [
        ("auto", DeviceChoice.automatic), ("cpu", .cpu), ("cuda", .cuda(0)), ("cuda:0", .cuda(0)),
        ("cuda:12", .cuda(12)),
    ]) func `devices are read`(_ text: String, _ expected: DeviceChoice) throws {
        #expect(try DeviceChoice(text) == expected)
    }

    @Test(arguments: ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:99999999999999999999", "CPU"])
    func `other devices are refused with what is known`(_ text: String) {
        let error = #expect(throws: EngineError.self) { try DeviceChoice(text) }
        #expect(error?.description.contains("\"\(text)\"") == true && error?.description.contains("cuda:0") == true)
    }
}
