// The bench's cases for virtual machines: a host with guests loses power, by each way of proving that it can no longer
// write, and whether or not it led the cluster. Measured are the time until the starts were issued on the other host, and
// until every guest answered a client. Each way has a lab of its own, with guests on the storage that it is for.

import FoundationEssentials
import Glibc

/// A way of proving that a lost host writes no more.
enum GuestFencing: String, CaseIterable, Codable {
    case storage = "storage fence"
    /// As before, with corosync told to notice a loss sooner.
    case storageQuick = "storage fence, corosync token 1 s"
    case power = "power fence"
    case powerQuick = "power fence, corosync token 1 s"

    /// Starts issued, at the median and the 99th percentile, in milliseconds.
    var aim: (median: Double, percentile99: Double) { (3_000, 6_000) }

    /// When corosync takes a silent host for gone.
    var detectionMilliseconds: Int {
        switch self {
        case .storage, .power: Hypervisor.usualDetection
        case .storageQuick, .powerQuick: Hypervisor.quickDetection
        }
    }

    var guests: [LabGuest] {
        switch self {
        case .storage, .storageQuick: LabGuest.all
        case .power, .powerQuick: LabGuest.onFiles
        }
    }

    /// What is declared beside the cluster, its members and addresses.
    func manifest(_ directory: LabDirectory) throws -> String {
        var parts = [
            """
            apiVersion: holdfast/v1
            kind: StoragePool
            metadata: {name: \(guests[0].storage.rawValue)}
            spec: {type: \(guests[0].storage == .ceph ? "cephRbd" : "shared")}
            """
        ]
        if self == .power || self == .powerQuick {
            parts.append(
                """
                apiVersion: holdfast/v1
                kind: FencePolicy
                metadata: {name: default}
                spec:
                  methods: [power, watchdog]
                  powerCommand: [\(try Executables.own()), fence, --dir, \(directory.path), "{host}"]
                """)
        }
        for guest in guests {
            parts.append(
                """
                apiVersion: holdfast/v1
                kind: VirtualMachine
                metadata: {name: \(guest.name)}
                spec:
                  proxmox: {vmid: \(guest.vmid), memory: 512Mi}
                  disks: [{name: scsi0, pool: \(guest.storage.rawValue)}]
                """)
        }
        return parts.joined(separator: "\n---\n") + "\n"
    }
}

/// One loss of a host with guests.
struct GuestRepetition: Encodable, Equatable {
    var host: String
    var wasLeader: Bool
    var guests: [GuestReturn]

    /// Of the last guest that was started.
    var startIssued: Double { guests.map(\.startIssued).max() ?? 0 }
    var answered: Double { guests.map(\.answered).max() ?? 0 }
}

/// What came of one case.
struct GuestCaseResult: Encodable, Equatable {
    var fencing: GuestFencing
    var hitsLeader: Bool
    var repetitions: [GuestRepetition] = []
    var failures: [String] = []
    var disksWithTwoWriters: [String] = []

    var name: String { "\(fencing.rawValue), host \(hitsLeader ? "leads" : "does not lead")" }
    var startIssued: Figures { Figures(repetitions.map(\.startIssued)) }
    var answered: Figures { Figures(repetitions.map(\.answered)) }
    var isKept: Bool {
        failures.isEmpty && disksWithTwoWriters.isEmpty && !repetitions.isEmpty
            && startIssued.median <= fencing.aim.median && startIssued.percentile99 <= fencing.aim.percentile99
    }

    private enum Field: String, CodingKey {
        case name, repetitions, failures, startIssued, answered, disksWithTwoWriters, kept
    }

