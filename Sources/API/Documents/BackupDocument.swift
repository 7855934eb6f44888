// The answer to `GET /v1/backup`: the whole state, for whoever keeps a copy of it. It holds everything that is stored; what
// encrypts it is the command line, before it is written anywhere.

public struct BackupDocument: Hashable, Sendable, Codable {
    public var cluster: String
    public var clusterName: String
    public var revision: UInt64
    public var level: UInt64
    /// Of the member that answered.
    public var version: String
    /// The state as in a snapshot, in base64.
    public var state: String
    /// What its secrets are sealed with, in base64; nil when the member has no such key.
    public var secretsKey: String?
}
