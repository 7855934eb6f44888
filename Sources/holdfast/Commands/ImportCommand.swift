// `vm import`: the guests of this host that nobody has declared, as manifests. Run on the host itself, because it asks the
// host's Proxmox with the settings its agent has. Nothing is declared unless that is asked for.

import API
import ArgumentParser
import Cluster
import Consensus
import Glibc
import Kinds
import Manifests
import ProxmoxDriver

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Guests of this host's Proxmox that are not declared, as manifests; --declare declares them.",
        discussion: """
            Run it on a host whose agent drives Proxmox (DATA/proxmox.json). It prints a manifest for every virtual machine
            and system container that is not declared, as it is now, and for the storages its disks lie on. Look through
            them, keep them in a file, and declare them with holdfast apply, or at once with --declare: a guest that is
            declared as it is goes on as it is. Templates, and what Proxmox's own high availability manages, are left out.
            """)

    @OptionGroup var place: DataDirectoryOption
    @Option(help: "Only these numbers; may be given several times.") var vmid: [Int64] = []
    @Flag(help: "Declare them. Without it they are only printed.") var declare = false
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let terminal = Terminal.current
        let settings = try readSettings()
        try await connection.withClient { client, limit in
            let known = try await client.resources(ofKind: nil, .linearizable, within: limit).resources
            let declared = known.filter { $0.kind == WorkloadSpec.machine || $0.kind == WorkloadSpec.container }
                .compactMap { $0.spec["proxmox"]?["vmid"]?.int }
            let pools = known.filter { $0.kind == StoragePoolSpec.schema.kind }.map(\.metadata.name)
            var found: AdoptableGuests
            do { found = try await AdoptableGuests.on(settings, declared: declared, pools: pools) } catch {
                throw CommandFailure(ExitStatus.error, "\(error)", next: "holdfast doctor")
            }
            if !vmid.isEmpty { found.guests.removeAll { !vmid.contains($0.spec["proxmox"]?["vmid"]?.int ?? 0) } }
            for note in found.notes { terminal.note(note) }
            if !found.managed.isEmpty {
                terminal.note(
                    "left out, because Proxmox's own high availability manages them: "
                        + found.managed.joined(separator: ", ") + "; ha-manager remove gives them free")
            }
            let taken = Set(known.map { "\($0.kind)/\($0.metadata.name)" })
            if let twice = Self.nameGivenTwice(found.guests, taken) {
                throw CommandFailure(
                    ExitStatus.error, "\(twice) would be declared twice",
                    next: "holdfast vm import > guests.yaml, give one another name, and holdfast apply -f guests.yaml")
            }
            guard !found.guests.isEmpty else { return terminal.note("every guest of \(settings.node) is declared") }
            let declarations = found.pools + found.guests
            terminal.print(ManifestWriter.yaml(declarations))
            guard declare else {
                return terminal.note("nothing was declared; holdfast vm import --declare does it")
            }
            let outcome = try await client.apply(
                ApplyRequest(declarations: declarations.map(\.document)), within: limit)
            terminal.note("\(outcome.message) (revision \(outcome.revision))")
        }
    }

    private func readSettings() throws -> ProxmoxSettings {
        let file = "\(place.dataDir)/\(Hypervisor.settingsFile)"
        do { return try ProxmoxSettings(file: file, hostName: Self.hostName()) } catch {
            throw CommandFailure(
                ExitStatus.error, "\(error)", next: "run it on a host, with the --data-dir of its agent")
        }
    }

    /// For settings that do not name the node: a host's name is its node's.
    private static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Guests have names of their own in Proxmox; two may be alike, or like one that is declared.
    static func nameGivenTwice(_ guests: [Declaration], _ taken: Set<String>) -> String? {
        var seen = taken
        for guest in guests where !seen.insert("\(guest.kind)/\(guest.name)").inserted {
            return "\(guest.kind)/\(guest.name)"
        }
        return nil
    }
}
