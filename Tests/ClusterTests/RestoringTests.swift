// What goes on in a new cluster, and what does not.

import Consensus
import Testing

@testable import Cluster

private let dns = ResourceKey(kind: "VirtualIP", name: "dns")

private func old(trial: Bool = false) -> ClusterState {
    var state = ClusterState()
    var request: UInt64 = 0
    func apply(_ command: Command) {
        request += 1
        let outcome = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 10, actor: "tester",
                command: command))
        precondition(outcome.succeeded, outcome.message)
    }
    func address(_ last: Int) -> Declaration {
        Declaration(kind: "VirtualIP", name: "dns", spec: ["address": .string("192.168.1.\(last)/24")])
    }
    let member = MemberRecord(
        id: MemberID(rawValue: 7), name: "pve1", kind: .host, peerEndpoint: "a:1", apiEndpoint: "a:2", version: "1")
    apply(.bootstrap(clusterName: "home", member: member))
    apply(.put(key: "motd", value: "hello", expected: nil))
    apply(.createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)))
    apply(.admitOperator(OperatorRecord(name: "vera", role: .viewer, key: "k", certificateExpires: 9)))
    apply(.apply(declarations: [address(2)], checkRevision: nil))
    apply(.assign(role: dns, epoch: 0, to: MemberID(rawValue: 7), reason: "", because: nil))
    if trial { apply(.apply(declarations: [address(3)], checkRevision: nil, trialMilliseconds: 5_000)) }
    return state
}

@Test func aNewClusterTakesOverWhatWasDeclaredAndStoredAndNobody() {
    let before = old()
    let state = before.forNewCluster("from a backup of home", milliseconds: 20)
    #expect(state.resources == before.resources && state.values == before.values)
    #expect(state.declarationChanges == before.declarationChanges)
    #expect(state.members.isEmpty && state.tokens.isEmpty && state.operators.isEmpty && state.clusterName.isEmpty)
    #expect(state.roles[dns]?.holder == nil)
    #expect(state.roles[dns]?.epoch == before.roles[dns]?.epoch)
    #expect(state.events.last?.message == "from a backup of home")
    #expect(state.revision > before.revision)
}

@Test func itIsFoundedAsAnyOther() throws {
    var state = old().forNewCluster("w", milliseconds: 20)
    #expect(try ClusterState(encoded: state.encoded) == state)
    let founder = MemberRecord(
        id: MemberID(rawValue: 8), name: "pve9", kind: .host, peerEndpoint: "b:1", apiEndpoint: "b:2", version: "1")
    // The old cluster's requests are forgotten: the same stamp is a new request here.
    let outcome = state.apply(
        CommandRecord(
            stamp: RequestStamp(session: 1, request: 1, settled: 0), milliseconds: 30, actor: "pve9",
            command: .bootstrap(clusterName: "anew", member: founder)))
    #expect(outcome.code == .done)
    #expect(state.clusterName == "anew" && state.members.keys == [founder.id])
    #expect(state.level == FeatureLevel.newest)
}

@Test func whatWasOnTrialIsNotTakenOver() {
    let before = old(trial: true)
    let state = before.forNewCluster("w", milliseconds: 20)
    #expect(state.trial == nil)
    #expect(state.resources[dns]?.declaration.spec["address"] == "192.168.1.2/24")
}

/// The new cluster's consensus counts its recoveries from the beginning, and would refuse each that the state has counted.
@Test func recoveriesOfTheOldClusterAreForgotten() {
    var before = old()
    let outcome = before.apply(
        CommandRecord(
            stamp: RequestStamp(session: 2, request: 1, settled: 0), milliseconds: 15, actor: "ada",
            command: .recover(epoch: 1 << 32 | 77, dead: [MemberID(rawValue: 7)])))
    #expect(outcome.succeeded && !before.leftBehind.isEmpty)
    let state = before.forNewCluster("w", milliseconds: 20)
    #expect(state.epoch == 0)
    #expect(state.leftBehind.isEmpty)
}
