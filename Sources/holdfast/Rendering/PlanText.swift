// A plan as people read it, and the difference of two manifests line by line.

import API
import Cluster

enum PlanText {
    /// Changes with their fields, a count, and the index to hand to apply.
    static func plan(_ plan: PlanDocument, verdict: ChangeVerdict? = nil, style: Style) -> String {
        var lines: [String] = []
        for change in plan.changes { lines += self.change(change, style) }
        if !plan.changes.isEmpty { lines.append("") }
        lines.append(summary(plan))
        let objections = plan.objections ?? []
        if !objections.isEmpty {
            let words = "After this change something could not be recovered that can be now:"
            lines += ["", style.warning(words)] + objections.map { "  \($0)" }
            if plan.refused == true { lines.append(style.bad("apply refuses it, unless it is told --force.")) }
            lines.append("")
        }
        if let verdict { lines += verdict.lines(style) }
        lines.append("Index \(plan.index)")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func change(_ change: ResourceChange, _ style: Style) -> [String] {
        let name = "\(change.kind)/\(change.name)"
        switch change.action {
        case .create: return [style.good("+ \(name)")]
        case .delete: return [style.bad("- \(name)")]
        case .update:
            return [style.warning("~ \(name)")]
                + change.fields.map { "    \($0.path): \(value($0.old)) → \(value($0.new))" }
        }
    }

    static func summary(_ plan: PlanDocument) -> String {
        guard !plan.changes.isEmpty else { return "No difference: \(plan.unchanged) as declared already." }
        let counts = [(ResourceChange.Action.create, "to create"), (.update, "to change"), (.delete, "to delete")]
            .map { action, words in (plan.changes.count { $0.action == action }, words) }
            .filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return (counts + (plan.unchanged > 0 ? ["\(plan.unchanged) as declared already"] : []))
            .joined(separator: ", ") + "."
    }

    private static func value(_ value: JSONValue?) -> String {
        guard let value else { return "(absent)" }
        return Encoded.json(value, pretty: false)
    }

    /// Every resource that differs, as manifests with `-` and `+` lines.
    static func difference(_ plan: PlanDocument, style: Style) -> String {
        plan.changes.map { change in
            let old = change.old.map { Encoded.manifest($0).split(separator: "\n").map(String.init) } ?? []
            let new = change.new.map { Encoded.manifest($0).split(separator: "\n").map(String.init) } ?? []
            return ([style.bold("\(change.kind)/\(change.name)")] + lines(from: old, to: new, style))
                .joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }

    private static func lines(from old: [String], to new: [String], _ style: Style) -> [String] {
        let changes = new.difference(from: old)
        var removed = SortedPositions(changes.removals)
        var inserted = SortedPositions(changes.insertions)
        var lines: [String] = []
        var (before, after) = (0, 0)
        while before < old.count || after < new.count {
            if removed.take(before) {
                lines.append(style.bad("- \(old[before])"))
                before += 1
            } else if inserted.take(after) {
                lines.append(style.good("+ \(new[after])"))
                after += 1
            } else {
                lines.append("  \(old[before])")
                before += 1
                after += 1
            }
        }
        return lines
    }

    /// The offsets of a difference, ascending, to be taken one after the other.
    private struct SortedPositions {
        private var rest: ArraySlice<Int>

        init(_ changes: [CollectionDifference<String>.Change]) {
            rest =
                changes.map { change in
                    switch change {
                    case .insert(let offset, _, _), .remove(let offset, _, _): offset
                    }
                }.sorted()[...]
        }

        mutating func take(_ position: Int) -> Bool {
            guard rest.first == position else { return false }
            rest = rest.dropFirst()
            return true
        }
    }
}
