// A lab with many guests: emptying their host, rehearsing its loss, and looking at its agent while nothing happens.

import CKernel
import FoundationEssentials
import Glibc

struct CrowdBench {
    let client: KeeperClient
    let holdfast: HoldfastClient
    let guests: [LabGuest]

    private var loss: GuestLoss { GuestLoss(client: client, holdfast: holdfast, guests: guests) }

    /// Declares what is to be true, and waits until it is.
    func declare(manifests: String) throws {
        let pool = """
            apiVersion: holdfast/v1
            kind: StoragePool
            metadata: {name: \(LabStorage.ceph.rawValue)}
            spec: {type: cephRbd}
            """
        let path = "\(client.directory.path)/crowd.yaml"
        let text = ([pool] + guests.map(\.manifest)).joined(separator: "\n---\n") + "\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        for name in ["cluster", "members", "addresses"] {
            try holdfast.output(["apply", "-f", "\(manifests)/\(name).yaml"])
        }
        try holdfast.output(["apply", "-f", path], timeoutSeconds: 30)
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilGuestsRun(guests, seconds: 120)
    }

    func disksWithTwoWriters() throws -> [String] {
        try loss.disks().filter { !$0.history.hadOneWriterAtATime }.map(\.guest.name)
    }

    /// After a failed repetition: everything back.
    func recover() throws {
        for node in try client.status().nodes where node.kind == "host" {
            if !node.powered { try client.ask(Request(.powerOn, node: node.name)) }
            if !["running", "paused"].contains(try client.status().node(node.name)?.agent ?? "") {
                try client.ask(Request(.startAgent, node: node.name))
            }
        }
        try holdfast.waitUntilWhole()
        for node in Topology.homelab.nodes where node.kind == .host {
            try holdfast.output(["host", "undrain", node.name])
        }
        try holdfast.waitUntilNothingIsFenced()
        try holdfast.waitUntilGuestsRun(guests, seconds: 120)
    }

    // MARK: Leaving

    /// Empties the host that has the guests; with a planned stop it goes down then, as its person does it.
    func leave(_ departure: Departure) throws -> DepartureRepetition {
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilNothingIsFenced()
        let (host, present) = try loss.target()
        guard present.count == guests.count else {
            throw LabError("\(host.name) has \(present.count) of \(guests.count) guests; all were to be there")
        }
        let wasLeader = try holdfast.status()?.leader == host.name
        // Twenty probes at the pace of one would disturb what they measure.
        let probes = try present.map { guest in
            (guest, try ProbeInstrument(client, address: guest.address, from: "client", everyMilliseconds: 20))
        }
        for (guest, probe) in probes {
            try probe.wait(for: "\(guest.name) answering", milliseconds: 20_000) { $0.event == .answering }
        }
        let began = lab_boot_clock()
        try holdfast.output(["host", "drain", host.name])
        try waitUntilEmpty(host)
        let emptied = lab_boot_clock()
        if departure == .plannedStop { try stopAndStart(host) }
        try holdfast.output(["host", "undrain", host.name])
        let gap = try probes.map { try longestGap(of: $0.0, $0.1) }.max() ?? 0
        return DepartureRepetition(
            host: host.name, wasLeader: wasLeader, guests: present.count,
            emptyAfterSeconds: Double(emptied - began) / 1e9, longestGapMilliseconds: gap)
    }

    /// Tells how many guests are left whenever that has changed.
    private func waitUntilEmpty(_ host: Node) throws {
        var told = guests.count
        try holdfast.waitForGuests("\(host.name) being empty", seconds: 600) { seen in
            let left = seen.filter { $0.host == host.name }.count
            let running = guests.allSatisfy { guest in seen.contains { $0.name == guest.name && $0.isRunning } }
            if left < told {
                note("\(left) of \(guests.count) guests are left on \(host.name)")
                told = left
            }
            return left == 0 && running
        }
        let isEmpty = try holdfast.run(["host", "drain", host.name, "--wait"], timeoutSeconds: 60)
        guard isEmpty.succeeded else { throw LabError("holdfast host drain --wait: \(isEmpty.complaint)") }
    }

    private func stopAndStart(_ host: Node) throws {
        try client.ask(Request(.stopAgent, node: host.name))
        try client.ask(Request(.powerOff, node: host.name))
        try holdfast.waitUntilGuestsRun(guests)
        try client.ask(Request(.powerOn, node: host.name))
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilNothingIsFenced()
    }

    private func longestGap(of guest: LabGuest, _ probe: ProbeInstrument) throws -> Double {
        let result = try probe.finish()
        if result.clockWasSet { throw LabError("the wall clock was set meanwhile, so nothing was measured") }
        guard result.gaps.allSatisfy(\.ended) else { throw LabError("\(guest.name) does not answer any more") }
        return result.gaps.map(\.milliseconds).max() ?? 0
    }

    // MARK: Rehearsing

    /// Milliseconds of one `holdfast what-if`.
    func rehearse() throws -> Double {
        let began = lab_boot_clock()
        let result = try holdfast.run(["what-if", "host/pve1"], timeoutSeconds: 60)
        let milliseconds = Double(lab_boot_clock() - began) / 1e6
        // 1 is an answer too: something stays down.
        guard result.succeeded || result.ending == .exited(1) else {
            throw LabError("holdfast what-if: \(result.complaint)")
        }
        return milliseconds
    }

    // MARK: Resting

    /// What the agent of `host` takes for `RestResult.seconds`; why not, when it cannot be told.
    func rest(on host: Node) -> RestResult {
        var result = RestResult(guests: guests.count)
        do {
            let hypervisor = try Hypervisor.all(
                in: client.directory, program: Hypervisor.program(beside: holdfast.binary)
            ).first { $0.host == host }.required("hypervisor of \(host.name)")
            result.leads = try holdfast.status()?.leader == host.name
            let process = try (try client.status().node(host.name)?.agentProcess).required("agent of \(host.name)")
            let (before, requests, began) = (try use(of: process), try hypervisor.requests(), lab_boot_clock())
            _ = waitReadable([], until: .after(milliseconds: RestResult.seconds * 1_000))
            let (after, asked, ended) = (try use(of: process), try hypervisor.requests(), lab_boot_clock())
            let seconds = Double(ended - began) / 1e9
            result.processorPercent = (after.processorSeconds - before.processorSeconds) / seconds * 100
            result.residentMebibytes = after.residentMebibytes
            result.requestsPerSecond = Double(asked - requests) / seconds
        } catch {
            result.failure = "\(error)"
            note("guests, \(RestResult.name): \(error)")
        }
        return result
    }

    private func use(of process: Int32) throws -> ProcessUse {
        let cat = try Executables.require("cat")
        let text = try Command(
            client.inside(Topology.switchName, [cat, "/proc/\(process)/stat", "/proc/\(process)/status"])
        ).output(of: "look at process \(process)")
        return try ProcessUse(text).required("figures of process \(process)")
    }
}

/// What /proc tells of a process (proc(5)): `stat` and `status`, one after the other.
struct ProcessUse: Equatable {
    var processorSeconds: Double
    var residentMebibytes: Double

    /// - Returns: nil when it is not what was expected.
    init?(_ text: String, ticksPerSecond: Double = Double(sysconf(Int32(_SC_CLK_TCK)))) {
        let lines = text.split(separator: "\n")
        // The name in brackets may hold anything.
        guard let stat = lines.first, let bracket = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[bracket...].split(separator: " ")
        let resident = lines.first { $0.hasPrefix("VmRSS:") }?.split(whereSeparator: \.isWhitespace)
        guard fields.count > 13, let user = Double(fields[12]), let kernel = Double(fields[13]), let resident,
            resident.count > 1, let kibibytes = Double(resident[1])
        else { return nil }
        processorSeconds = (user + kernel) / ticksPerSecond
        residentMebibytes = kibibytes / 1_024
    }
}
