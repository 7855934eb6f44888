// The bench's cases for virtual machines: a host with guests loses power, by each way of proving that it can no longer
// write, and whether or not it led the cluster. Measured are the time until the starts were issued on the other host, and
// until every guest answered a client. Each way has a lab of its own, with guests on the storage that it is for.

import FoundationEssentials
import Glibc

/// A way of proving that a lost host writes no more.
enum GuestFencing: String, CaseIterable, Codable {
    case storage = "storage fence"
    /// As before, with corosync told to notice a loss sooner, as deploy/OPERATING.md says.
    case storageQuick = "storage fence, corosync tuned"
    /// And with a third vote, so that none has to be lowered.
    case storageQDevice = "storage fence, corosync and QDevice tuned"
    case power = "power fence"
    case powerQuick = "power fence, corosync tuned"
    /// The proof is that the lost host's watchdog must have reset it by now.
    case watchdog = "watchdog of 15 s"
    /// The same with the times of Proxmox's own program, which gives a client a minute.
    case multiplexer = "watchdog-mux, 70 s"

    /// Starts issued, at the median and the 99th percentile, in milliseconds.
    var aim: (median: Double, percentile99: Double) {
        watchdogSeconds == nil ? (3_000, 6_000) : (25_000, 25_000)
    }

    /// From the last feeding of a host's watchdog to its reset, at most; nil: it is no part of this way.
    var watchdogSeconds: Int? {
        switch self {
        case .storage, .storageQuick, .storageQDevice, .power, .powerQuick: nil
        case .watchdog: 15
        case .multiplexer: 70
        }
    }

    /// How a host is lost in the cases of this way.
    var losses: [GuestLoss.Means] { self == .watchdog ? [.powerOff, .isolation] : [.powerOff] }

    /// How long guests may take to come back before a repetition is given up, in seconds.
    var patienceSeconds: Int { 60 + (watchdogSeconds ?? 0) }

    var outfit: LabOutfit {
        LabOutfit(
            detectionMilliseconds: detectionMilliseconds, hasQDevice: self == .storageQDevice,
            watchdogSeconds: watchdogSeconds)
    }

    /// When corosync takes a silent host for gone.
    var detectionMilliseconds: Int {
        switch self {
        case .storage, .power, .watchdog, .multiplexer: Hypervisor.usualDetection
        case .storageQuick, .powerQuick: Hypervisor.quickDetection
        case .storageQDevice: Hypervisor.quickDetectionWithQDevice
        }
    }

    var guests: [LabGuest] {
        switch self {
        case .storage, .storageQuick, .storageQDevice: LabGuest.all
        case .power, .powerQuick, .watchdog, .multiplexer: LabGuest.onFiles
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
        if watchdogSeconds != nil {
            parts.append(
                """
                apiVersion: holdfast/v1
                kind: FencePolicy
                metadata: {name: default}
                spec: {methods: [watchdog]}
                """)
        }
        parts += guests.map(\.manifest)
        return parts.joined(separator: "\n---\n") + "\n"
    }
}

extension LabGuest {
    /// As it is declared.
    var manifest: String {
        """
        apiVersion: holdfast/v1
        kind: VirtualMachine
        metadata: {name: \(name)}
        spec:
          proxmox: {vmid: \(vmid), memory: \(memoryMebibytes)Mi}
          disks: [{name: scsi0, pool: \(storage.rawValue)}]
        """
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
    var means: GuestLoss.Means
    var hitsLeader: Bool
    var repetitions: [GuestRepetition] = []
    var failures: [String] = []
    var disksWithTwoWriters: [String] = []

    /// Without whether it leads.
    var title: String { fencing.rawValue + (means == .isolation ? ", host cut off" : "") }
    var name: String { "\(title), host \(hitsLeader ? "leads" : "does not lead")" }
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

    /// What the same takes without Holdfast: watchdog 60 s, fence delay 60 s, lock 120 s, loop 10 s.
    static let comparison =
        "Proxmox's own HA, from power-off to the guest's process on another host: 121000 to 181000 ms by its times, "
        + "144400 ms measured on a real cluster of three hosts."

    static func table(_ results: [GuestCaseResult]) -> String {
        var table = Table([
            "A HOST WITH GUESTS IS LOST", "LEADS", "N", "START ISSUED ms: MEDIAN", "P99", "ANSWERS ms: MEDIAN", "P99",
            "TWO WRITERS", "AIM ms (START)", "KEPT",
        ])
        for result in results {
            let count =
                "\(result.repetitions.count)" + (result.failures.isEmpty ? "" : " (\(result.failures.count) failed)")
            let figures = [result.startIssued, result.answered].flatMap { [$0.median, $0.percentile99] }
            let (median, percentile99) = result.fencing.aim
            table.add(
                [result.title, result.hitsLeader ? "yes" : "no", count] + figures.map(ProbeReport.rounded) + [
                    "\(result.disksWithTwoWriters.count)", "≤ \(Int(median)) / \(Int(percentile99))",
                    result.isKept ? "yes" : "NO",
                ])
        }
        return table.text
    }
}

/// Runs the cases of one way of fencing against a lab.
struct GuestBench {
    let client: KeeperClient
    let holdfast: HoldfastClient
    let fencing: GuestFencing

    private var loss: GuestLoss {
        GuestLoss(
            client: client, holdfast: holdfast, guests: fencing.guests, patienceSeconds: fencing.patienceSeconds)
    }

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

    func repeatOnce(_ means: GuestLoss.Means, hitsLeader: Bool) throws -> GuestRepetition {
        let host = try arrange(hitsLeader: hitsLeader)
        let lost = try loss.guests(on: host)
        let returns = try loss.measure(host, lost, by: means)
        switch means {
        case .powerOff: try client.ask(Request(.powerOn, node: host.name))
        case .isolation: try client.ask(Request(.heal, node: host.name))
        }
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
        // A host that is lost before the other one is wholly back takes with it what the other has not read yet.
        try Hypervisor.waitUntilTheySeeEachOther(
            Hypervisor.all(in: client.directory, program: Hypervisor.program(beside: holdfast.binary)))
        if try loss.guests(on: host).isEmpty {
            try gather(on: host)
        }
        // Before that its silence proves nothing.
        if fencing.watchdogSeconds != nil { try holdfast.waitUntilGuarded(host) }
        return host
    }

    /// Moves every guest to a host. What could not be moved just after that host came back is asked for again.
    private func gather(on host: Node) throws {
        for attempt in 1...3 {
            let there = Set(try loss.guests(on: host).map(\.name))
            for guest in fencing.guests where !there.contains(guest.name) {
                try holdfast.output(["vm", "move", guest.name, host.name])
            }
            do {
                try holdfast.waitForGuests("the guests on \(host.name)", seconds: 30) { seen in
                    fencing.guests.allSatisfy { GuestLoss.isOn(host, $0, seen.filter(\.isRunning)) }
                }
                return
            } catch  where attempt < 3 { note("\(error); they are asked for again") }
        }
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
