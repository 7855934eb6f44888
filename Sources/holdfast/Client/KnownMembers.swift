// What the CLI has learned of the members' addresses, beside the context file: a context knows the member it was written
// for, and has to reach the others when that one is what has died. A file of its own, because every command may write it,
// and the context file holds keys that no two commands at once may lose.

import API
import Cluster
import FoundationEssentials
import Runtime

enum KnownMembers {
    private struct Noted: Codable {
        /// The endpoints of the context when this was learned: with others it is another cluster, or the person knows better.
        var endpoints: [String]
        var members: [String]
        /// Who answered last. A member that is gone would cost every command its time otherwise.
        var answering: String
    }

    /// Of the context file's name, `.members`.
    private static var path: String { ContextFile.path(Terminal.current.environment) + ".members" }

    /// `address:port` of the members as they were told last, and who answered last; none when nothing was noted, or what
    /// was cannot be read.
    static func of(_ context: ClusterContext) -> (members: [String], answering: String?) {
        guard let noted = load()[context.name], noted.endpoints == context.endpoints else { return ([], nil) }
        return (noted.members.filter { Endpoint($0) != nil }, noted.answering)
    }

    /// Notes them for the commands to come. This one has its answer already: where the folder may not be written, each
    /// command learns for itself, and nobody needs to hear of it.
    static func note(_ context: ClusterContext, answering: String) {
        var all = load()
        all[context.name] = Noted(endpoints: context.endpoints, members: context.members ?? [], answering: answering)
        guard let bytes = try? CanonicalJSON.encode(all) else { return }
        try? ContextFile.replace(path, with: bytes)
    }

    private static func load() -> [String: Noted] {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 1 << 20 else { return [:] }
        return (try? CanonicalJSON.decode([String: Noted].self, from: Array(data))) ?? [:]
    }
}