    /// With the figures that follow from the repetitions.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Field.self)
        try container.encode(name, forKey: .name)
        try container.encode(repetitions, forKey: .repetitions)
        try container.encode(failures, forKey: .failures)
        try container.encode(startIssued, forKey: .startIssued)
        try container.encode(answered, forKey: .answered)
        try container.encode(disksWithTwoWriters, forKey: .disksWithTwoWriters)
        try container.encode(isKept, forKey: .kept)
    }

    static func table(_ results: [GuestCaseResult]) -> String {
        var table = Table([
            "VIRTUAL MACHINES", "N", "", "MIN ms", "MEDIAN ms", "P99 ms", "MAX ms", "AIM ms", "KEPT", "TWO WRITERS",
        ])
        for result in results {
            let count =
                "\(result.repetitions.count)" + (result.failures.isEmpty ? "" : " (\(result.failures.count) failed)")
            let aim = "≤ \(Int(result.fencing.aim.median)) / \(Int(result.fencing.aim.percentile99))"
            for (what, figures) in [("start issued", result.startIssued), ("answers", result.answered)] {
                let isStart = what == "start issued"
                table.add(
                    [isStart ? result.name : "", isStart ? count : "", what]
                        + [figures.least, figures.median, figures.percentile99, figures.most].map(ProbeReport.rounded)
                        + [
                            isStart ? aim : "-", isStart ? (result.isKept ? "yes" : "NO") : "-",
                            isStart ? "\(result.disksWithTwoWriters.count)" : "",
                        ])
            }
        }
        return table.text
    }
}

/// Runs the cases of one way of fencing against a lab.
struct GuestBench {
    let client: KeeperClient
    let holdfast: HoldfastClient
    let fencing: GuestFencing

    private var loss: GuestLoss { GuestLoss(client: client, holdfast: holdfast, guests: fencing.guests) }

    /// Declares what is to be true, and waits until it is.
    func declare(manifests: String) throws {
        let path = "\(client.directory.path)/guests.yaml"
        try Data(fencing.manifest(client.directory).utf8).write(to: URL(fileURLWithPath: path))
        for name in ["cluster", "members", "addresses"] {
            try holdfast.output(["apply", "-f", "\(manifests)/\(name).yaml"])
        }
        try holdfast.output(["apply", "-f", path])
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilGuestsRun(fencing.guests)
    }

    func repeatOnce(hitsLeader: Bool) throws -> GuestRepetition {
        let host = try arrange(hitsLeader: hitsLeader)
        let lost = try loss.guests(on: host)
        let returns = try loss.measure(host, lost)
        try client.ask(Request(.powerOn, node: host.name))
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilNothingIsFenced()
        return GuestRepetition(host: host.name, wasLeader: hitsLeader, guests: returns)
    }

    /// A host that leads or does not, as wanted, with guests on it.
    private func arrange(hitsLeader: Bool) throws -> Node {
        let hosts = Topology.homelab.nodes.filter { $0.kind == .host }
        let status = try holdfast.wait(for: "a whole lab with a host as leader", seconds: 90) { status in
            status.isWhole && hosts.contains { $0.name == status.leader }
        }
        try holdfast.waitUntilNothingIsFenced()
        let host = try hosts.first { ($0.name == status.leader) == hitsLeader }.required("host")
        if try loss.guests(on: host).isEmpty {
            for guest in fencing.guests { try holdfast.output(["vm", "move", guest.name, host.name]) }
            try holdfast.waitForGuests("the guests on \(host.name)", seconds: 60) { seen in
                fencing.guests.allSatisfy { GuestLoss.isOn(host, $0, seen.filter(\.isRunning)) }
            }
        }
        return host
    }

    /// After a failed repetition: everything back.
    func recover() throws {
        try client.ask(Request(.heal))
        for node in try client.status().nodes where !node.powered && node.host == nil {
            try client.ask(Request(.powerOn, node: node.name))
        }
        try holdfast.waitUntilWhole()
        try holdfast.waitUntilGuestsRun(fencing.guests, seconds: 120)
    }

    func disksWithTwoWriters() throws -> [String] {
        try loss.disks().filter { !$0.history.hadOneWriterAtATime }.map(\.guest.name)
    }
}
