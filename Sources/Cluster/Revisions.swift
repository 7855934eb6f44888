// What was declared before: for every change of the declarations the declarations it replaced, so that the cluster can be
// put back to how it was declared at a revision. Bounded; the oldest changes are forgotten first.
//
//     revision   12          15              19            now
//     declared     A   ──▶  A'    ──▶   (A deleted)
//     kept              A (at 15)     A' (at 19)          undoing 19, then 15, gives what was declared at 12

import Consensus

/// One change of the declarations, with what it takes to undo it.
public struct DeclarationChange: Hashable, Sendable, Codable {
    public struct Part: Hashable, Sendable, Codable {
        public var key: ResourceKey
        /// What was declared before; nil: nothing.
        public var before: Declaration?
        /// Whether it is declared afterwards.
        public var isDeclared: Bool
    }

    public var revision: UInt64
    public var milliseconds: Int64
    public var actor: String
    /// What was done: applied, deleted, rolled back to 12, tried.
    public var what: String
    public var parts: [Part]
}

extension ClusterState {
    /// Changes that are kept, and resources in all of them together. One change alone is always kept.
    public static let mostDeclarationChanges = 100
    public static let mostDeclarationParts = 2_000

    /// The oldest revision whose declarations are still known.
    public var oldestKnownDeclarations: UInt64 { forgottenDeclarations }

    /// What was declared at a revision.
    /// - Returns: nil when that is not known any more, or has not been yet.
    public func declarations(at wanted: UInt64) -> SortedMap<ResourceKey, Declaration>? {
        guard wanted >= forgottenDeclarations, wanted <= revision else { return nil }
        var declared = SortedMap<ResourceKey, Declaration>()
        for (key, resource) in resources.pairs { declared[key] = resource.declaration }
        for change in declarationChanges.reversed() where change.revision > wanted {
            for part in change.parts { declared[part.key] = part.before }
        }
        return declared
    }

    /// Notes a change, from what was declared before it.
    mutating func keep(_ parts: [DeclarationChange.Part], _ what: String, _ record: CommandRecord) {
        declarationsRevision = revision
        declarationChanges.append(
            DeclarationChange(
                revision: revision, milliseconds: record.milliseconds, actor: record.actor, what: what, parts: parts))
        var count = declarationChanges.reduce(0) { $0 + $1.parts.count }
        while declarationChanges.count > Self.mostDeclarationChanges
            || (count > Self.mostDeclarationParts && declarationChanges.count > 1)
        {
            let forgotten = declarationChanges.removeFirst()
            count -= forgotten.parts.count
            forgottenDeclarations = forgotten.revision
        }
    }

    mutating func rollBack(to wanted: UInt64, check: UInt64?, _ record: CommandRecord) -> Outcome {
        if let refusal = refusalOfChange(check: check) { return refusal }
        guard let target = declarations(at: wanted) else {
            return refused(
                .notFound, "what was declared at revision \(wanted) is not known; see what is: holdfast revisions")
        }
        return restore(target, "rolled back to \(wanted)", record)
    }

    /// Declares exactly this. An ordinary change, which can be rolled back in its turn.
    mutating func restore(
        _ target: SortedMap<ResourceKey, Declaration>, _ what: String, _ record: CommandRecord
    ) -> Outcome {
        guard target.count <= Self.mostResources else {
            return refused(.invalid, "a cluster has at most \(Self.mostResources) resources")
        }
        var parts: [DeclarationChange.Part] = []
        // Deleting first: an address may have gone from one resource to another.
        for key in resources.keys where !target.contains(key) {
            if let part = undeclare(key, record) { parts.append(part) }
        }
        for declaration in target.values {
            if let part = declare(declaration, record) { parts.append(part) }
        }
        guard !parts.isEmpty else { return unchanged("everything is declared like that already") }
        keep(parts, what, record)
        return done("\(parts.count) resources changed")
    }
}
