import CrumbCUDA
import CrumbEngine
import CrumbGPU
import CrumbThreads
import CrumbTune
import Glibc

/// What `crumb doctor` finds on this machine.
struct Diagnosis {
    /// A GPU as the driver describes it.
    struct Card {
        let info: DeviceInfo
        /// nil where the card cannot be opened; `problem` then says why.
        var freeBytes: Int?
        /// The kernels that serve it, such as "sm_90a".
        var image: String?
        var problem: String?
    }

    /// A library that is used where it is found.
    struct Library {
        var file: String?
        var problem: String?

        /// - Parameter file: Loads it and gives the file that it came from.
        init(_ file: () throws -> String?) {
            do {
                self.file = try file() ?? "a file of unknown name"
            } catch {
                problem = ErrorMapping.sentence(for: error)
            }
        }
    }

    let choice: DeviceChoice
    private(set) var driver: Driver?
    /// NVIDIA's own number, as NVML tells it.
    private(set) var release: String?
    private(set) var cards: [Card] = []
    private(set) var cublas: Library
    private(set) var nvml: Library
    /// Why nothing can be tested, as a sentence.
    private(set) var problem: String?
    /// Whether the reason is that this machine has no GPU.
    private(set) var hasNoCard = false
    private(set) var checks: [SelfTest.Check] = []

    /// The card that is tested.
    var index: Int {
        guard case .cuda(let index) = choice else { return 0 }
        return index
    }

    /// Looks, without starting anything on a card.
    init(_ choice: DeviceChoice) {
        self.choice = choice
        var release: String?
        cublas = Library { try CuBLASTable.load().file }
        nvml = Library {
            let library = try NVML.load()
            release = library.driverRelease
            return library.file
        }
        self.release = release
        do {
            let driver = try Driver.load()
            self.driver = driver
            cards = try (0..<driver.deviceCount).map { try Self.card($0, driver) }
            // Also where the number is beyond the last card.
            if !cards.indices.contains(index) { _ = try driver.info(of: index) }
        } catch {
            problem = ErrorMapping.sentence(for: error)
            let kind = (error as? CUDAError)?.kind
            hasNoCard = kind == .driverMissing || kind == .noDevice
        }
    }

    private static func card(_ index: Int, _ driver: Driver) throws -> Card {
        let info = try driver.info(of: index)
        var card = Card(info: info, image: KernelImages.builtIn.target(for: info.capability)?.name)
        do {
            card.freeBytes = try Device(index, driver: driver).memory().free
        } catch {
            card.problem = ErrorMapping.sentence(for: error)
        }
        return card
    }

    /// Tests the chosen card.
    mutating func test(progress: (_ name: String, _ fraction: Double) throws -> Void) throws {
        guard problem == nil, let driver else { return }
        let test: SelfTest
        do {
            let library = try KernelLibrary(on: Device(index, driver: driver))
            test = SelfTest(library: library, blas: try? CuBLASTable.load(), pool: ThreadPool())
        } catch {
            problem = ErrorMapping.sentence(for: error)
            return
        }
        checks = try test.run(progress: progress)
        checks += tuningChecks(driver)
    }

    /// Whether the gradients that tuning goes by are those of what it lowers, and whether the quantizer loses what it says;
    /// nothing where neither runs anyway, on cards before Ampere and without cuBLAS.
    private func tuningChecks(_ driver: Driver) -> [SelfTest.Check] {
        guard let library = try? KernelLibrary(on: Device(index, driver: driver)), CardCalibration.runs(on: library),
            let blas = try? CuBLASTable.load()
        else { return [] }
        func check(_ name: String, _ body: () throws -> (Bool, String)) -> SelfTest.Check {
            do {
                let (isPassed, detail) = try body()
                return SelfTest.Check(name: name, isPassed: isPassed, detail: detail)
            } catch {
                return SelfTest.Check(name: name, isPassed: false, detail: ErrorMapping.sentence(for: error))
            }
        }
        return [
            check("gradients of tuning") {
                let results = try [false, true].flatMap {
                    try GradientCheck(library: library, blas: blas, pool: ThreadPool(), keepsActivations: $0).run()
                }
                guard let worst = results.max(by: { $0.error < $1.error }) else {
                    return (false, "nothing was measured")
                }
                return (
                    results.allSatisfy { $0.error < GradientCheck.bound },
                    "largest error \(worst.error) of \(results.count) tensors' (\(worst.name)), bound \(GradientCheck.bound)"
                )
            },
            check("what errors cost") {
                let results = try SurveyCheck(library: library, blas: blas, pool: ThreadPool()).results
                let worst = results.max { abs(log($0.foretold / $0.measured)) < abs(log($1.foretold / $1.measured)) }
                guard let worst else { return (false, "nothing was measured") }
                return (
                    results.allSatisfy(\.isGood),
                    "\(worst.name): \(worst.foretold) nats foretold, \(worst.measured) measured; bound: \(SurveyCheck.bound) times"
                )
            },
            check("quantizing") {
                let result = try QuantizerCheck(library: library, blas: blas, pool: ThreadPool())
                return (result.isPassed, "losses \(result.claimed), on the CPU \(result.measured)")
            },
        ]
    }

    /// Whether every test passed.
    var isWell: Bool { problem == nil && !checks.isEmpty && checks.allSatisfy(\.isPassed) }

    /// Whether nobody asked for the GPU that is not there.
    var isExcused: Bool { hasNoCard && choice == .automatic }
}
