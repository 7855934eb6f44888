// What can be lost, and the words for what cannot.

import Cluster
import Consensus
import Decisions
import Testing

@Suite struct ToleranceTests {
    private static let pve1 = MemberID(rawValue: 1)
    private static let pve2 = MemberID(rawValue: 2)
    private static let witness = MemberID(rawValue: 3)
    private static let guest = MemberID(rawValue: 4)

    private var state = ClusterState()
    private var requests: UInt64 = 0

    private mutating func apply(_ command: Command) {
        requests += 1
        let stamp = RequestStamp(session: 1, request: requests, settled: requests - 1)
        let record = CommandRecord(stamp: stamp, milliseconds: 0, actor: "test", command: command)
        let outcome = state.apply(record)
        #expect(outcome.succeeded, "\(outcome.message)")
    }

    private mutating func admit(_ id: MemberID, _ name: String, _ kind: MemberKind, host: String = "") {
        let record = MemberRecord(
            id: id, name: name, kind: kind, host: host, peerEndpoint: "", apiEndpoint: "", version: "1")
        guard !state.members.isEmpty else { return apply(.bootstrap(clusterName: "home", member: record)) }
        apply(.createToken(JoinToken(id: name, secretHash: "h", kind: kind, expiresMilliseconds: 1)))
        apply(.join(tokenID: name, secretHash: "h", member: record))
        apply(.observeMember(id, reachable: true, reason: "answers"))
    }

    private mutating func lab(address candidates: [String] = ["pve1", "pve2"]) {
        admit(Self.pve1, "pve1", .host)
        admit(Self.pve2, "pve2", .host)
        admit(Self.witness, "witness", .witness)
        admit(Self.guest, "k8s-cp1", .guest, host: "pve1")
        let declaration = Declaration(
            kind: "VirtualIP", name: "kube-api",
            spec: ["candidates": .array(candidates.map { ["member": .string($0)] })])
        apply(.apply(declarations: [declaration], checkRevision: nil))
    }

    private let voters = Configuration(voters: [pve1, pve2, witness], learners: [guest])

    private func answer(silent: [MemberID] = []) -> [String] {
        Tolerance.all(state: state, configuration: voters, silent: silent).map {
            "\($0.domain): " + ($0.canBeLost ? "yes" : $0.obstacles.joined(separator: "; "))
        }
    }

    @Test mutating func aHealthyLabCanLoseAnyOneDomain() {
        lab()
        #expect(answer() == ["pve1: yes", "pve2: yes", "witness: yes"])
    }

    @Test mutating func aGuestBelongsToTheDomainOfItsHost() {
        lab()
        let pve1 = Tolerance.all(state: state, configuration: voters).first { $0.domain == "pve1" }
        #expect(pve1?.members == ["k8s-cp1", "pve1"])
    }

    @Test mutating func withOneVoterGoneTheOthersCannotBeLost() {
        lab()
        apply(.observeMember(Self.witness, reachable: false, reason: "silent"))
        #expect(
            answer() == [
                "pve1: 1 of 3 voters would be left, 2 are needed (unreachable: witness)",
                "pve2: 1 of 3 voters would be left, 2 are needed (unreachable: witness)", "witness: yes",
            ])
    }

    @Test mutating func aVoterTheLeaderDoesNotHearCountsAsGone() {
        lab()
        #expect(
            answer(silent: [Self.pve2])[2] == "witness: 1 of 3 voters would be left, 2 are needed (unreachable: pve2)")
    }

    @Test mutating func anAddressWithAllCandidatesInOneDomainHoldsThatDomain() {
        lab(address: ["pve1", "k8s-cp1"])
        #expect(
            answer() == [
                "pve1: nobody would be left to hold kube-api (pve1 would be lost, k8s-cp1 would be lost)", "pve2: yes",
                "witness: yes",
            ])
    }

    @Test mutating func anUnfitOrStoppingCandidateIsNone() {
        lab()
        let role = ResourceKey(kind: "VirtualIP", name: "kube-api")
        apply(.reportFitness(role: role, member: Self.pve2, unfit: "no route"))
        #expect(
            answer()[0]
                == "pve1: nobody would be left to hold kube-api (pve1 would be lost, pve2 is unfit: no route)")
        apply(.reportFitness(role: role, member: Self.pve2, unfit: nil))
        apply(.stopping(Self.pve2))
        #expect(
            answer()[0] == "pve1: nobody would be left to hold kube-api (pve1 would be lost, pve2 is stopping)")
    }

    @Test mutating func aCandidateThatIsNoMemberIsNamed() {
        lab(address: ["pve1", "pve9"])
        #expect(
            answer()[0] == "pve1: nobody would be left to hold kube-api (pve1 would be lost, pve9 is no member)")
    }

    @Test mutating func aSingleMemberCannotBeLost() {
        admit(Self.pve1, "pve1", .host)
        let alone = Tolerance.all(state: state, configuration: Configuration(voters: [Self.pve1]))
        #expect(alone.map(\.obstacles) == [["none of 1 voters would be left, 1 are needed"]])
    }

    @Test mutating func twoVotersCannotLoseEither() {
        admit(Self.pve1, "pve1", .host)
        admit(Self.pve2, "pve2", .host)
        let two = Tolerance.all(state: state, configuration: Configuration(voters: [Self.pve1, Self.pve2]))
        #expect(two.map(\.canBeLost) == [false, false])
        #expect(two[0].obstacles == ["1 of 2 voters would be left, 2 are needed"])
    }
}
