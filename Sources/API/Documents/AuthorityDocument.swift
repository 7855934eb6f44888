// What the API says of the cluster's authorities.

import Cluster
import Consensus
import Decisions

/// The answer to `GET /v1/authority`.
public struct AuthorityDocument: Hashable, Sendable, Codable {
    /// Those that are trusted, with their certificates; the one that signs first.
    public var trusted: [AuthorityRecord]
    /// Nil when none is under way.
    public var rotation: RotationDocument?
    public var read: ReadAge
}

/// One authority on its way to take another one's place.
public struct RotationDocument: Hashable, Sendable, Codable {
    /// Names of the authorities.
    public var old: String
    public var new: String
    public var phase: AuthorityRotation.Phase
    /// Milliseconds since 1970.
    public var beganMilliseconds: Int64
    /// When operators that have not renewed their certificates are not waited for any more; nil before that is settled.
    public var operatorsUntilMilliseconds: Int64?
    /// What it waits for, each in a sentence with the way out.
    public var waitsFor: [String]

    /// - Parameters:
    ///   - silent: members that the answering leader does not hear of.
    ///   - now: wall clock, milliseconds since 1970.
    init?(_ state: ClusterState, silent: [MemberID], now: Int64) {
        guard let rotation = state.rotation else { return nil }
        old = rotation.plan.old.pin
        new = rotation.plan.new.pin
        phase = rotation.phase
        beganMilliseconds = rotation.beganMilliseconds
        operatorsUntilMilliseconds = rotation.operatorsUntilMilliseconds
        waitsFor = RotationDecisions.waitsFor(state, silent: silent, wallMilliseconds: now)
    }

    /// For a status: one line for the rotation, one for each thing it waits for.
    public var sentences: [String] {
        let stage =
            phase == .spreading
            ? "the members learn to trust authority \(new.prefix(16))"
            : "authority \(new.prefix(16)) signs, and what \(old.prefix(16)) has signed is replaced"
        return ["the authority is being rotated: \(stage)"] + waitsFor.map { "rotation: \($0)" }
    }
}

/// `POST /v1/authority/rotate`
public struct RotateRequest: Sendable, Codable {
    /// How long operators have for renewing their certificates once the new authority signs.
    public var operatorsWithinSeconds: Int64

    public init(operatorsWithinSeconds: Int64) { self.operatorsWithinSeconds = operatorsWithinSeconds }
}
