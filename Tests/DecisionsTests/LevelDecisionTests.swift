// When the feature level is raised.

import Cluster
import Consensus
import Decisions
import Testing

private func state(levels: [UInt64?]) -> ClusterState {
    var state = ClusterState()
    var request: UInt64 = 0
    func apply(_ command: Command) {
        request += 1
        let outcome = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 1, actor: "tester",
                command: command))
        precondition(outcome.succeeded, outcome.message)
    }
    for position in levels.indices {
        var member = MemberRecord(
            id: MemberID(rawValue: UInt64(position) + 1), name: "m\(position + 1)", kind: .host,
            peerEndpoint: "m:7400", apiEndpoint: "m:7443", version: "v", level: 1)
        if position == 0 {
            apply(.bootstrap(clusterName: "home", member: member))
        } else {
            apply(.createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)))
            apply(.join(tokenID: "t", secretHash: "h", member: member))
        }
        member.level = levels[position]
        apply(.announce(member: member))
    }
    return state
}

private func next(_ levels: [UInt64?], longGone: [UInt64] = []) -> Command? {
    let view = LeaderView(
        leader: MemberID(rawValue: 1), standings: [:], configuration: Configuration(voters: []),
        longGone: longGone.map(MemberID.init(rawValue:)))
    return LevelDecisions.next(state: state(levels: levels), view: view)
}

@Test func theLevelFollowsTheOldestVersion() {
    #expect(next([1, 1, 1]) == nil)
    #expect(next([3, 2, 3]) == .raiseLevel(to: 2, without: []))
    #expect(next([3, 1, 3]) == nil)
    #expect(next([3, nil, 3]) == nil)
}

@Test func whoeverHasBeenAwayForLongIsLeftBehind() {
    #expect(next([2, 1, 2], longGone: [2]) == .raiseLevel(to: 2, without: [MemberID(rawValue: 2)]))
    // One that is away and understands it is not left behind.
    #expect(next([2, 2, 2], longGone: [2]) == .raiseLevel(to: 2, without: []))
    #expect(next([2, 1, 1], longGone: [2]) == nil)
}
