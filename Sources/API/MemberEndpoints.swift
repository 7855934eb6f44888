// How a client of one member learns where the others are.

import Cluster
import HTTPTypes

/// A client says with its question which members it knows; the answer names those of now when they are others. So a context
/// that was written when the cluster was founded, and knows the founder alone, still reaches the cluster when the founder is
/// what has died.
public enum MemberEndpoints {
    /// The header of a question, and of an answer that has something to add.
    public static let header = "Holdfast-Members"
    /// More are of no use: as many members at once are not lost, and every one that is costs a command time.
    public static let most = 8

    static let field = HTTPField.Name(header)

    public static func text(_ endpoints: [String]) -> String { endpoints.joined(separator: ",") }

    /// The endpoints in a header, at most `most`.
    public static func read(_ text: String) -> [String] {
        text.prefix(4_096).split(separator: ",", maxSplits: most).prefix(most).map(String.init)
    }

    /// Those of hosts and witnesses before those of guests, which may be anywhere; of each in the order of their names.
    static func text(of state: ClusterState) -> String {
        let members = state.members.values.filter { !$0.apiEndpoint.isEmpty }.sorted {
            ($0.kind == .guest ? 1 : 0, $0.name) < ($1.kind == .guest ? 1 : 0, $1.name)
        }
        return text(members.prefix(most).map(\.apiEndpoint))
    }
}
