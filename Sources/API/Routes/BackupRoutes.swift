// The state for a backup. It is read linearizably, so that what was acknowledged before is in it.

import Agent
import Cluster
import Consensus
import FoundationEssentials
import HTTPTypes
import Runtime

extension API {
    /// What a client takes in one answer, less what base64 adds.
    static let mostBackupBytes = 40 * 1024 * 1024

    static let backups: [Route] = [
        Route(method: .get, path: "/v1/backup", needs: .admin) { api, call in try await api.backup(call) }
    ]

    private func backup(_ call: Call) async throws -> BackupDocument {
        // On record before it is given: whoever has it has everything that is stored.
        _ = try await propose(.act(what: "take a backup"), for: call, stamped: false)
        let (state, view) = try await freshState(for: call)
        let bytes = state.encoded
        guard bytes.count <= Self.mostBackupBytes else {
            throw APIFailure(
                .tooLarge, "the state takes \(bytes.count) bytes, a backup at most \(Self.mostBackupBytes)",
                next: "remove stored values: holdfast kv list")
        }
        return BackupDocument(
            cluster: trust.cluster.description, clusterName: state.clusterName, revision: state.revision,
            level: state.level, version: state.members[view.member]?.version ?? "",
            state: Data(bytes).base64EncodedString(),
            secretsKey: secrets.map { Data($0.raw).base64EncodedString() })
    }
}
