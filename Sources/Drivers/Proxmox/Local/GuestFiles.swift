// Whose a guest is, as files: the folder a guest's configuration lies in is the host that has it. Moves configurations
// from a dead host to this one, as Proxmox's own HA does. The folder is the cluster's file system and may hang or refuse
// while there is no quorum. Runs calls that may block; the caller gives them a thread.

import Consensus
import Glibc

/// Why a configuration could not be looked at or moved.
public struct GuestFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Cause: Hashable, Sendable {
        /// It is not there.
        case absent
        /// The folder is read-only: no quorum, or not yet (the first second or two after it came back).
        case notWritable
        /// The guest's configuration is in two places, or where it is to go there is one already.
        case taken
        case other(code: Int32)
    }
    public let cause: Cause
    public let attempted: String
    public let answer: String

    public var description: String { "\(attempted): \(answer); \(advice)" }
    public var advice: String {
        switch cause {
        case .absent: "see ls /etc/pve/nodes/*/qemu-server /etc/pve/nodes/*/lxc"
        case .notWritable: "see pvecm status; it is tried again for a while"
        case .taken: "two configurations of one guest: decide by hand which is right, and remove the other"
        case .other: "see systemctl status pve-cluster"
        }
    }
}

/// The configurations of guests below `/etc/pve/nodes`.
public struct GuestFiles: Hashable, Sendable {
    /// `/etc/pve`, or where a stand-in keeps them.
    public var folder: String

    public init(folder: String = "/etc/pve") { self.folder = folder }

    public func path(of guest: GuestNumber, on node: NodeName) -> String {
        "\(folder)/nodes/\(node)/\(guest.kind.configurationFolder)/\(guest.number).conf"
    }

    public func exists(_ guest: GuestNumber, on node: NodeName) -> Bool { access(path(of: guest, on: node), F_OK) == 0 }

    /// Which hosts have the guest: one, unless something went wrong. In the order of their names.
    public func holders(of guest: GuestNumber) throws(GuestFileError) -> [NodeName] {
        try names(in: "\(folder)/nodes", "look for the configuration of \(guest)")
            .compactMap(NodeName.init).sorted().filter { exists(guest, on: $0) }
    }

    /// The guests whose configurations lie on a host, in the order of their numbers.
    public func guests(on node: NodeName) throws(GuestFileError) -> [GuestNumber] {
        var found: [GuestNumber] = []
        for kind in GuestNumber.Kind.allCases {
            let names = try names(
                in: "\(folder)/nodes/\(node)/\(kind.configurationFolder)", "list the configurations on \(node)")
            for name in names where name.hasSuffix(".conf") {
                guard let number = Int(name.dropLast(5)), let guest = GuestNumber(kind, number) else { continue }
                found.append(guest)
            }
        }
        return found.sorted()
    }

    /// The configuration as text. At most 256 KiB, which is more than the cluster's file system allows a file.
    public func text(of guest: GuestNumber, on node: NodeName) throws(GuestFileError) -> String {
        let path = path(of: guest, on: node)
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw error(errno, "read \(path)") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < 262_144 {
            let count = read(descriptor, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw error(errno, "read \(path)") }
            if count == 0 { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The virtual machine that has this UUID in its firmware, and the host that has it now; nil: none has.
    /// - Parameter machine: in lower case, as a machine reads it in /sys/class/dmi/id/product_uuid. Proxmox draws one for every
    ///   machine it makes, and writes it into its configuration (qm(1), `smbios1`).
    func guest(ofMachine machine: String) throws(GuestFileError) -> (guest: GuestNumber, node: NodeName)? {
        for node in try names(in: "\(folder)/nodes", "look for the machine \(machine)").compactMap(NodeName.init) {
            for guest in try guests(on: node) where guest.kind == .machine {
                // One that has gone meanwhile is looked for on the hosts that follow.
                guard let text = try? text(of: guest, on: node) else { continue }
                if Self.machine(in: text) == machine { return (guest, node) }
            }
        }
        return nil
    }

    /// What stands before the first heading is the machine as it is; after it come its snapshots.
    private static func machine(in configuration: String) -> String? {
        let word = "smbios1:"
        let lines = configuration.split(separator: "\n").prefix { !$0.hasPrefix("[") }
        guard let line = lines.first(where: { $0.hasPrefix(word) }) else { return nil }
        return PropertyText(String(line.dropFirst(word.count).drop { $0 == " " })).properties["uuid"]?.lowercased()
    }

    /// Makes the guest this host's. Done when it is already.
    /// - Throws: `notWritable` while the cluster's file system is read-only; nothing has happened then.
    public func take(_ guest: GuestNumber, from dead: NodeName, to node: NodeName) throws(GuestFileError) {
        let attempted = "move the configuration of \(guest) from \(dead) to \(node)"
        let (source, target) = (path(of: guest, on: dead), path(of: guest, on: node))
        let isHere = access(target, F_OK) == 0
        guard access(source, F_OK) == 0 else {
            // Done before; or it never was there.
            if isHere { return }
            throw error(errno, attempted)
        }
        guard !isHere else {
            throw GuestFileError(cause: .taken, attempted: attempted, answer: "it is on both hosts")
        }
        // The cluster's file system orders all changes: of two that rename the same file, one fails.
        guard rename(source, target) == 0 else { throw error(errno, attempted) }
    }

    private func names(in folder: String, _ attempted: String) throws(GuestFileError) -> [String] {
        guard let stream = opendir(folder) else { throw error(errno, attempted) }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { found.append(name) }
        }
        return found.sorted()
    }

    private func error(_ code: Int32, _ attempted: String) -> GuestFileError {
        let cause: GuestFileError.Cause =
            switch code {
            case ENOENT, ENOTDIR: .absent
            case EACCES, EPERM, EROFS, EBUSY, EAGAIN: .notWritable
            case EEXIST: .taken
            default: .other(code: code)
            }
        return GuestFileError(cause: cause, attempted: attempted, answer: SystemText.of(code))
    }
}
