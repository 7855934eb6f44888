// Declares a guest that is there already: what `holdfast vm import` shows a person to keep. Reads only; the guest is none of
// the cluster's before somebody applies what is shown.

import Cluster
import Consensus
import Kinds

extension ProxmoxNode {
    /// The guests on this host that nobody has declared, as they could be declared, in the order of their numbers.
    /// Templates, and what Proxmox's own HA manages, are left out.
    public func adoptable() async throws(ProxmoxError) -> [Declaration] {
        let watched = state.withLock { $0.watched.compactMap(GuestNumber.init) }
        let managed = try await host.managedByProxmox()
        var found: [Declaration] = []
        for summary in try await host.guests()
        where !summary.isTemplate && !watched.contains(summary.guest) && !managed.contains(summary.guest.serviceName) {
            let configuration = try await host.configuration(of: summary.guest)
            found.append(
                GuestAdoption.declaration(
                    of: summary.guest, named: summary.name, isRunning: summary.isRunning, configuration))
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
