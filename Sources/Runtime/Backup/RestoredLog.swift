// The log of a cluster that begins with a restored state: one snapshot before any entry, so that the founder starts from it
// and feeds it to whoever joins, as any member does.

import Cluster
import Consensus

public enum RestoredLog {
    /// Before the first entry of the new cluster.
    private static let index = LogIndex(rawValue: 1)
    private static let term = Term(rawValue: 1)

    /// Writes the log of a founder. The directory must not hold one.
    /// - Throws: `StorageError`, or words when the snapshot could not be kept.
    public static func write(
        _ state: ClusterState, directory: String, cluster: ClusterID, member: MemberID
    ) async throws {
        let (store, recovered) = try LogStore.open(directory: directory, cluster: cluster, member: member)
        defer { store.close() }
        guard recovered.entries.isEmpty, recovered.snapshot == nil else { throw RestoredLogError(directory: directory) }
        let mark = SnapshotMark(index: index, term: term, configuration: Configuration(voters: [member]))
        store.start(completion: { _ in })
        let saved = await withCheckedContinuation { continuation in
            store.save(mark, arrived: true, content: { state.encoded }) { continuation.resume(returning: $0) }
        }
        if case .failed(_, let why) = saved { throw RestoredLogError(directory: directory, why: why) }
    }
}

public struct RestoredLogError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(directory: String) { description = "\(directory) holds a log already; empty it, or choose another --data-dir" }
    init(directory: String, why: String) {
        description = "the restored state could not be written to \(directory): \(why)"
    }
}
