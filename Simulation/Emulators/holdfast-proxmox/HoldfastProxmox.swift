// The emulator as a program: a host, a quorum device, the commands of a host, orders for faults. Under the name `kvm` it
// is a guest that does nothing.

import ArgumentParser
import Foundation
import ProxmoxEmulator

@main struct HoldfastProxmox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-proxmox",
        abstract: "A stand-in for a Proxmox VE host: real HTTPS, no virtual machines.",
        subcommands: [
            HostCommand.self, WitnessCommand.self, ControlCommand.self, Pvecm.self, Qm.self, Pct.self,
            Ceph.self, Rbd.self,
        ])

    static func main() async {
        let name = CommandLine.arguments.first?.split(separator: "/").last
        if name == "kvm" { return GuestProcesses.standIn() }
        // As `pvecm`, `qm`, `pct`, `ceph` or `rbd` it is that command.
        var words = Array(CommandLine.arguments.dropFirst())
        if let name, ["pvecm", "qm", "pct", "ceph", "rbd"].contains(name) { words.insert(String(name), at: 0) }
        do {
            var command = try parseAsRoot(words)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: error)
        }
    }
}

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "Run one host of a cluster.",
        discussion: """
            One process per host, each in its host's network namespace: what cuts the host's cable cuts its quorum, and
            ending the process is a power cut. The hosts know each other by --nodes.
            """)

    @Option(help: "This host's name, one of --nodes.") var node: String
    @Option(help: "All hosts of the cluster: pve1=10.77.0.11:8006,pve2=10.77.0.12:8006") var nodes: String
    @Option(help: "Where to listen, when it is not this host's address in --nodes.") var listen: String?
    @Option(help: "8.4 or 9.1.") var version = "8.4"
    @Option(help: "File that survives a power cut.") var state: String?
    @Option(help: "File of the shared storage's images, the same for all hosts.") var shared: String?
    @Option(help: "Control socket.") var control: String?
    @Option(help: "Quorum device, ADDRESS:PORT (see the subcommand witness).") var qdevice: String?
    @Option(help: "File where the certificate is kept; without it there is a new one at each start.") var certificate:
        String?
    @Option(help: "File where each request that is no GET is noted.") var accessLog: String?
    @Option(help: "File that holds another word after each start, as the kernel's boot_id.") var bootFile: String?
    @Option(help: "Folder in place of /etc/pve.") var pveDir: String?
    @Flag(help: "Make that folder a mount that is read-only without a quorum, for root too.") var pveMount = false
    @Option(help: "Folder in place of /run/qemu-server; each guest then has a process `kvm -id N`.") var runDir: String?
    @Option(help: "A command in place of that process, with {vmid}, {node} and {incoming} in it.") var guestCommand:
        String?
    @Option(help: "An API token made at the start: user@realm!id=secret, with the role Administrator.") var token:
        String?
    @Option(help: "The cluster's name.") var cluster = "lab"
    @Option(help: "Memory, in MiB.") var memory = 16_384
    @Option(help: "Processor cores.") var cores = 8
    @Option(help: "How long things take, in per mille of what they take on a real host.") var pace = 1_000

    @Option(
        help: "From the last word of a host to its being offline, in milliseconds; corosync's defaults make it 6700.")
    var detection = 6_700

    func run() async throws {
        let addresses = try parseNodes()
        guard let release = Release(rawValue: version) else { throw ValidationError("--version is 8.4 or 9.1") }
        let all = addresses.enumerated().map { Node(name: $1.name, id: $0 + 1, address: $1.address.host) }
        guard let own = all.first(where: { $0.name == node }), let address = addresses.first(where: { $0.name == node })
        else { throw ValidationError("--node \(node) is not among --nodes") }
        var settings = HostSettings(node: own, nodes: all)
        settings.release = release
        settings.clusterName = cluster
        settings.cores = cores
        settings.memory = Int64(memory) << 20
        settings.hasQDevice = qdevice != nil
        settings.times.detection = Int64(detection)
        settings.durations = WorkDurations().scaled(permille: Int64(pace))
        var options = HostProcessOptions(settings: settings, listen: try listen.map(parse) ?? address.address)
        options.peers = Dictionary(
            uniqueKeysWithValues: addresses.filter { $0.name != node }.map { ($0.name, $0.address) })
        options.witness = try qdevice.map(parse)
        options.stateFile = state
        options.certificateFile = certificate
        options.accessLog = accessLog
        if let bootFile {
            try Data("\(UUID().uuidString.lowercased())\n".utf8).write(to: URL(fileURLWithPath: bootFile))
        }
        options.pveDirectory = try pveDir.map { try PveDirectory(path: $0, mounts: pveMount) }
        if runDir != nil || guestCommand != nil {
            options.guestProcesses = try GuestProcesses(
                folder: runDir ?? NSTemporaryDirectory() + "holdfast-proxmox.\(getpid())",
                command: guestCommand.map { ["/bin/sh", "-c", $0] }, program: try Self.program())
        }
        let host = try await HostProcess(options, shared: SharedVolumes(file: shared))
        if let token { try await addToken(token, to: host) }
        say("\(node): https://\(options.listen.host):\(host.port)/api2/json fingerprint \(await host.fingerprint)")
        try await serve(host)
    }

    private func serve(_ host: HostProcess) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await host.run() }
            if let control { group.addTask { try await ControlSocket.run(path: control, host: host) } }
            _ = try await group.next()
            group.cancelAll()
        }
    }

    private func addToken(_ text: String, to host: HostProcess) async throws {
        guard
            case .token(let name, let secret) = Credentials(
                authorization: "PVEAPIToken=\(text)", cookie: nil, csrf: nil), name.contains("!"), !secret.isEmpty
        else { throw ValidationError("--token is user@realm!id=secret") }
        let parts = name.split(separator: "!").map(String.init)
        let reply = await host.control([
            "command": "add-token", "user": .string(parts[0]), "id": .string(parts[1]), "secret": .string(secret),
        ])
        if let error = reply["error"]?.string { throw ValidationError(error) }
    }

    private func parse(_ text: String) throws -> PeerAddress {
        guard let address = PeerAddress(text) else { throw ValidationError("\(text) is not ADDRESS:PORT") }
        return address
    }

    private func parseNodes() throws -> [(name: String, address: PeerAddress)] {
        try nodes.split(separator: ",").map { part in
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { throw ValidationError("--nodes is NAME=ADDRESS:PORT,...") }
            return (pair[0], try parse(pair[1]))
        }
    }

    static func program() throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    }
}

struct WitnessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "witness", abstract: "Run a quorum device for two hosts (corosync-qnetd's part).")

    @Option(help: "ADDRESS:PORT") var listen: String
    @Option(help: "How long a host's word is good, in milliseconds.") var patience: Int64 = 5_000

    func run() async throws {
        guard let address = PeerAddress(listen) else { throw ValidationError("\(listen) is not ADDRESS:PORT") }
        let witness = try await WitnessProcess(listen: address, wordMilliseconds: patience)
        say("witness: \(address.host):\(witness.port)")
        try await witness.run()
    }
}

/// Prints a line at once, so that whoever waits for it through a pipe sees it.
private func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
