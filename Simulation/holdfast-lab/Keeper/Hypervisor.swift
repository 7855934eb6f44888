// The emulated Proxmox of one host: where its files are, how it is started, what the host's agent is told about it, and the
// orders the laboratory gives it. It runs inside the host, so that a power cut ends it and all its guests.

import FoundationEssentials
import Glibc

/// The emulator of one host.
struct Hypervisor {
    let host: Node
    let directory: LabDirectory
    /// The program `holdfast-proxmox`.
    let program: String
    /// When corosync takes a silent host for gone: its token's time-out and that of the consensus, 1.2 times as long.
    var detectionMilliseconds = Self.usualDetection

    /// Where the cluster's third vote is given, if it has one.
    var qdevice: String?

    /// With corosync's defaults for two hosts, as measured on real ones; corosync alone took 6.3 s of it
    /// (Simulation/Corosync).
    static let usualDetection = 6_700
    /// With what deploy/OPERATING.md says of corosync.conf: 1.3 s for corosync alone, and the same beside it as above.
    static let quickDetection = 1_700
    /// The same with a QDevice that is asked each second: 1.5 s for corosync alone.
    static let quickDetectionWithQDevice = 1_900
    /// qnetd's own port.
    static let qdevicePort = 5_403

    static let port = 8006
    private static let token = "ops@pve!holdfast"
    private static let secret = "8d2c5f3e-90ab-4c1d-b7e6-5a4f3c2b1d00"

    private var folder: String { directory.folder(of: host.name) + "/proxmox" }
    private var control: String { "\(directory.path)/\(host.name).sock" }

    static func all(
        in directory: LabDirectory, program: String, detectionMilliseconds: Int = usualDetection, qdevice: String? = nil
    ) -> [Hypervisor] {
        Topology.homelab.nodes.filter { $0.kind == .host }.map {
            Hypervisor(
                host: $0, directory: directory, program: program, detectionMilliseconds: detectionMilliseconds,
                qdevice: qdevice)
        }
    }

    /// The emulator's program lies beside `holdfast`.
    static func program(beside holdfast: String) throws -> String {
        let path = "/" + holdfast.split(separator: "/").dropLast().joined(separator: "/") + "/holdfast-proxmox"
        guard Executables.isExecutable(path) else {
            throw LabError(
                "there is no holdfast-proxmox at \(path); build it: swift build --product holdfast-proxmox", exitCode: 3
            )
        }
        return path
    }

