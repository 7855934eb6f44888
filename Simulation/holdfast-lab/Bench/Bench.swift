// The bench: how long a client sees an address silent, case by case, for Holdfast and beside it for keepalived. Prints a
// line per case as it is measured, then the table or JSON. Exit code 1 when an aim was missed.

import ArgumentParser

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure, case by case, how long a client sees an address silent.",
        discussion: "Aims, in milliseconds: faults at most 500 at the median and 700 at the 99th percentile; planned "
            + "moves at most 20; nothing when a partition heals; never two owners. Of guests (--only guests): starts issued "
            + "3000 and 6000 ms after their host is lost, 25000 by the watchdog; leaving a host at most 2000 ms.")
    @OptionGroup var lab: LabOptions
    @OptionGroup var program: HoldfastOptions
    @Option(help: "The manifests to apply. Default: deploy/lab, here or above the program.") var manifests: String?
    @Option(help: "Repetitions of each case, 1 to 1000.") var repetitions = 30
    @Option(help: "Only cases or systems whose name contains this; may be given several times.") var only: [String] = []
    @Flag(help: "One JSON object with every repetition.") var json = false

    func validate() throws {
        guard (1...1000).contains(repetitions) else { throw ValidationError("--repetitions: 1 to 1000") }
    }

    func isWanted(_ system: String, _ name: String) -> Bool {
        only.isEmpty || only.contains { system.contains($0) || name.contains($0) }
    }

    func run() throws {
        var result = BenchResult()
        try measureHoldfast(into: &result)
        try measureGuests(into: &result)
        try measureCrowds(into: &result)
        try measureKeepalived(into: &result)
        guard !result.isEmpty else {
            let names =
                (Disturbance.allCases.map(\.rawValue) + GuestFencing.allCases.map(\.rawValue)
                + Departure.allCases.map(\.rawValue) + [RehearsalResult.name, RestResult.name])
                .joined(separator: "; ")
            throw LabError("--only names no case; there are: \(names)", exitCode: 3)
        }
        print(json ? try jsonLine(result) : result.table)
        guard result.isKept else { throw ExitCode(1) }
    }

    private func measureHoldfast(into result: inout BenchResult) throws {
        let wanted = Disturbance.allCases.filter { isWanted("holdfast", $0.rawValue) }
        guard !wanted.isEmpty else { return }
        let binary = try program.binary()
        let folder = try Manifests.folder(manifests)
        try withLab(lab.directory) { client in
            try Bootstrap(client: client, binary: binary).run { note($0) }
            let bench = HoldfastBench(client: client, holdfast: HoldfastClient(client: client, binary: binary))
            try bench.holdfast.output(["apply", "-f", folder])
            try bench.holdfast.waitUntilWhole()
            for disturbance in wanted {
                let found = CaseResult(
                    system: "holdfast", name: disturbance.rawValue, aim: disturbance.aim,
                    returnAim: disturbance.returnAim)
                result.cases.append(
                    try measure(found, once: { try bench.repeatOnce(disturbance, number: $0) }, recover: bench.recover))
            }
        }
    }

    private func measureKeepalived(into result: inout BenchResult) throws {
        guard let keepalived = Executables.find("keepalived") else {
            note("keepalived is not installed (apt install keepalived), so nothing is measured beside")
            return
        }
        for advertisement in [1.0, 0.1] {
            let system = "keepalived \(advertisement) s"
            let wanted = KeepalivedBench.Fault.allCases.filter { isWanted(system, $0.rawValue) }
            guard !wanted.isEmpty else { continue }
            let directory = LabDirectory(path: lab.directory.path + "-keepalived")
            try withLab(directory) { client in
                let bench = KeepalivedBench(client: client, program: keepalived, advertisement: advertisement)
                try bench.start()
                for fault in wanted {
                    let found = CaseResult(
                        system: system, name: fault.rawValue, aim: .none,
                        returnAim: fault == .partition || fault == .linkCut ? Aim.none : nil)
                    result.cases.append(try measure(found, once: { _ in try bench.repeatOnce(fault) }, recover: nil))
                }
            }
        }
    }

    /// Repeats one case. A repetition that fails is told and counted; after it the lab is put right.
    private func measure(
        _ empty: CaseResult, once: (Int) throws -> Repetition, recover: (() throws -> Void)?
    ) throws -> CaseResult {
        var result = empty
        for number in 0..<repetitions {
            do { result.repetitions.append(try once(number)) } catch {
                result.failures.append("\(error)")
                note("\(result.system), \(result.name), repetition \(number + 1): \(error)")
                guard let recover else { break }
                try recover()
            }
        }
        let gap = result.gap
        note(
            "\(result.system), \(result.name): \(gap.count) of \(repetitions), median "
                + "\(ProbeReport.milliseconds(gap.median)), 99th percentile \(ProbeReport.milliseconds(gap.percentile99)), "
                + "owners at once \(result.owners)")
        return result
    }

    /// A lab for the time of `body`; data and logs stay only when it failed.
    func withLab(_ directory: LabDirectory, _ body: (KeeperClient) throws -> Void) throws {
        let client = try LabLauncher.start(directory, leashed: true)
        do { try body(client) } catch {
            // The failure that is told is the first one.
            _ = try? client.end()
            note("Data and logs stay in \(directory.path); remove them with: holdfast-lab down --dir \(directory.path)")
            throw error
        }
        try client.end()
        try directory.remove()
    }
}
