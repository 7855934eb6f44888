// The driver's settings as a file, which says what only this host knows: its token, its API, its watchdog. Everything has a
// default that is right on a Proxmox host, but for the token and what the API is recognised by. Strict: a field that is not
// known is a mistake of whoever wrote it. Holds no secret itself.
//
//     {
//       "node": "pve1",
//       "api": {"fingerprint": "AB:CD:..."},                        or {"authority": "/etc/pve/pve-root-ca.pem"}
//       "token": "/etc/holdfast/proxmox.token",
//       "ceph": {"id": "holdfast", "keyring": "/etc/ceph/ceph.client.holdfast.keyring"},
//       "watchdog": "proxmox",                                      or {"device": "/dev/watchdog", "seconds": 15}
//                                                                   or {"socket": "/run/mine.sock", "seconds": 70}
//       "storageAddress": "10.77.0.11",
//       "reservedMemoryMebibytes": 2048
//     }

import Cluster
import Consensus

/// What is wrong with a file of settings, where, and what would be right.
public struct ProxmoxSettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// `api.fingerprint`; empty: the file itself.
    public let field: String
    public let found: String
    public let expected: String

    public var description: String {
        field.isEmpty
            ? "\(file): \(found); it must be \(expected)" : "\(file): \(field) is \(found); it must be \(expected)"
    }
}

extension ProxmoxSettings {
    static let mostFileBytes = 65_536

    /// Reads the file, and the token's file that it names.
    /// - Parameter hostName: the name of this host, for a file that does not name the node.
    public init(file: String, hostName: String) throws(ProxmoxSettingsError) {
        guard let text = FileText.read(file, most: Self.mostFileBytes) else {
            throw ProxmoxSettingsError(
                file: file, field: "", found: "it cannot be read", expected: "a file of settings")
        }
        try self.init(json: text, file: file, hostName: hostName)
    }

    init(json text: String, file: String, hostName: String) throws(ProxmoxSettingsError) {
        let fields: SettingsFields
        do throws(JSONFault) {
            fields = SettingsFields(try JSONReader.value(Array(text.utf8)), file: file)
        } catch {
            throw ProxmoxSettingsError(file: file, field: "", found: "no JSON (\(error))", expected: "one JSON object")
        }
        try fields.allow([
            "node", "api", "token", "ceph", "watchdog", "storageAddress", "reservedMemoryMebibytes", "folders",
            "programs",
        ])
        let name = try fields.text("node") ?? String(hostName.prefix { $0 != "." })
        guard let node = NodeName(name) else {
            throw fields.error("node", found: name, expected: "the name of this host in Proxmox")
        }
        self.init(node: node, access: try Self.access(fields))
        try takeCeph(fields)
        try takeWatchdog(fields)
        if let address = try fields.text("storageAddress") {
            guard let canonical = StorageAddress.canonical(address) else {
                throw fields.error(
                    "storageAddress", found: address, expected: "this host's IP address as a client of Ceph: 10.0.0.1")
            }
            storageAddress = canonical
        }
        if let reserved = try fields.number("reservedMemoryMebibytes", 0...1_048_576) {
            reservedMemoryBytes = reserved << 20
        }
        try takePlaces(fields)
    }

    private static func access(_ fields: SettingsFields) throws(ProxmoxSettingsError) -> ProxmoxAccess {
        let api = try fields.object("api") ?? fields.empty("api")
        try api.allow(["host", "port", "fingerprint", "authority"])
        let trust: ServerTrust
        if let text = try api.text("fingerprint") {
            guard let fingerprint = CertificateFingerprint(text) else {
                throw api.error("fingerprint", found: text, expected: "SHA-256 in hexadecimal: see pvenode cert info")
            }
            trust = .fingerprint(fingerprint)
        } else if let path = try api.text("authority") {
            trust = .authority(path: path)
        } else {
            throw api.error(
                "fingerprint", found: "not given", expected: "given, or \"authority\", the path of a PEM file")
        }
        let path = try fields.text("token") ?? "/etc/holdfast/proxmox.token"
        let token: ProxmoxToken
        do throws(ProxmoxTokenError) { token = try ProxmoxToken(file: path) } catch {
            throw fields.error("token", found: "not usable: \(error)", expected: "the path of a private file")
        }
        return ProxmoxAccess(
            host: try api.text("host") ?? "127.0.0.1", port: Int(try api.number("port", 1...65_535) ?? 8_006),
            trust: trust, token: token)
    }