    /// Makes the folders, and the programs under the names of those they stand for.
    func prepare() throws {
        for name in ["bin", "run", "pve"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        try FileManager.default.createDirectory(
            atPath: directory.sharedFolder + "/disks", withIntermediateDirectories: true)
        for name in ["ceph", "rbd"] { try link(name, to: program) }
        try link("kvm", to: Executables.own())
        // The host's own commands go to its emulator.
        for name in ["pvecm", "qm", "pct"] {
            try write(
                "#!/bin/sh\nHOLDFAST_PROXMOX_CONTROL='\(control)' exec '\(program)' \(name) \"$@\"\n",
                to: "\(folder)/bin/\(name)", mode: 0o700)
        }
        try write("\(Self.token)=\(Self.secret)\n", to: tokenFile)
    }

    private func link(_ name: String, to target: String) throws {
        let path = "\(folder)/bin/\(name)"
        unlink(path)
        guard symlink(target, path) == 0 else { throw LabError("link \(path): \(errorText(errno))") }
    }

    private var tokenFile: String { "\(folder)/token" }

    /// What is run inside the host.
    var arguments: [String] {
        let nodes = Topology.homelab.nodes.filter { $0.kind == .host }
        let machine =
            "exec \(folder)/bin/kvm -id {vmid} --incoming {incoming} --host {node} --host-address \(host.address) --dir \(directory.path)"
        return [
            program, "host", "--node", host.name,
            "--nodes", nodes.map { "\($0.name)=\($0.address):\(Self.port)" }.joined(separator: ","),
            "--listen", "0.0.0.0:\(Self.port)", "--state", stateFile,
            "--shared", directory.sharedStorage, "--control", control, "--certificate", "\(folder)/certificate.pem",
            "--access-log", directory.accessLog(of: host.name), "--boot-file", bootFile, "--pve-dir", "\(folder)/pve",
            "--pve-mount",
            "--run-dir", "\(folder)/run",
            "--detection", "\(detectionMilliseconds)", "--guest-command", machine, "--token",
            "\(Self.token)=\(Self.secret)",
        ] + (qdevice.map { ["--qdevice", $0] } ?? [])
    }

    /// What is run on the witness to give the third vote.
    static func qdeviceArguments(program: String) -> [String] {
        [program, "witness", "--listen", "0.0.0.0:\(qdevicePort)", "--patience", "1200"]
    }

    // MARK: What the agent is told

    private struct Settings: Encodable {
        struct API: Encodable {
            var host: String
            var fingerprint: String
        }
        var node: String
        var api: API
        var token: String
        var ceph: [String: String]
        var storageAddress: String
        var folders: [String: String]
        var programs: [String: String]
        struct Watchdog: Encodable {
            var socket: String
            var seconds: Int
        }
        var watchdog: Watchdog?
    }

    /// Writes the settings of the host's agent into its data folder.
    /// - Parameter watchdogSeconds: from the last feeding of the host's watchdog to its reset; nil: the host has none.
    func tellAgent(fingerprint: String, watchdogSeconds: Int?) throws {
        let programs = ["pvecm", "qm", "pct", "ceph", "rbd"].map { ($0, "\(folder)/bin/\($0)") }
        let settings = Settings(
            node: host.name, api: .init(host: "127.0.0.1", fingerprint: fingerprint), token: tokenFile,
            ceph: ["conf": directory.sharedStorage], storageAddress: host.address,
            folders: ["configurations": "\(folder)/pve", "machines": "\(folder)/run", "boot": bootFile],
            programs: Dictionary(uniqueKeysWithValues: programs),
            watchdog: watchdogSeconds.map {
                Settings.Watchdog(socket: directory.watchdogSocket(of: host.name), seconds: $0)
            })
        let data = directory.data(of: host.name)
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        try write(try jsonLine(settings), to: "\(data)/proxmox.json")
    }

    private var bootFile: String { "\(folder)/boot" }

    private func write(_ text: String, to path: String, mode: mode_t = 0o600) throws {
        unlink(path)
        let opened = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        try Descriptor(checking: opened < 0 ? -errno : opened, "create \(path)").write(text)
    }

    // MARK: Orders

    /// Gives the emulator an order of its control socket.
    @discardableResult
    func order(_ text: String) throws -> String {
        var command = Command([program, "control", "--control", control, text])
        command.deadlineMilliseconds = 10_000
        return try command.output(of: "holdfast-proxmox control on \(host.name)")
    }

    private struct Reply: Decodable {
        var fingerprint: String
        var online: [String]
        var running: [Int]
        var requests: Int
        var filesVersion: Int
    }

    private func status() throws -> Reply {
        try JSONDecoder().decode(Reply.self, from: Data(order(#"{"command":"status"}"#).utf8))
    }

    /// The numbers of the guests that run there.
    func running() throws -> [Int] { try status().running }

    /// How many requests its API was asked since its start.
    func requests() throws -> Int { try status().requests }

    /// Whether it has been run before.
    var hasState: Bool { access(stateFile, F_OK) == 0 }
    private var stateFile: String { "\(folder)/state.json" }

    /// Waits until all are one Proxmox cluster, with the same files on each.
    static func waitUntilTheySeeEachOther(_ all: [Hypervisor]) throws {
        let deadline = Deadline.after(milliseconds: 20_000)
        while true {
            let seen = try all.map { try $0.status() }
            if seen.allSatisfy({ $0.online.count == all.count && $0.filesVersion == seen[0].filesVersion }) { return }
            guard !deadline.hasPassed else {
                throw LabError.timedOut("the emulated Proxmox hosts did not become one cluster within 20 s")
            }
            _ = waitReadable([], until: .after(milliseconds: 50))
        }
    }

    /// Waits until it answers, and tells its certificate's fingerprint.
    func waitUntilItAnswers() throws -> String {
        let deadline = Deadline.after(milliseconds: 20_000)
        while true {
            do {
                return try status().fingerprint
            } catch let error as LabError {
                guard !deadline.hasPassed else {
                    throw LabError.timedOut(
                        "the emulated Proxmox of \(host.name) did not answer: \(error); see \(directory.emulatorLog(of: host.name))"
                    )
                }
                _ = waitReadable([], until: .after(milliseconds: 50))
            }
        }
    }

    /// Adds the storages and this host's guests, as they are when a lab is new.
    /// - Parameter crowd: guests that are there beside the lab's own.
    func furnish(crowd: [LabGuest] = []) throws {
        for storage in LabStorage.allCases {
            try order(
                #"{"command":"add-storage","storage":"\#(storage.rawValue)","type":"\#(storage.type)","shared":1}"#)
        }
        for guest in LabGuest.all + LabGuest.onFiles + crowd where guest.host == host.name {
            try order(
                #"{"command":"add-guest","vmid":\#(guest.vmid),"running":1,"settings":{"name":"\#(guest.name)","#
                    + #""memory":"\#(guest.memoryMebibytes)","cores":"1","scsi0":"\#(guest.volume),size=1G"}}"#)
        }
    }
}
