// The VirtualIP kind: an address, or several together, that exactly one member holds at a time.
// Only the checked values; who may hold the address is decided from them in Decisions.

import Cluster
import Consensus

/// The spec of a VirtualIP, checked and with its defaults filled in.
public struct VirtualIPSpec: Hashable, Sendable {
    public struct Candidate: Hashable, Sendable {
        /// The member's name.
        public let member: String

        public init(member: String) { self.member = member }
    }

    public enum Preempt: String, Hashable, Sendable, CaseIterable {
        /// The address stays where it is while its holder is well.
        case never
        /// It goes back to an earlier candidate once that one has been well for a while.
        case always
    }

    /// At least one; all are held by the same member, or none is. In ascending order, because the order in which they are
    /// written means nothing, and a change of it must not take them down.
    public let addresses: [VirtualAddress]
    /// The addresses without place and prefix length, as the role's record has them.
    public let addressText: String
    /// In order of preference.
    public var candidates: [Candidate]
    /// A candidate may hold the address only while this holds on it.
    public var follow: HealthCheck?
    public var preempt: Preempt

    public init(addresses: [VirtualAddress], candidates: [Candidate], follow: HealthCheck?, preempt: Preempt) {
        precondition(!addresses.isEmpty, "a VirtualIP has an address")
        self.addresses = addresses.sorted { $0.address < $1.address }
        addressText = Self.text(of: addresses)
        self.candidates = candidates
        self.follow = follow
        self.preempt = preempt
    }

    /// What stands for these addresses in a role's record.
    public static func text(of addresses: [VirtualAddress]) -> String {
        addresses.count == 1 ? addresses[0].address : RoleAddresses.text(of: addresses.map(\.address))
    }
}

/// An address in a network, and where to put it.
public struct VirtualAddress: Hashable, Sendable {
    /// A VLAN of an interface.
    public struct VLAN: Hashable, Sendable {
        public var parent: String
        /// 1 to 4094.
        public var number: Int

        public init(parent: String, number: Int) {
            self.parent = parent
            self.number = number
        }
    }

    /// Dotted quad, or IPv6 as in RFC 5952.
    public var address: String
    public var prefixLength: Int
    /// The interface to use; nil: the one that has an address in the same network.
    public var interface: String?
    /// What `interface` is to be made as when it is missing; nil: it is not made.
    public var createdVLAN: VLAN?

    public init(address: String, prefixLength: Int, interface: String? = nil) {
        self.address = address
        self.prefixLength = prefixLength
        self.interface = interface
    }
}

/// A check a candidate makes of itself.
public struct HealthCheck: Hashable, Sendable {
    public enum Probe: Hashable, Sendable {
        /// A connection to `host:port` opens.
        case tcp(host: String, port: Int)
        /// GET answers 200 to 399. The scheme is http or https; https does not verify the certificate, because a
        /// candidate asks itself, by an address no certificate names.
        case http(url: String)
        /// The program ends with status 0. No shell is involved.
        case exec(command: [String])
        /// The guest agent inside a virtual machine answers a ping. Of guests only; asked by way of their hypervisor.
        case agent
    }

    public var probe: Probe
    public var every: Interval
    public var timeout: Interval
    /// So many failures in a row make a candidate unfit, so many successes fit again.
    public var failures: Int
    public var successes: Int

    public init(probe: Probe, every: Interval, timeout: Interval, failures: Int, successes: Int) {
        self.probe = probe
        self.every = every
        self.timeout = timeout
        self.failures = failures
        self.successes = successes
    }
}
