// What a change would do, as a value one can print and check against.

import Cluster
import Consensus

/// The answer to `POST /v1/plan`.
public struct PlanDocument: Hashable, Sendable, Codable {
    /// The revision it was planned at: hand it to apply, which then refuses when resources changed in between.
    public var index: UInt64
    /// What would change, in the order it was asked for. What is the same already is left out.
    public var changes: [ResourceChange]
    /// How many of the declared resources are the same already.
    public var unchanged: Int
    /// What could not be recovered any more after the change, each in a sentence; empty: nothing. Absent from a member of a
    /// version that does not say.
    public var objections: [String]?
    /// Whether apply refuses it because of them; absent where there are none.
    public var refused: Bool?
    public var read: ReadAge
}

/// What would become of one resource.
public struct ResourceChange: Hashable, Sendable, Codable {
    public enum Action: String, Sendable, Codable, CaseIterable {
        case create
        case update
        case delete
    }

    public var action: Action
    public var kind: String
    public var name: String
    /// The fields that differ; for a whole resource that comes or goes none.
    public var fields: [FieldChange]
    public var old: ResourceDocument?
    public var new: ResourceDocument?
}

/// One field before and after; nil where it is absent.
public struct FieldChange: Hashable, Sendable, Codable {
    /// `spec.candidates[1].member`
    public var path: String
    public var old: JSONValue?
    public var new: JSONValue?

    public init(path: String, old: JSONValue?, new: JSONValue?) {
        self.path = path
        self.old = old
        self.new = new
    }
}

extension ResourceChange {
    /// From what is there to what is declared; nil when that is the same.
    static func between(_ present: Declaration?, and declared: Declaration) -> ResourceChange? {
        guard present != declared else { return nil }
        let fields = present.map { FieldChange.between($0, and: declared) } ?? []
        return ResourceChange(
            action: present == nil ? .create : .update, kind: declared.kind, name: declared.name, fields: fields,
            old: present.map(ResourceDocument.init), new: ResourceDocument(declared))
    }

    static func deleting(_ present: Declaration) -> ResourceChange {
        ResourceChange(
            action: .delete, kind: present.kind, name: present.name, fields: [], old: ResourceDocument(present),
            new: nil)
    }
}

extension FieldChange {
    static func between(_ old: Declaration, and new: Declaration) -> [FieldChange] {
        var changes: [FieldChange] = []
        compare(
            .object(SortedMap(old.labels.pairs.map { ($0, .string($1)) })),
            .object(SortedMap(new.labels.pairs.map { ($0, .string($1)) })), at: "metadata.labels", into: &changes)
        compare(
            old.environment.map(JSONValue.string), new.environment.map(JSONValue.string), at: "metadata.environment",
            into: &changes)
        compare(old.spec, new.spec, at: "spec", into: &changes)
        return changes
    }

    /// Objects and arrays are compared member by member, everything else as a whole.
    private static func compare(
        _ old: JSONValue?, _ new: JSONValue?, at path: String, into changes: inout [FieldChange]
    ) {
        guard old != new else { return }
        switch (old, new) {
        case (.object(let before), .object(let after)):
            let names = SortedMap((before.keys + after.keys).map { ($0, true) }).keys
            for name in names { compare(before[name], after[name], at: "\(path).\(name)", into: &changes) }
        case (.array(let before), .array(let after)):
            for position in 0..<max(before.count, after.count) {
                compare(
                    position < before.count ? before[position] : nil, position < after.count ? after[position] : nil,
                    at: "\(path)[\(position)]", into: &changes)
            }
        default: changes.append(FieldChange(path: path, old: old, new: new))
        }
    }
}
