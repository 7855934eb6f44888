// A guest's configuration file: settings in order of their names, then a section per snapshot.
// Format: qemu-server's PVE::QemuServer::write_vm_config; the digest is the SHA-1 of the file's text.

import Crypto
import FoundationEssentials

/// What a guest's configuration file says.
public struct GuestConfiguration: Hashable, Sendable, Codable {
    public var description: String?
    public var settings: [String: String] = [:]
    /// Changes that a running guest has not taken yet.
    public var pending: [String: String] = [:]
    public var pendingDeletions: [String] = []
    /// Per snapshot its settings, with "snaptime", "parent", "vmstate" among them.
    public var snapshots: [String: [String: String]] = [:]
    public var snapshotDescriptions: [String: String] = [:]

    public init() {}

    public init(settings: [String: String]) { self.settings = settings }

    public subscript(key: String) -> String? {
        get { settings[key] }
        set { settings[key] = newValue }
    }

    public var isTemplate: Bool { settings["template"] == "1" }
    public var lock: String? { settings["lock"] }

    // MARK: Text

    /// The file's text.
    public var text: String {
        var lines = Self.comment(description)
        lines += Self.lines(settings)
        if !pending.isEmpty || !pendingDeletions.isEmpty {
            lines += ["", "[PENDING]"]
            if !pendingDeletions.isEmpty { lines.append("delete: \(pendingDeletions.sorted().joined(separator: ","))") }
            lines += Self.lines(pending)
        }
        for name in snapshots.keys.sorted() {
            lines += ["", "[\(name)]"] + Self.comment(snapshotDescriptions[name])
            lines += Self.lines(snapshots[name] ?? [:])
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func comment(_ text: String?) -> [String] {
        guard let text, !text.isEmpty else { return [] }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { "#" + encode(String($0)) }
    }

    private static func lines(_ settings: [String: String]) -> [String] {
        settings.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    }

    /// PVE::Tools::encode_text: a colon, a percent sign and control characters as "%XX".
    private static func encode(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            guard scalar == "%" || scalar == ":" || scalar.value < 32 else { return String(scalar) }
            let digits = String(scalar.value, radix: 16, uppercase: true)
            return "%" + (digits.count < 2 ? "0" + digits : digits)
        }.joined()
    }

    private static func decode(_ text: String) -> String { PercentText.decode(text) }

    /// Reads a configuration file; lines it does not understand are passed over, as Proxmox passes over them.
    public init(text: String) {
        var section: String?
        var comments: [String?: [String]] = [:]
        for line in text.split(separator: "\n").map(String.init) {
            if line.hasPrefix("#") {
                comments[section, default: []].append(Self.decode(String(line.dropFirst())))
            } else if line.hasPrefix("["), let end = line.lastIndex(of: "]") {
                section = String(line[line.index(after: line.startIndex)..<end])
                if let section, section != "PENDING" { snapshots[section] = [:] }
            } else if let colon = line.firstIndex(of: ":") {
                let key = String(line[..<colon])
                let value = line[line.index(after: colon)...].drop { $0 == " " }
                take(key, String(value), section: section)
            }
        }
        description = comments[nil]?.joined(separator: "\n")
        for case (let name?, let lines) in comments { snapshotDescriptions[name] = lines.joined(separator: "\n") }
    }

    private mutating func take(_ key: String, _ value: String, section: String?) {
        switch section {
        case nil: settings[key] = value
        case "PENDING"?:
            if key == "delete" {
                pendingDeletions = value.split(separator: ",").map(String.init)
            } else {
                pending[key] = value
            }
        case .some(let name): snapshots[name, default: [:]][key] = value
        }
    }

    /// SHA-1 of the file's text, in hexadecimal.
    public var digest: String { Digests.sha1(text) }

    // MARK: Disks

    /// The settings that name images, in Proxmox's order: those of a guest's disks, cloud-init drives among them.
    func drives(_ kind: GuestKind) -> [Drive] {
        settings.keys.filter { ConfigurationKeys.isDrive($0, kind) }.sorted().compactMap { key in
            settings[key].flatMap { Drive(key: key, text: $0) }
        }
    }
}

/// A setting that names an image.
struct Drive: Hashable {
    var key: String
    var properties: PropertyString
    /// "storage:name".
    var volume: String

    /// nil for "none", a path, and other things that are no volume.
    init?(key: String, text: String) {
        let properties = PropertyString(text)
        let volume = properties.head ?? properties["file"] ?? properties["volume"]
        guard let volume, volume.contains(":"), !volume.hasPrefix("/") else { return nil }
        self.key = key
        self.properties = properties
        self.volume = volume
    }

    var storage: String { String(volume.prefix { $0 != ":" }) }
    var name: String { String(volume.drop { $0 != ":" }.dropFirst()) }
    var isCloudInit: Bool { name.contains("cloudinit") }
    var isCDROM: Bool { properties["media"] == "cdrom" }
    var size: Int64 { properties["size"].flatMap(DiskSize.parse) ?? 0 }
}

enum Digests {
    static func sha1(_ text: String) -> String {
        Insecure.SHA1.hash(data: Data(text.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count < 2 ? "0" + digits : digits
        }.joined()
    }

    static func sha256(_ text: String) -> String {
        SHA256.hash(data: Data(text.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count < 2 ? "0" + digits : digits
        }.joined()
    }
}

/// "%41" in place of "A".
enum PercentText {
    static func decode(_ text: String, plusIsSpace: Bool = false) -> String {
        var bytes: [UInt8] = []
        let source = Array(text.utf8)
        var position = 0
        while position < source.count {
            let byte = source[position]
            if byte == UInt8(ascii: "%"), position + 2 < source.count,
                let value = UInt8(String(decoding: source[position + 1...position + 2], as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                position += 3
                continue
            }
            bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            position += 1
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
