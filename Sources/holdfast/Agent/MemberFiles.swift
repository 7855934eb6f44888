// Small files of a member beside its identity: the name of the cluster it founded and its first administrator, and whom it
// knew last. None is a source of truth: name and administrator are used once, for the first command of a new cluster; the
// list only tells a member that was off whom to call before it has caught up with the log.

import Cluster
import FoundationEssentials

/// The name given to `cluster init`; absent on members that joined.
struct ClusterNameFile {
    let path: String

    init(dataDirectory: String) { path = dataDirectory + "/founded-cluster" }

    func write(_ name: String) throws { try Data(name.utf8).write(to: URL(filePath: path), options: .atomic) }

    func read() -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// Who ran `cluster init`: name, role and the name of the key, nothing secret. Absent on members that joined.
struct FounderFile {
    let path: String

    init(dataDirectory: String) { path = dataDirectory + "/founder.json" }

    func write(_ founder: OperatorRecord) throws {
        try JSONEncoder().encode(founder).write(to: URL(filePath: path), options: .atomic)
    }

    /// - Throws: when the file is there and says no operator. Founding without it would shut its owner out.
    func read() throws -> OperatorRecord? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return try JSONDecoder().decode(OperatorRecord.self, from: data)
    }
}

/// The members this one talked to last.
struct KnownPeersFile {
    let path: String

    init(dataDirectory: String) { path = dataDirectory + "/peers.json" }

    /// Atomic; not synced: a lost list costs a moment, never correctness.
    func write(_ peers: [MemberRecord]) throws {
        try JSONEncoder().encode(peers).write(to: URL(filePath: path), options: .atomic)
    }

    /// Whether this member has ever had the cluster's state.
    var exists: Bool { FileManager.default.fileExists(atPath: path) }

    /// - Throws: when the file is there and is no such list.
    func read() throws -> [MemberRecord]? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return try JSONDecoder().decode([MemberRecord].self, from: data)
    }
}

extension Hypervisor {
    /// Whether this host is to run guests: somebody has said how to reach its hypervisor.
    static func isThere(dataDirectory: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(dataDirectory)/\(settingsFile)")
    }
}
