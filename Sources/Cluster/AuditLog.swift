// Who asked for what, when, and what became of it: every command that a person sent, kept in the replicated state so that
// every member has the same record and none can be cleaned on the quiet. A ring: the newest stay.
//
// Not here: what members did by themselves (that is in the events), requests that were turned away at a member's door
// (they never reached the log; the member counts and logs them), and writes to the small store, which are data, may be
// thousands in a second, and would push everything else out. A write that was forbidden is here.

import Consensus

/// One act of a person.
public struct AuditEntry: Hashable, Sendable, Codable {
    /// Counts from 1, without gaps, the same on all members.
    public var id: UInt64
    public var revision: UInt64
    /// Wall clock of the member that proposed it, milliseconds since 1970.
    public var milliseconds: Int64
    public var who: String
    /// The role the certificate said.
    public var role: OperatorRole
    /// `apply VirtualIP/kube-api`
    public var what: String
    /// The person's own words; nil when there were none.
    public var reason: String?
    public var outcome: Outcome.Code
    /// The outcome in words; may be empty.
    public var message: String
}

extension ClusterState {
    public static let mostAuditEntries = 1_000
    static let mostAuditCharacters = 300

    mutating func audit(_ record: CommandRecord, _ outcome: Outcome) {
        // A lost compare-and-set is a program's daily life: a loop of them would push a revocation out of the ring.
        let isRefusal = guardsAreInForce ? outcome.code == .forbidden : !outcome.succeeded
        guard let origin = record.origin, record.command.isAudited || isRefusal else { return }
        lastAuditID += 1
        auditLog.append(
            AuditEntry(
                id: lastAuditID, revision: revision, milliseconds: record.milliseconds, who: origin.name,
                role: origin.role, what: String(record.command.words.prefix(Self.mostAuditCharacters)),
                reason: origin.reason, outcome: outcome.code,
                message: String(outcome.message.prefix(Self.mostAuditCharacters))))
        if auditLog.count > Self.mostAuditEntries { auditLog.removeFirst(auditLog.count - Self.mostAuditEntries) }
    }
}

extension Command {
    var isAudited: Bool {
        switch self {
        case .put, .remove: false
        default: true
        }
    }

    /// The command as a person would say it. Never a value, never a secret.
    public var words: String {
        switch self {
        case .bootstrap(let name, _, _): "found the cluster \(name)"
        case .apply(let declarations, _, let trial):
            (trial == nil ? "apply " : "try ") + Self.list(declarations.map(\.key))
        case .delete(let keys, _): "delete " + Self.list(keys)
        case .rollBack(let revision, _): "roll back to revision \(revision)"
        case .settleTrial(let revision, let keep): "\(keep ? "confirm" : "roll back") the trial of revision \(revision)"
        case .createToken(let token): "create a token for a \(token.kind.rawValue)"
        case .join(_, _, let member): "join \(member.name)"
        case .announce(let member): "announce \(member.name)"
        case .removeMember(let id): "remove member \(id)"
        case .renameMember(let id, let name): "rename member \(id) to \(name)"
        case .recover(let epoch, let dead):
            "recover as epoch \(Epoch(rawValue: epoch).number) without "
                + dead.map(\.description).joined(separator: ", ")
        case .admitOperator(let newcomer): "admit \(newcomer.name) as \(newcomer.role.rawValue)"
        case .revokeOperator(let name): "revoke \(name)"
        case .act(let what): what
        case .observeMember(let id, let reachable, _): "note that \(id) is \(reachable ? "reachable" : "lost")"
        case .stopping(let id): "note that \(id) stops"
        case .assign(let role, _, let member, _, _): "assign \(role) to \(member)"
        case .release(let role, _, let successor, _):
            "move \(role)" + (successor.map { " to \($0)" } ?? " away from its holder")
        case .released(let role, _): "note that \(role) was let go of"
        case .vacate(let role, _, _, _): "vacate \(role)"
        case .reportFitness(let role, let member, _): "report on \(member) for \(role)"
        case .raiseLevel(let level, _): "raise the feature level to \(level)"
        case .reportConflict(let role, _, _, _): "report on the addresses of \(role)"
        case .rotateAuthority(let plan): "rotate the authority to \(plan.new.shortName)"
        case .advanceRotation(let pin, let step): "\(step.words) \(pin.prefix(16))"
        case .cancelRotation(let pin): "cancel the rotation to authority \(pin.prefix(16))"
        case .put(let key, _, _): "put \(key)"
        case .remove(let key): "remove \(key)"
        case .workload(let command): command.words
        }
    }

    private static func list(_ keys: [ResourceKey]) -> String {
        let shown = keys.prefix(5).map(\.description).joined(separator: ", ")
        return keys.count > 5 ? "\(shown) and \(keys.count - 5) more" : shown
    }
}
