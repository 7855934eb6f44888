// Who holds what. A role is one thing that exactly one member does at a time; its epoch grows with every new holder.
// Leases are not here: the record says who may be given one, never until when.

import Consensus

/// The place of one role.
public struct RoleRecord: Hashable, Sendable, Codable {
    public enum Phase: Hashable, Sendable, Codable {
        /// Nobody holds it.
        case vacant
        case held(by: MemberID)
        /// The holder was asked to let go; when it has, `to` (or nobody) holds it.
        case releasing(by: MemberID, to: MemberID?)
    }

    public var phase: Phase = .vacant
    public var epoch: UInt64 = 0
    /// The address, without a prefix length, that the holder may answer for under this epoch: the declared one of the
    /// moment it was assigned. Several are written as in RoleAddresses. A change of the declaration takes effect with the
    /// next epoch, so that an address goes from one role to another only after its holder has let go.
    public var address: String = ""
    /// The revision of the last change, and the leader's wall clock then.
    public var since: UInt64 = 0
    public var sinceMilliseconds: Int64 = 0
    public var reason: String = ""
    /// The event that tells of the last change; `why` starts here.
    public var lastEvent: UInt64 = 0
    /// Candidates that reported they cannot serve, and why. Keys are member ids.
    public var unfit: SortedMap<String, String> = [:]
    /// Candidates that have said whether they can serve, and the revision of their first word. One that is to check its
    /// health and has said nothing yet is not known to be well. Keys are member ids.
    public var heard: SortedMap<String, UInt64> = [:]
    /// Which other machine uses an address of the role, as its holder saw; empty when none does.
    public var conflict: String = ""

    public init() {}

    /// Who may act on the role under a lease; in `releasing` it is the old holder, until it has let go.
    public var holder: MemberID? {
        switch phase {
        case .vacant: nil
        case .held(let member): member
        case .releasing(let member, _): member
        }
    }

    public func isUnfit(_ member: MemberID) -> Bool {
        // Mostly nobody is, and spelling an id out takes longer than everything else a decision asks.
        !unfit.isEmpty && unfit[member.description] != nil
    }
    public func hasHeard(of member: MemberID) -> Bool { heard.contains(member.description) }
}

/// Something that happened, kept with what caused it.
public struct ClusterEvent: Hashable, Sendable, Codable {
    /// Counts from 1, without gaps, the same on all members.
    public var id: UInt64
    public var revision: UInt64
    /// The leader's wall clock when it proposed the change, milliseconds since 1970.
    public var milliseconds: Int64
    /// One word in the field's terms: RoleAssigned, MemberLost, Applied …
    public var type: String
    /// What it is about: `VirtualIP/kube-api`, `member/pve1`.
    public var subject: String
    public var message: String
    /// The event that led to this one; zero when none did.
    public var cause: UInt64
    /// Who asked for it: an operator's name, or the member that acted on the cluster's behalf.
    public var actor: String

    public init(
        id: UInt64, revision: UInt64, milliseconds: Int64, type: String, subject: String, message: String,
        cause: UInt64, actor: String
    ) {
        self.id = id
        self.revision = revision
        self.milliseconds = milliseconds
        self.type = type
        self.subject = subject
        self.message = message
        self.cause = cause
        self.actor = actor
    }
}
