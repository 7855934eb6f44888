// Which guest: its kind and the number Proxmox knows it by. No state.

/// A guest of Proxmox. Numbers are unique in a Proxmox cluster, over both kinds.
public struct GuestNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case machine = "qemu"
        case container = "lxc"

        /// What Proxmox calls it in its own sentences and in HA's names.
        public var word: String { self == .machine ? "vm" : "ct" }
        /// The folder of its configuration below `/etc/pve/nodes/NODE`.
        public var configurationFolder: String { self == .machine ? "qemu-server" : "lxc" }
    }

    public let kind: Kind
    public let number: Int

    /// nil outside of Proxmox's range, 100 to 999,999,999.
    public init?(_ kind: Kind, _ number: Int) {
        guard (100...999_999_999).contains(number) else { return nil }
        self.kind = kind
        self.number = number
    }

    /// `vm 120`.
    public var description: String { "\(kind.word) \(number)" }
    /// `vm:120`, as Proxmox's HA calls it.
    public var serviceName: String { "\(kind.word):\(number)" }
    func path(on node: NodeName) -> String { "/nodes/\(node)/\(kind.rawValue)/\(number)" }

    public static func < (left: GuestNumber, right: GuestNumber) -> Bool { left.number < right.number }
}
