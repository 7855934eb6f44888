// The lab as it stands: two hosts with guests inside, a witness, a client, and the switch between them. Names, addresses
// and hardware addresses are fixed, so that whoever answers on the wire can be named. No behaviour.

/// A machine of the lab.
struct Node: Equatable {
    enum Kind: Equatable {
        case host
        /// A guest of the named host, plugged into that host's bridge.
        case guest(on: String)
        case witness
        case client

        /// The word the cluster uses for this kind of member.
        var word: String {
            switch self {
            case .host: "host"
            case .guest: "guest"
            case .witness: "witness"
            case .client: "client"
            }
        }
    }

    let name: String
    let kind: Kind
    /// IPv4 in 192.168.1.0/24.
    let address: String

    /// IPv6 with the same ending, written alike: 192.168.1.106 is also fd00:192:168:1::106.
    var addressIPv6: String { Topology.networkIPv6 + (address.split(separator: ".").last ?? "") }

    /// Locally administered, with the address in its last four bytes: 02:00:c0:a8:01:6a is 192.168.1.106.
    var hardwareAddress: String { Self.hardwareAddress(prefix: "02:00", of: address) }
    /// A host's network card differs from its bridge.
    var cardHardwareAddress: String {
        kind == .host ? Self.hardwareAddress(prefix: "02:01", of: address) : hardwareAddress
    }

    /// The interface that carries the address.
    var interface: String { kind == .host ? "vmbr0" : "eth0" }
    /// The network card itself: a host's is the uplink of its bridge.
    var card: String { kind == .host ? "nic0" : "eth0" }
    /// Whether a member of the cluster runs here.
    var isMember: Bool { kind != .client }

    private static func hardwareAddress(prefix: String, of address: String) -> String {
        let bytes = address.split(separator: ".").compactMap { UInt8($0) }
        return prefix + bytes.map { ":" + hexadecimal($0) }.joined()
    }
}

/// Two digits.
func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

/// The machines and how they hang together.
struct Topology {
    let nodes: [Node]

    static let homelab = Topology(nodes: [
        Node(name: "pve1", kind: .host, address: "192.168.1.106"),
        Node(name: "pve2", kind: .host, address: "192.168.1.107"),
        Node(name: "witness", kind: .witness, address: "192.168.1.108"),
        Node(name: "k8s-cp1", kind: .guest(on: "pve1"), address: "192.168.1.111"),
        Node(name: "k8s-cp2", kind: .guest(on: "pve2"), address: "192.168.1.112"),
        Node(name: "k8s-cp3", kind: .guest(on: "pve1"), address: "192.168.1.113"),
        Node(name: "client", kind: .client, address: "192.168.1.50"),
    ])

    /// The switch is no machine of its own: it is the laboratory's own network namespace.
    static let switchName = "switch"
    static let switchBridge = "br0"
    /// Who the switch claims to be when it asks, by ARP, who has an address. Nobody owns this address.
    static let observerAddress = "192.168.1.254"
    static let observerAddressIPv6 = networkIPv6 + "254"
    static let networkIPv6 = "fd00:192:168:1::"
    static let observerHardwareAddress = "02:02:c0:a8:01:fe"

    var members: [Node] { nodes.filter(\.isMember) }

    /// - Throws: with the names there are.
    func node(_ name: String) throws -> Node {
        if let node = nodes.first(where: { $0.name == name }) { return node }
        throw LabError(
            "no node is called \"\(name)\"; there are: \(nodes.map(\.name).joined(separator: ", "))", exitCode: 3)
    }

    func guests(of host: Node) -> [Node] { nodes.filter { $0.kind == .guest(on: host.name) } }

    /// What a power cut at `node` takes away together.
    func domain(of node: Node) -> [Node] { [node] + guests(of: node) }

    /// The machine whose port of the switch `node` uses: its host for a guest, itself otherwise.
    func attached(_ node: Node) throws -> Node {
        if case .guest(let host) = node.kind { return try self.node(host) }
        return node
    }

    /// Who a hardware address belongs to.
    func owner(ofHardwareAddress address: String) -> String? {
        nodes.first { $0.hardwareAddress == address || $0.cardHardwareAddress == address }?.name
    }
}
