// Whether a change leaves everything recoverable that was: said by plan, and refused by apply and delete where the Cluster
// resource says so.

import Agent
import Cluster
import Consensus
import Decisions
import Kinds

extension API {
    /// What speaks against a change, and whether it is refused because of that.
    struct Objections: Sendable {
        var words: [String] = []
        var areFinal = false
    }

    private static let mostObjections = 100

    static func objections(
        to declarations: [Declaration], deleting keys: [ResourceKey], in state: ClusterState, _ view: AgentView
    ) -> Objections {
        var after = state
        if !declarations.isEmpty { rehearse(.apply(declarations: declarations, checkRevision: nil), in: &after) }
        if !keys.isEmpty { rehearse(.delete(keys: keys, checkRevision: nil), in: &after) }
        guard after.declarationsRevision != state.declarationsRevision else { return Objections() }
        let admission = ChangeAdmission(
            from: state, to: after, configuration: view.configuration, silent: view.silent)
        // The stricter of the two words: a change must not begin by taking the strictness away.
        let areFinal = [state, after].contains { refusesWhatCannotBeRecovered($0) }
        return Objections(
            words: Array((admission.broken + admission.objections).prefix(mostObjections)),
            areFinal: areFinal && !admission.objections.isEmpty || !admission.broken.isEmpty)
    }

    /// - Throws: `APIFailure` with `unsafe` when the change is refused.
    static func admit(
        _ declarations: [Declaration], deleting keys: [ResourceKey], in state: ClusterState, _ view: AgentView,
        force: Bool
    ) throws {
        // A lenient cluster does not pay for an answer that changes nothing.
        let mayRefuse =
            refusesWhatCannotBeRecovered(state) || !state.resources(ofKind: "Scenario").isEmpty
            || declarations.contains { $0.kind == "Cluster" || $0.kind == "Scenario" }
        guard !force, mayRefuse else { return }
        let objections = objections(to: declarations, deleting: keys, in: state, view)
        guard objections.areFinal, !objections.words.isEmpty else { return }
        throw APIFailure(
            .unsafe, "after this change something could not be recovered that can be now",
            next: "see what: holdfast plan; or insist: --force", problems: objections.words)
    }

    private static func refusesWhatCannotBeRecovered(_ state: ClusterState) -> Bool {
        state.resources(ofKind: "Cluster").contains { resource in
            (try? ClusterSpec(resource.declaration))?.admission == .refuse
        }
    }

    private static func rehearse(_ command: Command, in state: inout ClusterState) {
        _ = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 0, request: state.revision + 1, settled: 0), milliseconds: 0,
                actor: "plan",
                command: command))
    }
}
