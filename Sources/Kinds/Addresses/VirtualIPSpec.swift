// The VirtualIP kind: an address that exactly one member holds at a time.
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

    public var address: VirtualAddress
    /// In order of preference.
    public var candidates: [Candidate]
    /// A candidate may hold the address only while this holds on it.
    public var follow: HealthCheck?
    public var preempt: Preempt

    public init(address: VirtualAddress, candidates: [Candidate], follow: HealthCheck?, preempt: Preempt) {
        self.address = address
        self.candidates = candidates
        self.follow = follow
        self.preempt = preempt
    }
}

/// An IPv4 address in a network, and where to put it.
public struct VirtualAddress: Hashable, Sendable {
    /// Dotted quad.
    public var address: String
    public var prefixLength: Int
    /// The interface to use; nil: the one that has an address in the same network.
    public var interface: String?

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
