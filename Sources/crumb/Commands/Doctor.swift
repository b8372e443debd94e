import ArgumentParser
import CrumbEngine

/// `crumb doctor`: what GPU there is, and whether it computes what the CPU computes.
struct Doctor: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Look at the GPUs of this machine, and test one.",
        discussion: """
            Says which driver, GPUs, kernels and libraries Crumb finds, then tests one GPU: bytes that are \
            copied there and back, and small models with random weights, whose logits and chosen tokens are \
            compared with the CPU's.

            The exit code is 0 when every test passes, and 1 when one fails or the GPU cannot be used. \
            Where there is no GPU at all, --device auto says so and ends with 0, --device cuda with 1.

            Examples:
              crumb doctor
              crumb doctor --device cuda:1 --json

            Keys of --json: ok (every test passed), problem, driver (version, release, file), gpus (device, name, \
            computeCapability, multiprocessors, totalBytes, freeBytes, l2Bytes, sharedBytesPerBlock, \
            kernelImage), cublas (found, file, problem), nvml (found, file, problem), selfTest (device, \
            seconds, checks (name, ok, detail)).
            """)

    @OptionGroup
    var place: DeviceArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require(place.device != .cpu, "--device is cpu, but crumb doctor looks at GPUs; give auto, cuda or cuda:N.")
    }

    func perform(_ console: Console) throws -> Outcome {
        let start = secondsSinceBoot()
        var diagnosis = Diagnosis(place.device)
        // Before the test, which takes a while.
        if !output.json { try StandardOutput.write(line: diagnosis.findingsText) }
        try diagnosis.test { name, fraction in
            console.show(Console.Progress(label: name, fraction: fraction))
        }
        console.endProgress()
        return diagnosis.outcome(seconds: secondsSinceBoot() - start)
    }
}
