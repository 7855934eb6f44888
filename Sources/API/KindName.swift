// Kinds as people type them: `virtualip`, `VirtualIPs`, `vip` all mean VirtualIP. Besides the kinds of resources there
// are members, about whom one can ask too.

import Cluster
import Kinds

public enum KindName {
    /// The kind that stands for the members of the cluster.
    public static let member = "member"

    /// The kind as it is written; what is not known stays as it was typed.
    public static func canonical(_ typed: String) -> String {
        ["member", "members"].contains(typed.lowercased())
            ? member : KindRegistry.schema(called: typed)?.kind ?? typed
    }

    /// As above, and a kind that only the state knows (a newer version declared it) is found too.
    static func canonical(_ typed: String, in state: ClusterState) -> String {
        let kind = canonical(typed)
        if kind == member || KindRegistry.schema(of: kind) != nil { return kind }
        return state.resources.keys.first { $0.kind.lowercased() == typed.lowercased() }?.kind ?? kind
    }
}