    private mutating func takeCeph(_ fields: SettingsFields) throws(ProxmoxSettingsError) {
        guard let ceph = try fields.object("ceph") else { return }
        try ceph.allow(["id", "conf", "keyring"])
        var options: [String] = []
        for name in ["conf", "id", "keyring"] {
            if let value = try ceph.text(name) { options += ["--\(name)", value] }
        }
        self.ceph = CephFence(options: options)
    }

    private mutating func takeWatchdog(_ fields: SettingsFields) throws(ProxmoxSettingsError) {
        if fields.string("watchdog") == "proxmox" {
            watchdog = .ofProxmox
        } else if let device = try fields.object("watchdog") {
            try device.allow(["device", "seconds", "socket"])
            if let socket = try device.text("socket") {
                if device.isGiven("device") {
                    throw device.error("device", found: "given beside \"socket\"", expected: "only one of the two")
                }
                let seconds = try device.number("seconds", 1...3_600) ?? 70
                watchdog = .multiplexer(socket: socket, delay: .seconds(seconds))
            } else {
                let seconds = try device.number("seconds", 1...3_600) ?? 15
                watchdog = .device(path: try device.text("device") ?? "/dev/watchdog", timeout: .seconds(seconds))
            }
        }
    }

    /// Where things are that have their places on a Proxmox host; for stand-ins.
    private mutating func takePlaces(_ fields: SettingsFields) throws(ProxmoxSettingsError) {
        if let folders = try fields.object("folders") {
            try folders.allow(["configurations", "machines", "processes", "containers", "boot"])
            if let path = try folders.text("configurations") { files.folder = path }
            if let path = try folders.text("machines") { machines.folder = path }
            if let path = try folders.text("processes") { machines.processes = path }
            if let path = try folders.text("containers") { containers.folder = path }
            if let path = try folders.text("boot") { bootFile = path }
        }
        if let programs = try fields.object("programs") {
            try programs.allow(["pvecm", "qm", "pct", "lxc-stop", "ceph", "rbd"])
            if let path = try programs.text("pvecm") { votes.program.path = path }
            if let path = try programs.text("qm") { machineTool.path = path }
            if let path = try programs.text("pct") { containerTool.path = path }
            if let path = try programs.text("lxc-stop") { containers.program.path = path }
            if let path = try programs.text("ceph") { ceph?.ceph.path = path }
            if let path = try programs.text("rbd") { ceph?.rbd.path = path }
        }
    }
}

/// The fields of an object, with words for what is wrong with them.
private struct SettingsFields {
    private let fields: SortedMap<String, JSONValue>?
    private let file: String
    private let place: String

    init(_ value: JSONValue, file: String, place: String = "") {
        fields = value.object
        self.file = file
        self.place = place
    }

    func error(_ field: String, found: String, expected: String) -> ProxmoxSettingsError {
        ProxmoxSettingsError(file: file, field: place + field, found: found, expected: expected)
    }

    func allow(_ names: [String]) throws(ProxmoxSettingsError) {
        guard let fields else {
            throw ProxmoxSettingsError(
                file: file, field: String(place.dropLast()), found: "something else", expected: "a JSON object")
        }
        for name in fields.keys where !names.contains(name) {
            throw error(name, found: "not known", expected: "one of \(names.joined(separator: ", "))")
        }
    }

    func empty(_ name: String) -> SettingsFields { SettingsFields(.object([:]), file: file, place: "\(place)\(name).") }
    func string(_ name: String) -> String? { fields?[name]?.string }
    func isGiven(_ name: String) -> Bool { fields?[name] != nil }

    func object(_ name: String) throws(ProxmoxSettingsError) -> SettingsFields? {
        guard let value = fields?[name] else { return nil }
        return SettingsFields(value, file: file, place: "\(place)\(name).")
    }

    func text(_ name: String) throws(ProxmoxSettingsError) -> String? {
        guard let value = fields?[name] else { return nil }
        guard let text = value.string, !text.isEmpty else {
            throw error(name, found: "no text", expected: "text in quotes")
        }
        return text
    }

    func number(_ name: String, _ range: ClosedRange<Int64>) throws(ProxmoxSettingsError) -> Int64? {
        guard let value = fields?[name] else { return nil }
        guard let number = value.int, range.contains(number) else {
            throw error(
                name, found: value.lenientText ?? "no number",
                expected: "from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
