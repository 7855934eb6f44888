// Declares a guest that is there already: what `holdfast vm import` shows a person to keep. Reads only; the guest is none of
// the cluster's before somebody applies what is shown.

import Cluster
import Consensus
import Kinds

/// What lies on a host and could be declared.
public struct AdoptableGuests: Hashable, Sendable {
    /// The guests that nobody has declared, as they are, in the order of their numbers. Templates, and what Proxmox's own HA
    /// manages, are left out.
    public var guests: [Declaration]
    /// The storages their disks lie on, which nobody has declared either.
    public var pools: [Declaration]
    /// What Proxmox's own HA manages: `vm:120`. It is adopted once that has let go of it.
    public var managed: [String]
    /// Disks that keep a guest on this host, each in a sentence.
    public var notes: [String]

    /// Asks a host.
    /// - Parameters:
    ///   - declared: numbers of guests that are declared.
    ///   - pools: names of storages that are.
    public static func on(
        _ settings: ProxmoxSettings, declared: [Int64], pools: [String]
    ) async throws(ProxmoxError) -> AdoptableGuests {
        let client = try ProxmoxClient(settings.access)
        defer { client.shutDown() }
        return try await on(ProxmoxHost(client: client, node: settings.node), declared: declared, pools: pools)
    }

    static func on(
        _ host: ProxmoxHost, declared: [Int64], pools: [String]
    ) async throws(ProxmoxError) -> AdoptableGuests {
        // Also the check that it is the right host.
        _ = try await host.quorum()
        var found = AdoptableGuests(guests: [], pools: [], managed: try await host.managedByProxmox(), notes: [])
        let storages = try await host.storages()
        var used: SortedMap<String, Bool> = [:]
        for summary in try await host.guests()
        where !summary.isTemplate && !declared.contains(Int64(summary.guest.number))
            && !found.managed.contains(summary.guest.serviceName)
        {
            let configuration = try await host.configuration(of: summary.guest)
            found.guests.append(
                GuestAdoption.declaration(
                    of: summary.guest, named: summary.name, isRunning: summary.isRunning, configuration))
            for disk in configuration.disks where !disk.isDrive {
                if let storage = disk.storage { used[storage] = true }
            }
            let kept =
                configuration.localDisks(storages).map { "\($0.slot) (\($0.volume))" } + configuration.hostDevices
            if !kept.isEmpty {
                found.notes.append("\(summary.guest) cannot leave this host: it needs \(kept.joined(separator: ", "))")
            }
        }
        found.pools = used.keys.filter { !pools.contains($0) }.map { name in
            GuestAdoption.pool(name, storages.first { $0.name == name })
        }
        return found
    }
}

/// A configuration of Proxmox as a declaration.
enum GuestAdoption {
    static func declaration(
        of guest: GuestNumber, named name: String, isRunning: Bool, _ configuration: GuestConfiguration
    ) -> Declaration {
        let settings = configuration.settings
        let cores = (settings["cores"].flatMap { Int64($0) } ?? 1) * (settings["sockets"].flatMap { Int64($0) } ?? 1)
        let mebibytes = settings["memory"].flatMap { PropertyText($0).first }.flatMap { Int64($0) } ?? 512
        let networks: [JSONValue] = configuration.networks.compactMap { network in
            guard let bridge = network.bridge else { return nil }
            var entry: SortedMap<String, JSONValue> = ["name": .string(network.slot), "bridge": .string(bridge)]
            entry["tag"] = network.vlan.map { JSONValue.int($0) }
            return .object(entry)
        }
        let disks: [JSONValue] = configuration.disks.compactMap { disk in
            // A drive holds no data of the guest's; a device of the host is on no pool.
            guard !disk.isDrive, let storage = disk.storage else { return nil }
            var entry: SortedMap<String, JSONValue> = ["name": .string(disk.slot), "pool": .string(storage)]
            // Firmware settings and the like are smaller than what sizes are written in, and never grow.
            if let bytes = disk.bytes, bytes > 0, bytes % (1 << 20) == 0 {
                entry["size"] = .string(ByteSize.text(bytes))
            }
            return .object(entry)
        }
        var proxmox: SortedMap<String, JSONValue> = [
            "vmid": .int(Int64(guest.number)), "cores": .int(cores), "memory": .string(ByteSize.text(mebibytes << 20)),
        ]
        if !networks.isEmpty { proxmox["networks"] = .array(networks) }
        var spec: SortedMap<String, JSONValue> = [
            "proxmox": .object(proxmox), "desired": .string(isRunning ? "running" : "stopped"),
        ]
        if !disks.isEmpty { spec["disks"] = .array(disks) }
        return Declaration(
            kind: guest.kind == .machine ? WorkloadSpec.machine : WorkloadSpec.container,
            name: resourceName(name, guest), spec: .object(spec))
    }

    /// What is not known is taken to be reached by one host alone.
    static func pool(_ name: String, _ storage: StorageState?) -> Declaration {
        let type: WorkloadSpec.Storage =
            storage?.type == "rbd" ? .cephRbd : storage?.isShared == true ? .shared : .local
        return Declaration(kind: "StoragePool", name: name, spec: ["type": .string(type.rawValue)])
    }

    /// A name Holdfast takes: lower case letters, digits and dashes.
    private static func resourceName(_ name: String, _ guest: GuestNumber) -> String {
        var result = ""
        for character in name.lowercased() {
            let isFit = character.isASCII && (character.isLetter || character.isNumber)
            if isFit {
                result.append(character)
            } else if !result.isEmpty, result.last != "-" {
                result.append("-")
            }
        }
        while result.last == "-" { result.removeLast() }
        return result.isEmpty || result.first?.isNumber == true
            ? "\(guest.kind.word)-\(guest.number)" : String(result.prefix(60))
    }
}
