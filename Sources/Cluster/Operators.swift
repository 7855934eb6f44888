// The people who may ask for something, and what each may. A person is known by a name and by the key of the certificate
// that was issued last; taking the name's rights away, or giving it another key, is a command like any other, so it holds
// on every member from the entry that says so.
//
// The founder's record stands in the first command of the cluster, so a name that is not in the table is nobody: every
// host has, or had, the authority's key and can write a certificate for any name, and a removed one keeps its disk.
//
// A cluster that an older version founded does not know its founder. There a name that is not in the table acts by its
// certificate alone, as it always did. Once the rules of Guards.swift are in force there too, an admin who renews his own
// certificate ends that: from then on he is in the table, and can admit whoever else should be.

import Consensus

/// What an operator may do through the API.
public enum OperatorRole: String, Hashable, Sendable, Codable, CaseIterable {
    /// Everything, including members and certificates.
    case admin
    /// Declare and move things.
    case `operator`
    /// Read.
    case viewer

    /// Each role includes those below it.
    private var rank: Int {
        switch self {
        case .viewer: 0
        case .operator: 1
        case .admin: 2
        }
    }

    public func includes(_ other: OperatorRole) -> Bool { rank >= other.rank }
    /// What is granted by both.
    public func lesser(_ other: OperatorRole) -> OperatorRole { includes(other) ? other : self }
}

/// One name in the table of operators.
public struct OperatorRecord: Hashable, Sendable, Codable {
    public var name: String
    public var role: OperatorRole
    /// Names the key of the newest certificate; empty for a name that was revoked before it was in the table.
    public var key: String
    /// When that certificate, or an earlier one of this name, ends at the latest; milliseconds since 1970.
    public var certificateExpires: Int64
    public var isRevoked = false
    /// The revision and the wall clock of the last change.
    public var changed: UInt64 = 0
    public var changedMilliseconds: Int64 = 0
    /// Names the authority that signed the newest certificate, as `MemberRecord.signedBy` does.
    public var signedBy: String?

    public init(name: String, role: OperatorRole, key: String, certificateExpires: Int64) {
        self.name = name
        self.role = role
        self.key = key
        self.certificateExpires = certificateExpires
    }
}

/// The person behind a command, as the certificate said, and what the command needs.
public struct CommandOrigin: Hashable, Sendable, Codable {
    public var name: String
    public var role: OperatorRole
    /// Names the certificate's key.
    public var key: String
    public var needs: OperatorRole
    /// The person's own words for it.
    public var reason: String?

    public init(name: String, role: OperatorRole, key: String, needs: OperatorRole, reason: String? = nil) {
        self.name = name
        self.role = role
        self.key = key
        self.needs = needs
        self.reason = reason
    }
}

extension ClusterState {
    public static let mostOperators = 256

    /// Why this person may not do what needs `origin.needs`; nil: he may.
    public func objection(to origin: CommandOrigin) -> String? {
        guard let known = operators[origin.name] else {
            guard !operatorsAreListed else {
                return
                    "no operator of this cluster is called \(origin.name), whatever its certificate says; "
                    + "ask an admin for: holdfast context add \(origin.name)"
            }
            return Self.objection(to: origin, holding: origin.role)
        }
        guard !known.isRevoked else {
            return
                "the certificate of \(origin.name) was revoked; ask an admin for: holdfast context add \(origin.name)"
        }
        guard known.key == origin.key else {
            return
                "the certificate of \(origin.name) was replaced by another one; use the context that was made with it"
        }
        return Self.objection(to: origin, holding: known.role.lesser(origin.role))
    }

    private static func objection(to origin: CommandOrigin, holding role: OperatorRole) -> String? {
        role.includes(origin.needs)
            ? nil : "this needs the role \(origin.needs.rawValue); \(origin.name) has \(role.rawValue)"
    }

    mutating func admit(_ newcomer: OperatorRecord, _ record: CommandRecord) -> Outcome {
        let present = operators[newcomer.name]
        if present == nil { forgetEnded(record) }
        guard present != nil || operators.count < Self.mostOperators else {
            return refused(.invalid, "a cluster knows at most \(Self.mostOperators) operators, revoked ones included")
        }
        var admitted = newcomer
        if guardsAreInForce, let present {
            admitted.certificateExpires = max(newcomer.certificateExpires, present.certificateExpires)
        }
        admitted.isRevoked = false
        // Versions of level 1 do not keep it.
        if level < 2 { admitted.signedBy = nil }
        admitted.changed = revision
        admitted.changedMilliseconds = record.milliseconds
        operators[newcomer.name] = admitted
        _ = note(
            "OperatorAdmitted", "operator/\(newcomer.name)",
            present == nil
                ? "may act as \(newcomer.role.rawValue)"
                : "has a new certificate as \(newcomer.role.rawValue); the one before counts no more", record)
        if guardsAreInForce, record.origin?.name == newcomer.name, newcomer.role == .admin { operatorsAreListed = true }
        return done()
    }

    mutating func revokeOperator(_ name: String, _ record: CommandRecord) -> Outcome {
        if operators[name]?.isRevoked == true { return unchanged("\(name) was revoked before") }
        let present = operators[name]
        if present == nil { forgetEnded(record) }
        guard present != nil || operators.count < Self.mostOperators else {
            return refused(.invalid, "a cluster knows at most \(Self.mostOperators) operators, revoked ones included")
        }
        // A name that was never in the table: whatever certificate it has, of whatever age, counts no more.
        var revoked = present ?? OperatorRecord(name: name, role: .viewer, key: "", certificateExpires: .max)
        revoked.isRevoked = true
        revoked.changed = revision
        revoked.changedMilliseconds = record.milliseconds
        operators[name] = revoked
        _ = note("OperatorRevoked", "operator/\(name)", "revoked by \(record.actor)", record)
        return done()
    }

    /// A year. Whoever proposes goes by its own wall clock, which may be wrong by much.
    static let forgettingMilliseconds: Int64 = 365 * 86_400_000

    /// Revoked names whose last certificate ended long since need not be remembered.
    private mutating func forgetEnded(_ record: CommandRecord) {
        let margin = guardsAreInForce ? Self.forgettingMilliseconds : 0
        let before = max(record.milliseconds, 0) - margin
        for (name, known) in operators.pairs where known.isRevoked && known.certificateExpires < before {
            operators[name] = nil
        }
    }
}
