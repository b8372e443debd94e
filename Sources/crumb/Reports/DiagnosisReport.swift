import CrumbCUDA
import CrumbGPU
import CrumbJSON
import CrumbReport

/// What `crumb doctor` found, for people and for programs.
extension Diagnosis {
    func outcome(seconds: Double) -> Outcome {
        Outcome(
            text: verdict(seconds: seconds), json: json(seconds: seconds),
            exitCode: isWell || isExcused ? ExitStatus.success : ExitStatus.failure)
    }

    // MARK: for people

    /// What there is, before anything is tested.
    var findingsText: String {
        var table = TextTable([("", .left), ("", .left)])
        if let driver {
            let release = release.map { ", release \($0)" } ?? ""
            table.append(["driver", "CUDA \(driver.version)\(release), \(driver.file ?? "a file of unknown name")"])
        } else {
            table.append(["driver", hasNoCard ? "none" : "not usable"])
        }
        for card in cards { table.append(["cuda:\(card.info.index)", Self.text(card)]) }
        table.append(["cuBLAS", cublas.file ?? "not found"])
        table.append(["NVML", nvml.file ?? "not found"])
        return table.plain()
    }

    private static func text(_ card: Card) -> String {
        let info = card.info
        let free = card.freeBytes.map(Figures.bytes) ?? "an unknown part"
        var parts = [
            info.name, "compute capability \(info.capability)", "\(info.multiprocessors) multiprocessors",
            "\(free) of \(Figures.bytes(info.totalBytes)) free", "\(Figures.bytes(info.l2Bytes)) second-level cache",
            "\(Figures.bytes(info.sharedBytesPerBlock)) shared memory for a block",
            card.image.map { "kernels \($0)" } ?? "no kernels serve it",
        ]
        if let problem = card.problem { parts.append(problem) }
        return parts.joined(separator: ", ")
    }

    private func verdict(seconds: Double) -> String {
        if isExcused { return "There is no GPU to test: \(problem ?? "")" }
        if let problem { return "The GPU cannot be used: \(problem)" }
        let failed = checks.filter { !$0.isPassed }
        let time = Figures.duration(seconds)
        guard !failed.isEmpty else { return "cuda:\(index) passed all \(checks.count) tests (\(time))." }
        let lines = failed.map { Printable.line("\($0.name): \($0.detail)") }
        return (lines + ["cuda:\(index) failed \(failed.count) of \(checks.count) tests (\(time))."])
            .joined(separator: "\n")
    }

    // MARK: for programs

    private func json(seconds: Double) -> JSONObject {
        [
            "ok": .bool(isWell), "problem": problem.map { .string($0) } ?? .null,
            "driver": driver.map { driver in
                [
                    "version": .string("\(driver.version)"), "release": release.map { .string($0) } ?? .null,
                    "file": driver.file.map { .string($0) } ?? .null,
                ]
            } ?? .null,
            "gpus": .array(cards.map(Self.json)), "cublas": Self.json(cublas), "nvml": Self.json(nvml),
            "selfTest": checks.isEmpty
                ? .null
                : [
                    "device": .string("cuda:\(index)"), "seconds": JSONValue(seconds),
                    "checks": .array(
                        checks.map { check in
                            [
                                "name": .string(check.name), "ok": .bool(check.isPassed),
                                "detail": .string(check.detail),
                            ]
                        }),
                ],
        ]
    }

    private static func json(_ card: Card) -> JSONValue {
        let info = card.info
        return [
            "device": .string("cuda:\(info.index)"), "name": .string(info.name),
            "computeCapability": .string("\(info.capability)"), "multiprocessors": JSONValue(info.multiprocessors),
            "totalBytes": JSONValue(info.totalBytes), "freeBytes": card.freeBytes.map { JSONValue($0) } ?? .null,
            "l2Bytes": JSONValue(info.l2Bytes), "sharedBytesPerBlock": JSONValue(info.sharedBytesPerBlock),
            "kernelImage": card.image.map { .string($0) } ?? .null,
            "problem": card.problem.map { .string($0) } ?? .null,
        ]
    }

    private static func json(_ library: Library) -> JSONValue {
        [
            "found": .bool(library.problem == nil), "file": library.file.map { .string($0) } ?? .null,
            "problem": library.problem.map { .string($0) } ?? .null,
        ]
    }
}
