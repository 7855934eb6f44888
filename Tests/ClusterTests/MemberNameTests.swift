// A member's name may change; what it had goes on meaning it until another member takes it.

import Consensus
import Testing

@testable import Cluster

private func member(_ number: UInt64, _ name: String, _ kind: MemberKind = .host, on host: String = "") -> MemberRecord
{
    MemberRecord(
        id: MemberID(rawValue: number), name: name, kind: kind, host: host, peerEndpoint: "m\(number):7400",
        apiEndpoint: "m\(number):7443", version: "v")
}

private struct Home {
    var state = ClusterState()
    private var request: UInt64 = 0
    static let first = MemberID(rawValue: 1)

    init() {
        apply(.bootstrap(clusterName: "home", member: member(1, "pve1")))
        #expect(join(member(2, "cp1", .guest, on: "pve1")).code == .done)
    }

    @discardableResult
    mutating func apply(_ command: Command) -> Outcome {
        request += 1
        return state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 1, actor: "tester",
                command: command))
    }

    mutating func join(_ member: MemberRecord) -> Outcome {
        let token = JoinToken(id: "t\(request)", secretHash: "h", kind: member.kind, expiresMilliseconds: .max)
        apply(.createToken(token))
        return apply(.join(tokenID: token.id, secretHash: "h", member: member))
    }

    mutating func declareAddress(of name: String) {
        let spec: JSONValue = ["address": "192.168.1.9/24", "candidates": .array([["member": .string(name)]])]
        apply(.apply(declarations: [Declaration(kind: "VirtualIP", name: "api", spec: spec)], checkRevision: nil))
    }
}

@Suite struct MemberNameTests {
    @Test func theOldNameGoesOnMeaningTheMember() {
        var home = Home()
        #expect(home.apply(.renameMember(Home.first, to: "pve9")).code == .done)
        #expect(home.state.member(named: "pve9")?.id == Home.first)
        #expect(home.state.member(named: "pve1")?.id == Home.first)
        #expect(home.state.isName("pve1", of: Home.first) && home.state.isName("pve9", of: Home.first))
        #expect(!home.state.isName("cp1", of: Home.first))
        #expect(home.state.events.last?.type == "MemberRenamed")
    }

    @Test func itsGuestsRunOnItUnderEitherName() {
        var home = Home()
        home.apply(.renameMember(Home.first, to: "pve9"))
        #expect(home.state.members[MemberID(rawValue: 2)]?.failureDomain == "pve9")
        // The guest's own files still say the old one.
        home.apply(.announce(member: member(2, "cp1", .guest, on: "pve1")))
        #expect(home.state.members[MemberID(rawValue: 2)]?.failureDomain == "pve9")
        #expect(home.join(member(3, "cp2", .guest, on: "pve1")).code == .done)
        #expect(home.state.members[MemberID(rawValue: 3)]?.failureDomain == "pve9")
    }

    @Test func theAnswerNamesWhatStillSaysTheOldName() {
        var home = Home()
        home.declareAddress(of: "pve1")
        let host = Declaration(kind: "Host", name: "pve1", spec: ["address": "192.168.1.106"])
        home.apply(.apply(declarations: [host], checkRevision: nil))
        let outcome = home.apply(.renameMember(Home.first, to: "pve9"))
        #expect(outcome.code == .done)
        #expect(
            outcome.message.contains("Host/pve1") && outcome.message.contains("VirtualIP/api"), "\(outcome.message)")
    }

    @Test func aNameThatAResourceSaysGoesToNobodyElse() {
        var home = Home()
        home.declareAddress(of: "pve1")
        home.apply(.renameMember(Home.first, to: "pve9"))
        let refused = home.join(member(3, "pve1"))
        #expect(
            refused.code == .unsafe && refused.message.contains("VirtualIP/api still says pve1"), "\(refused.message)")
        #expect(home.apply(.renameMember(MemberID(rawValue: 2), to: "pve1")).code == .unsafe)
        home.declareAddress(of: "pve9")
        #expect(home.join(member(3, "pve1")).code == .done)
        #expect(home.state.member(named: "pve1")?.id == MemberID(rawValue: 3))
        #expect(home.state.member(named: "pve9")?.id == Home.first)
    }

    @Test func aMemberMayHaveItsNameBack() {
        var home = Home()
        home.declareAddress(of: "pve1")
        home.apply(.renameMember(Home.first, to: "pve9"))
        #expect(home.apply(.renameMember(Home.first, to: "pve1")).code == .done)
        #expect(home.state.member(named: "pve1")?.name == "pve1")
        #expect(home.state.member(named: "pve9")?.name == "pve1")
    }

    @Test func whatIsNoNameOrTakenIsRefused() {
        var home = Home()
        for wrong in ["", "PVE", "a b", String(repeating: "a", count: 64), "pve_1"] {
            #expect(home.apply(.renameMember(Home.first, to: wrong)).code == .invalid)
        }
        #expect(home.apply(.renameMember(Home.first, to: "cp1")).code == .conflict)
        #expect(home.apply(.renameMember(Home.first, to: "pve1")).code == .unchanged)
        #expect(home.apply(.renameMember(MemberID(rawValue: 77), to: "x")).code == .notFound)
    }

    @Test func theNamesOfAMemberThatIsGoneMeanNobody() {
        var home = Home()
        home.apply(.renameMember(MemberID(rawValue: 2), to: "cp9"))
        home.apply(.removeMember(MemberID(rawValue: 2)))
        #expect(home.state.member(named: "cp1") == nil && home.state.member(named: "cp9") == nil)
        #expect(home.join(member(3, "cp1")).code == .done)
    }

    @Test func notMoreFormerNamesAreRememberedThanAStateKeeps() {
        var home = Home()
        for number in 0..<ClusterState.mostFormerNames + 10 {
            home.apply(.renameMember(Home.first, to: "n\(number)"))
        }
        #expect(home.state.formerNames.count == ClusterState.mostFormerNames)
        #expect(home.state.member(named: "pve1") == nil, "the oldest are forgotten")
        #expect(home.state.member(named: "n200")?.id == Home.first)
    }
}
