// The order of an upgrade, and what halts it.

import Cluster
import Consensus
import Decisions
import Testing

private func id(_ number: UInt64) -> MemberID { MemberID(rawValue: number) }

/// pve1 (1), pve2 (2), the witness (3), and cp1 (4) on pve1; pve1 holds dns.
private struct Lab {
    var state = ClusterState()
    var configuration = Configuration(voters: [id(1), id(2), id(3)], learners: [id(4)])
    private var request: UInt64 = 0

    init(candidates: [String] = ["pve1", "pve2"]) {
        let kinds: [(String, MemberKind)] = [
            ("pve1", .host), ("pve2", .host), ("witness", .witness), ("cp1", .guest),
        ]
        for (position, kind) in kinds.enumerated() {
            let member = MemberRecord(
                id: id(UInt64(position) + 1), name: kind.0, kind: kind.1, host: kind.1 == .guest ? "pve1" : "",
                peerEndpoint: "m:7400", apiEndpoint: "m:7443", version: "v")
            if position == 0 {
                apply(.bootstrap(clusterName: "home", member: member))
            } else {
                apply(.createToken(JoinToken(id: "t", secretHash: "h", kind: kind.1, expiresMilliseconds: .max)))
                apply(.join(tokenID: "t", secretHash: "h", member: member))
                apply(.observeMember(member.id, reachable: true, reason: "answers"))
            }
        }
        let spec: JSONValue = [
            "address": "192.168.1.2/24", "candidates": .array(candidates.map { ["member": .string($0)] }),
        ]
        apply(.apply(declarations: [Declaration(kind: "VirtualIP", name: "dns", spec: spec)], checkRevision: nil))
        apply(
            .assign(role: ResourceKey(kind: "VirtualIP", name: "dns"), epoch: 0, to: id(1), reason: "", because: nil))
    }

    mutating func apply(_ command: Command) {
        request += 1
        let outcome = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 1, actor: "tester",
                command: command))
        precondition(outcome.succeeded, outcome.message)
    }

    func obstacles(_ number: UInt64, silent: [UInt64] = []) -> [String] {
        UpgradeDecisions.obstacles(
            toRestarting: id(number), state: state, configuration: configuration, silent: silent.map(id))
    }
}

@Test func witnessesAndGuestsGoFirstAndTheLeaderLast() {
    let lab = Lab()
    func names(_ leader: MemberID?) -> [String] {
        UpgradeDecisions.order(lab.state.members.values, leader: leader).map(\.name)
    }
    #expect(names(id(1)) == ["witness", "cp1", "pve2", "pve1"])
    #expect(names(id(2)) == ["witness", "cp1", "pve1", "pve2"])
    #expect(names(id(3)) == ["cp1", "pve1", "pve2", "witness"])
    #expect(names(nil) == ["witness", "cp1", "pve1", "pve2"])
}

@Test func inAHealthyClusterEveryMemberMayBeRestarted() {
    let lab = Lab()
    for number in 1...4 as ClosedRange<UInt64> { #expect(lab.obstacles(number) == []) }
}

@Test func noVoterIsRestartedWhileAnotherIsAway() {
    var lab = Lab()
    #expect(lab.obstacles(1, silent: [3]) == ["1 of 3 voters would be left, 2 are needed (away: witness)"])
    // A learner's agent decides nothing.
    #expect(lab.obstacles(4, silent: [3]) == [])
    // Nor is the one that is away held up by itself.
    #expect(lab.obstacles(3, silent: [3]) == [])
    lab.apply(.stopping(id(2)))
    #expect(lab.obstacles(3) == ["1 of 3 voters would be left, 2 are needed (away: pve2)"])
}

@Test func theOnlyOneThatCanHoldAnAddressIsNotRestarted() {
    var lab = Lab()
    lab.apply(
        .reportFitness(role: ResourceKey(kind: "VirtualIP", name: "dns"), member: id(2), unfit: "its check fails"))
    #expect(lab.obstacles(1) == ["nobody else could hold dns meanwhile"])
    #expect(lab.obstacles(2) == [])
    #expect(Lab(candidates: ["pve1"]).obstacles(1) == ["nobody else could hold dns meanwhile"])
}

@Test func aClusterOfOneHasNobodyElse() {
    var lab = Lab()
    lab.configuration = Configuration(voters: [id(1)])
    #expect(lab.obstacles(1).first == "0 of 1 voters would be left, 1 are needed")
}
