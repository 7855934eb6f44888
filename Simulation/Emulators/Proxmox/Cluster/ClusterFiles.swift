// The files below /etc/pve as one host has them. A guest belongs to the node whose folder holds its configuration, so
// renaming a file is taking a guest. Replication and the merge after a split are Membership's and Host's.
//
// As in pmxcfs, the tree has a version that grows with every write. When two trees differ, the one with the higher
// version replaces the other as a whole (dfsm picks one side's state at a merge; see corosync's and pmxcfs' dcdb.c).

import Crypto
import FoundationEssentials

/// The replicated file system of a Proxmox cluster.
public struct ClusterFiles: Hashable, Sendable, Codable {
    /// A file and the write it comes from. A removed file leaves an entry without content, so that a late write of
    /// another node does not bring it back.
    struct Entry: Hashable, Sendable, Codable {
        var content: String?
        var version: UInt64
        var writer: Int
    }

    /// One write, as the nodes send it to each other.
    public struct Change: Hashable, Sendable, Codable {
        var path: String
        var content: String?
        var version: UInt64
        var writer: Int
        /// A renaming: the path that it was at. As one write, so that whoever takes it has the file once.
        var from: String?
    }

    public private(set) var version: UInt64 = 0
    private var entries: [String: Entry] = [:]
    private var sum: UInt64 = 0

    public init() {}

    public func read(_ path: String) -> String? { entries[path]?.content }

    public func exists(_ path: String) -> Bool { read(path) != nil }

    /// The paths of all files, in order.
    public var paths: [String] { entries.filter { $0.value.content != nil }.keys.sorted() }

    /// The names directly inside a folder, in order.
    public func list(_ folder: String) -> [String] {
        let prefix = folder + "/"
        return entries.compactMap { path, entry in
            guard entry.content != nil, path.hasPrefix(prefix) else { return nil }
            let rest = path.dropFirst(prefix.count)
            return rest.contains("/") ? nil : String(rest)
        }.sorted()
    }

    /// Writes a file, or removes it with nil.
    /// - Returns: what the other nodes have to be told.
    mutating func write(_ path: String, _ content: String?, writer: Int) -> Change {
        version += 1
        set(path, Entry(content: content, version: version, writer: writer))
        return Change(path: path, content: content, version: version, writer: writer)
    }

    /// Renames a file.
    /// - Returns: what the other nodes have to be told; nil: there is none.
    mutating func rename(_ from: String, to target: String, writer: Int) -> Change? {
        guard let content = read(from) else { return nil }
        version += 1
        set(from, Entry(content: nil, version: version, writer: writer))
        set(target, Entry(content: content, version: version, writer: writer))
        return Change(path: target, content: content, version: version, writer: writer, from: from)
    }

    /// Takes another node's write.
    /// - Returns: false when something before it is missing here; the whole tree has to be asked for.
    mutating func apply(_ change: Change) -> Bool {
        guard change.version <= version + 1 else { return false }
        version = max(version, change.version)
        if let present = entries[change.path],
            (present.version, present.writer) >= (change.version, change.writer)
        {
            return true
        }
        if let from = change.from {
            set(from, Entry(content: nil, version: change.version, writer: change.writer))
        }
        set(change.path, Entry(content: change.content, version: change.version, writer: change.writer))
        return true
    }

    /// What two trees must have in common to be the same: the sum of their entries' digests, kept up with each write.
    public var digest: String { String(sum, radix: 16) }

    private mutating func set(_ path: String, _ entry: Entry) {
        if let old = entries.updateValue(entry, forKey: path) { sum &-= Self.weight(path, old) }
        sum &+= Self.weight(path, entry)
    }

    private static func weight(_ path: String, _ entry: Entry) -> UInt64 {
        SHA256.hash(data: Data("\(path)\u{0}\(entry.version)\u{0}\(entry.writer)".utf8)).prefix(8)
            .reduce(0) { $0 << 8 | UInt64($1) }
    }
}
