// What `member.json` says: the facts about this member that are settled before it can talk to anybody.

import Cluster
import Consensus

/// The content of `member.json`.
public struct MemberSettings: Hashable, Sendable, Codable {
    public var cluster: ClusterID
    public var member: MemberID
    public var name: String
    public var kind: MemberKind
    /// For a guest: the name of the host it ran on when it joined. Empty for hosts and witnesses.
    public var host: String
    /// Where others reach this member, and what it listens on.
    public var address: String
    public var peerPort: Int
    public var apiPort: Int
    /// Who votes before the first entry of the log: the founder alone. Empty on everyone else, who learns it from the log.
    public var initialVoters: [MemberID]
    /// Who was in the cluster when this member joined, so that it knows whom to listen to before it has a log.
    public var knownMembers: [MemberRecord]
    /// Of a witness: the machine that it joined on, as `MachinePlace` keeps it. Root alone may read a firmware's UUID, and an
    /// agent need not be root.
    public var machine: String?

    public init(
        cluster: ClusterID, member: MemberID, name: String, kind: MemberKind, host: String = "", address: String,
        peerPort: Int, apiPort: Int, initialVoters: [MemberID] = [], knownMembers: [MemberRecord] = []
    ) {
        self.cluster = cluster
        self.member = member
        self.name = name
        self.kind = kind
        self.host = host
        self.address = address
        self.peerPort = peerPort
        self.apiPort = apiPort
        self.initialVoters = initialVoters
        self.knownMembers = knownMembers
    }

    public var peerEndpoint: Endpoint { Endpoint(host: address, port: peerPort) }
    public var apiEndpoint: Endpoint { Endpoint(host: address, port: apiPort) }

    /// This member as the cluster is to know it, but for when its certificate ends.
    /// - Parameter place: where it runs now. A container may have another boot each time it starts.
    public func record(version: String, on place: MachinePlace = MachinePlace()) -> MemberRecord {
        var record = MemberRecord(
            id: member, name: name, kind: kind, host: host, peerEndpoint: peerEndpoint.description,
            apiEndpoint: apiEndpoint.description, version: version)
        record.machine = kind == .witness ? place.kept ?? machine : machine
        return record
    }
}
