// A declared workload in Proxmox's terms: what its driver reads of the declaration. Where it runs is none of its business.

import Cluster
import Consensus
import Kinds

/// What a declaration says about the guest itself.
struct DeclaredGuest: Hashable, Sendable {
    /// What is kept so for as long as it is declared.
    var wanted: WantedGuest
    /// What a new guest is told besides; a guest that is in use keeps what it has.
    var firstSettings: SortedMap<String, String> = [:]
    /// From what it is made when there is none; nil: only one that exists is taken over.
    var origin: GuestOrigin?
    var check: HealthCheck?

    /// A guest whose description begins with this was being made when something came in between.
    static let unfinished = "Holdfast is making this guest"

    /// - Throws: what is wrong with the declaration.
    init(_ declaration: Declaration) throws(InvalidDeclaration) {
        let spec = try WorkloadSpec(declaration)
        let isMachine = spec.guest.form == .machine
        let kind: GuestNumber.Kind = isMachine ? .machine : .container
        guard let number = Int(exactly: spec.guest.vmid), let guest = GuestNumber(kind, number) else {
            preconditionFailure("the schema bounds the vmid")
        }
        let proxmox = declaration.spec["proxmox"] ?? .null
        wanted = WantedGuest(
            guest: guest, name: declaration.name,
            settings: ["cores": "\(spec.cores)", "memory": "\(spec.memoryBytes >> 20)"])
        wanted.disks = (declaration.spec["disks"]?.array ?? []).compactMap { entry in
            guard let slot = entry["name"]?.string, let pool = entry["pool"]?.string,
                let bytes = entry["size"]?.string.flatMap(ByteSize.parse)
            else { return nil }
            return WantedDisk(slot: slot, storage: pool, bytes: bytes)
        }
        wanted.networks = (proxmox["networks"]?.array ?? []).compactMap { entry in
            guard let slot = entry["name"]?.string, let bridge = entry["bridge"]?.string else { return nil }
            return WantedNetwork(slot: slot, bridge: bridge, vlan: entry["tag"]?.int)
        }
        if isMachine, let cloudInit = proxmox["cloudInit"] { firstSettings = Self.cloudInit(cloudInit) }
        if let template = proxmox["template"]?.string {
            if let source = Int(template).flatMap({ GuestNumber(kind, $0) }) {
                origin = .copy(of: source, full: true, storage: spec.disks.first?.pool)
            } else if !isMachine {
                origin = .archive(template)
            }
        }
        check = spec.health
    }

    private static func cloudInit(_ spec: JSONValue) -> SortedMap<String, String> {
        var settings: SortedMap<String, String> = [:]
        settings["ciuser"] = spec["user"]?.string
        let keys = (spec["sshKeys"]?.array ?? []).compactMap(\.string)
        // Proxmox keeps the keys as escaped text, and the request escapes that text again.
        if !keys.isEmpty { settings["sshkeys"] = FormText.escaped(keys.joined(separator: "\n") + "\n") }
        let address = spec["address"]?.string
        let gateway = spec["gateway"]?.string
        settings["ipconfig0"] = "ip=\(address ?? "dhcp")" + (address == nil ? "" : gateway.map { ",gw=\($0)" } ?? "")
        return settings
    }

    /// What is to be set, given what is there: a guest that was not finished is told everything.
    func wanted(over present: GuestConfiguration?) -> WantedGuest {
        var all = wanted
        // The declared processors are spread over the sockets the machine has.
        if let sockets = present?.settings["sockets"].flatMap({ Int64($0) }), sockets > 1,
            let cores = wanted.settings["cores"].flatMap({ Int64($0) })
        {
            if cores % sockets == 0 {
                all.settings["cores"] = "\(cores / sockets)"
            } else {
                all.settings["sockets"] = "1"
            }
        }
        let isNew = present == nil || present?.settings["description"]?.hasPrefix(Self.unfinished) == true
        guard isNew else { return all }
        for (setting, value) in firstSettings.pairs { all.settings[setting] = value }
        all.settings["description"] = "Made by Holdfast"
        return all
    }
}

extension GuestNumber {
    /// nil for a number outside of Proxmox's range.
    init?(_ guest: Guest) {
        guard let number = Int(exactly: guest.vmid) else { return nil }
        self.init(guest.form == .machine ? .machine : .container, number)
    }
}

extension GuestConfiguration {
    /// The configuration in a file of Proxmox: what stands before the first snapshot.
    init(file text: String, _ kind: GuestNumber.Kind) {
        var settings: SortedMap<String, String> = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("[") { break }
            guard !line.hasPrefix("#"), let colon = line.firstIndex(of: ":") else { continue }
            settings[String(line[..<colon])] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        self.init(kind: kind, digest: "", settings: settings)
    }
}
