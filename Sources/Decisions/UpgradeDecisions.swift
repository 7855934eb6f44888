// In which order the agents of a cluster are restarted onto a new version, and when the next one may be: only while what
// is left without it decides and holds every address. Asked anew before every step; nothing is planned ahead but the order.

import Cluster
import Consensus

public enum UpgradeDecisions {
    /// Whoever decides least goes first: witnesses, then guests, then hosts, and the leader last of all, so that the
    /// lead is handed over once. Within each, by name.
    public static func order(_ members: [MemberRecord], leader: MemberID?) -> [MemberRecord] {
        func rank(_ member: MemberRecord) -> Int {
            if member.id == leader { return 3 }
            return switch member.kind {
            case .witness: 0
            case .guest: 1
            case .host: 2
            }
        }
        return members.sorted { (rank($0), $0.name) < (rank($1), $1.name) }
    }

    /// Why the agent of a member may not be restarted now, each in a sentence. Empty: it may. A guest or host goes on
    /// running under its agent; what is away for a moment is its vote, and what it holds.
    /// - Parameter silent: members the leader has not heard of lately, beyond those the state says are unreachable.
    public static func obstacles(
        toRestarting member: MemberID, state: ClusterState, configuration: Configuration, silent: [MemberID] = []
    ) -> [String] {
        func answers(_ other: MemberRecord) -> Bool {
            other.id != member && other.reachable && !other.stopping && !silent.contains(other.id)
        }
        var obstacles: [String] = []
        if configuration.isVoter(member) {
            let answering = configuration.allVoters.filter { state.members[$0].map(answers) ?? false }
            if !configuration.hasQuorum(where: { answering.contains($0) }) {
                let missing = configuration.allVoters.filter { $0 != member && !answering.contains($0) }
                let names = missing.map { state.name(of: $0) }
                let needed = configuration.sides.map { "\(Configuration.majority(of: $0))" }.joined(separator: " and ")
                obstacles.append(
                    "\(answering.count) of \(configuration.allVoters.count) voters would be left, \(needed) are needed"
                        + (missing.isEmpty ? "" : " (away: \(names.joined(separator: ", ")))"))
            }
        }
        for (key, role) in state.roles.pairs where role.holder == member {
            let candidates = (state.resources[key]?.declaration.spec["candidates"]?.array ?? [])
                .compactMap { $0["member"]?.string }.compactMap { state.member(named: $0) }
            guard !candidates.contains(where: { answers($0) && !role.isUnfit($0.id) }) else { continue }
            obstacles.append("nobody else could hold \(key.name) meanwhile")
        }
        return obstacles
    }
}
