// A leader's knowledge on a bench: a state made of commands, and standings set by hand.

import Cluster
import Consensus
import Decisions
import Kinds

/// Two hosts, a witness and a guest on the first host; pve1 leads. Everyone is well until the test says otherwise.
struct DecisionBench {
    static let api = ResourceKey(kind: "VirtualIP", name: "api")
    static let pve1 = MemberID(rawValue: 1)
    static let pve2 = MemberID(rawValue: 2)
    static let witness = MemberID(rawValue: 3)
    static let guest = MemberID(rawValue: 4)

    var state = ClusterState()
    var view: LeaderView
    var spec: VirtualIPSpec
    private var request: UInt64 = 0

    init(candidates: [String] = ["pve1", "pve2"], preempt: VirtualIPSpec.Preempt = .never) {
        view = LeaderView(
            leader: Self.pve1, standings: [:],
            configuration: Configuration(voters: [Self.pve1, Self.pve2, Self.witness], learners: [Self.guest]))
        spec = VirtualIPSpec(
            addresses: [VirtualAddress(address: "192.168.1.99", prefixLength: 24)],
            candidates: candidates.map(VirtualIPSpec.Candidate.init), follow: nil, preempt: preempt)
        admit(Self.pve1, "pve1", .host)
        admit(Self.pve2, "pve2", .host)
        admit(Self.witness, "witness", .witness)
        admit(Self.guest, "cp1", .guest, host: "pve1")
        apply(
            .apply(
                declarations: [
                    Declaration(
                        kind: Self.api.kind, name: Self.api.name, spec: ["address": "192.168.1.99/24"])
                ], checkRevision: nil))
    }

    mutating func apply(_ command: Command) { _ = outcome(command) }

    mutating func outcome(_ command: Command) -> Outcome {
        request += 1
        let stamp = RequestStamp(session: 1, request: request, settled: request - 1)
        return state.apply(CommandRecord(stamp: stamp, milliseconds: 0, actor: "test", command: command))
    }

    mutating func admit(_ id: MemberID, _ name: String, _ kind: MemberKind, host: String = "") {
        let record = MemberRecord(
            id: id, name: name, kind: kind, host: host, peerEndpoint: "", apiEndpoint: "", version: "1")
        view.standings[id] = Self.well
        guard !state.members.isEmpty else { return apply(.bootstrap(clusterName: "home", member: record)) }
        apply(.createToken(JoinToken(id: name, secretHash: "h", kind: kind, expiresMilliseconds: 1)))
        apply(.join(tokenID: name, secretHash: "h", member: record))
        apply(.observeMember(id, reachable: true, reason: "answers"))
    }

    static let well = LeaderView.Standing(
        reachable: true, leaseIsCertainlyOver: false, steadyFor: .seconds(60), lacking: 0)
    /// Not heard of lately; its lease may still be running.
    static let silent = LeaderView.Standing(
        reachable: false, leaseIsCertainlyOver: false, steadyFor: .zero, lacking: 0)
    static let lost = LeaderView.Standing(reachable: false, leaseIsCertainlyOver: true, steadyFor: .zero, lacking: 0)

    mutating func hold(_ member: MemberID) {
        apply(.assign(role: Self.api, epoch: epoch, to: member, reason: "test", because: nil))
    }

    mutating func askToLetGo(to successor: MemberID?) {
        apply(.release(role: Self.api, epoch: epoch, to: successor, reason: "test"))
    }

    var epoch: UInt64 { state.roles[Self.api]?.epoch ?? 0 }

    func decide() -> [Command] { RoleDecisions.decide(state: state, specs: [Self.api: spec], view: view) }

    /// Who is to be given the address at once, if anybody is.
    var assigned: MemberID? {
        for case .assign(_, _, let member, _, _) in decide() { return member }
        return nil
    }

    /// In whose favour the holder is to be asked to let go; nil when it is not asked.
    var releasedTo: MemberID?? {
        for case .release(_, _, let member, _) in decide() { return .some(member) }
        return nil
    }

    var nextChange: ConfigurationChange? { VoterDecisions.next(state: state, view: view) }
}
