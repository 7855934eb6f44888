// A retried command counts once; a stale plan and a stale epoch are refused.
// Commands are applied straight to a state, as every member does it.

import Consensus
import Testing

@testable import Cluster

private func put(_ key: String, _ value: String, session: UInt64, request: UInt64, settled: UInt64 = 0) -> CommandRecord
{
    CommandRecord(
        stamp: RequestStamp(session: session, request: request, settled: settled), milliseconds: 1, actor: "tester",
        command: .put(key: key, value: value, expected: .absent))
}

@Test func aRetriedCommandIsAppliedOnceAndAnsweredTheSame() {
    var state = ClusterState()
    let first = state.apply(put("k", "v", session: 7, request: 1))
    let again = state.apply(put("k", "v", session: 7, request: 1))
    #expect(first.code == .done)
    #expect(again == first, "a compare-and-set that was carried out is not refused on the second try")
    #expect(state.revision == 1)
}

@Test func anAnsweredAndForgottenRequestIsNeverCarriedOutAgain() {
    var state = ClusterState()
    _ = state.apply(put("a", "1", session: 7, request: 1))
    _ = state.apply(put("b", "2", session: 7, request: 2, settled: 1))
    #expect(state.apply(put("a", "3", session: 7, request: 1)).code == .expired)
    #expect(state.values["a"]?.value == "1")
}

@Test func anApplyAgainstAnOldIndexIsAConflict() {
    var state = ClusterState()
    let host = Declaration(kind: "Host", name: "pve1", spec: ["address": "192.168.1.106"])
    func apply(_ request: UInt64, check: UInt64?) -> Outcome {
        state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 1, actor: "tester",
                command: .apply(
                    declarations: [
                        Declaration(
                            kind: "Host", name: "pve1", labels: ["n": "\(request)"], spec: host.spec)
                    ], checkRevision: check)))
    }
    #expect(apply(1, check: 0).code == .done)
    #expect(apply(2, check: 0).code == .conflict)
    #expect(apply(3, check: 1).code == .done)
    #expect(apply(4, check: 9_999).code == .conflict, "an index this cluster has not reached is another cluster's")
}

@Test func recordsSurviveTheirEncodingAndEqualOnesEncodeEqually() throws {
    let record = put("k", "v", session: .max, request: 3)
    let bytes = try CanonicalJSON.encode(record)
    #expect(try CanonicalJSON.decode(CommandRecord.self, from: bytes) == record)
    #expect(try CanonicalJSON.encode(record) == bytes)
}

/// A client that settles nothing: its oldest outcomes make room, and are expired from then on, not new.
@Test func outcomesOfOneClientAreBoundedAndNeverCarriedOutAgain() {
    var state = ClusterState()
    let more = UInt64(Sessions.mostOutcomes) + 1
    for request in 1...more { _ = state.apply(put("k\(request)", "v", session: 7, request: request)) }
    #expect(state.apply(put("k1", "v", session: 7, request: 1)).code == .expired)
    let revision = state.revision
    #expect(state.apply(put("k2", "v", session: 7, request: 2)).code == .done, "still remembered")
    #expect(state.revision == revision)
}

@Test func theClientThatWasIdleLongestMakesRoom() {
    var state = ClusterState()
    let idle: UInt64 = 1
    let busy: UInt64 = 2
    _ = state.apply(put("idle", "v", session: idle, request: 1))
    _ = state.apply(put("busy", "v", session: busy, request: 1))
    for session in 3...UInt64(Sessions.mostSessions) + 1 {
        _ = state.apply(put("k\(session)", "v", session: session, request: 1))
    }
    #expect(state.apply(put("busy", "v", session: busy, request: 1)).code == .done, "remembered")
    #expect(state.apply(put("idle", "v", session: idle, request: 1)).code == .conflict, "forgotten, so tried anew")
}
