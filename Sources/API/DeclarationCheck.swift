// What is checked of declarations before they are proposed: whatever client sent them, a spec that makes no sense to
// its kind never reaches the log.

import Cluster
import Consensus
import Kinds

extension API {
    /// Most resources one request may declare.
    static let mostDeclarations = 2_000

    /// The declarations of these documents, when they are all valid, together and with what the cluster has.
    /// - Parameter deletions: what goes away with the same change.
    /// - Throws: `APIFailure` with `invalid` and everything that is wrong.
    func declarations(
        in documents: [JSONValue], against state: ClusterState, deleting deletions: [ResourceKey] = []
    ) throws -> [Declaration] {
        guard documents.count <= Self.mostDeclarations else {
            throw APIFailure(.badRequest, "one request declares at most \(Self.mostDeclarations) resources")
        }
        var declarations: [Declaration] = []
        var problems: [Problem] = []
        for document in documents {
            do throws(InvalidDeclaration) {
                declarations.append(try Declaration(document: document))
            } catch {
                problems += error.problems
            }
        }
        let staying = state.resources.values.map(\.declaration).filter { !deletions.contains($0.key) }
        problems += KindRegistry.crossCheck(declarations, against: staying)
        guard problems.isEmpty else {
            let kinds = SortedMap(problems.map { ($0.resource.kind, true) }).keys.filter { !$0.isEmpty }
            throw APIFailure(
                .invalid,
                "\(problems.count == 1 ? "one thing is" : "\(problems.count) things are") wrong with what was declared",
                next: kinds.count == 1
                    ? "see the fields: holdfast explain \(kinds[0])" : "see the fields: holdfast explain KIND",
                problems: problems.prefix(Self.mostProblems).map(\.description))
        }
        try requireOneVersion(for: declarations, state)
        return declarations
    }

    /// Several addresses of a VirtualIP, and IPv6 ones, came after version 0.1.0's first state: a member that does not know
    /// them would keep another record of who may answer for what. So they wait until all members are of one version.
    private func requireOneVersion(for declarations: [Declaration], _ state: ClusterState) throws {
        let isNew = declarations.first { declaration in
            declaration.spec["addresses"] != nil || declaration.spec["address"]?.string?.contains(":") == true
        }
        let versions = SortedMap(state.members.values.map { ($0.version, $0.name) })
        guard let isNew, versions.count > 1 else { return }
        throw APIFailure(
            .unsafe,
            "\(isNew.key) has several addresses or one of IPv6, and members run different versions: "
                + versions.pairs.map { "\($0.1) runs \($0.0)" }.joined(separator: ", "),
            next: "upgrade all members first")
    }

    private static let mostProblems = 200
}
