// What a host is: its machine and its place in a cluster. All of it is fixed for the life of the process.

/// A host's constants.
public struct HostSettings: Hashable, Sendable {
    public var release: Release = .eight
    public var clusterName = "lab"
    public var node: Node
    /// All nodes of the cluster, this one among them.
    public var nodes: [Node]
    public var hasQDevice = false
    public var cores = 2
    /// Bytes.
    public var memory: Int64 = 25_276_502_016
    public var searchDomain = "lab.test"
    public var durations = WorkDurations()
    public var times = Membership.Times()
    /// How long a status of another node is believed, in milliseconds.
    public var statusLifetime: Int64 = 300_000
    /// How often pvestatd tells the cluster of this host, in milliseconds.
    public var statusInterval: Int64 = 10_000
    /// How long a file lock is waited for, in milliseconds.
    public var lockWait: Int64 = 10_000
    /// How long an agent's answer is waited for, in milliseconds.
    public var agentWait: Int64 = 3_000
    /// The delay of a refused authentication, in milliseconds.
    public var authenticationDelay: Int64 = 3_000
    /// SHA-256 of the certificate, colons between the bytes.
    public var fingerprint = Array(repeating: "00", count: 32).joined(separator: ":")

    public init(node: Node, nodes: [Node]) {
        self.node = node
        self.nodes = nodes
    }
}
