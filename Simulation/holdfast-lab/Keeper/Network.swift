// Cables, bridges and addresses: builds a node's network with `ip` and takes it away. Runs inside the keeper's own
// network namespace, which is the switch; nothing here can reach an interface of the machine underneath.

import CKernel
import Glibc

/// The wires of a lab.
struct Network {
    private let ip: String

    /// A kernel without IPv6 makes a lab without it.
    private let hasIPv6 = access("/proc/net/if_inet6", F_OK) == 0

    init() throws { ip = try Executables.require("ip") }

    /// Options of every bridge: forwards at once, floods multicast, keeps out of the way.
    private static let bridge = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"

    func buildSwitch() throws {
        try batch(
            [
                "link set lo up",
                "link add \(Topology.switchBridge) address \(Topology.observerHardwareAddress) \(Self.bridge)",
                "link set \(Topology.switchBridge) up",
            ], in: .own, attempted: "build the switch")
    }

    /// Plugs `node`, whose namespaces are those of `machine`, into the switch or, for a guest, into its host's bridge.
    func plug(_ node: Node, machine: RunningNode, host: RunningNode?) throws {
        let bridge = host == nil ? Topology.switchBridge : "vmbr0"
        let outside: Namespaces = host.map { .network(of: $0.descriptor) } ?? .own
        try batch(
            [
                "link add \(node.name) type veth peer name \(node.card) address \(node.cardHardwareAddress) "
                    + "netns \(machine.firstProcess)",
                "link set \(node.name) master \(bridge)",
                "link set \(node.name) up",
            ], in: outside, attempted: "plug \(node.name) in")
        var inside = ["link set lo up"]
        if node.kind == .host {
            inside += [
                "link add \(node.interface) address \(node.hardwareAddress) \(Self.bridge)",
                "link set \(node.card) master \(node.interface)",
                "link set \(node.card) up",
            ]
        }
        inside += ["addr add \(node.address)/24 dev \(node.interface)", "link set \(node.interface) up"]
        // Nobody else has it, and looking for others first would take a second.
        if hasIPv6 { inside += ["addr add \(node.addressIPv6)/64 dev \(node.interface) nodad"] }
        try batch(inside, in: .network(of: machine.descriptor), attempted: "give \(node.name) its address")
    }

    /// Removes the cable of `node` with both its ends.
    func removeCable(of node: Node, host: RunningNode?) throws {
        let outside: Namespaces = host.map { .network(of: $0.descriptor) } ?? .own
        try batch(["link del \(node.name)"], in: outside, attempted: "remove the cable of \(node.name)")
    }

    /// Switches the port that leads to `node` on or off; its other end sees the carrier come and go.
    func setPort(of node: Node, host: RunningNode?, up: Bool) throws {
        guard let host else {
            let result = lab_set_link(node.name, up ? 1 : 0)
            guard result == 0 else { throw LabError.kernel("switch the port of \(node.name)", result) }
            return
        }
        try batch(
            ["link set \(node.name) \(up ? "up" : "down")"], in: .network(of: host.descriptor),
            attempted: "switch the port of \(node.name)")
    }

    private func batch(_ lines: [String], in namespaces: Namespaces, attempted: String) throws {
        var command = Command([ip, "-batch", "-"])
        command.namespaces = namespaces
        command.input = lines.joined(separator: "\n") + "\n"
        try command.output(of: attempted)
    }
}
