// Who is let in, what a compare-and-set compares, and the bounds on what the state keeps.

import Consensus
import Testing

@testable import Cluster

@Suite struct AdmissionTests {
    private let guest = ClusterBench.record(MemberID(rawValue: 9), "cp1", .guest)

    private func join(_ bench: inout ClusterBench, _ token: String, _ member: MemberRecord, secret: String? = nil)
        -> Outcome.Code
    {
        bench.apply(.join(tokenID: token, secretHash: secret ?? "secret of \(token)", member: member)).code
    }

    @Test func aTokenAdmitsOneMember() {
        var bench = ClusterBench.founded()
        bench.apply(.createToken(ClusterBench.token("t", kind: .guest)))
        #expect(join(&bench, "t", guest) == .done)
        #expect(join(&bench, "t", guest) == .unchanged, "the same joiner may have lost its answer")
        #expect(join(&bench, "t", ClusterBench.record(MemberID(rawValue: 10), "cp2", .guest)) == .forbidden)
    }

    @Test func aTokenIsGoodForItsSecretItsKindAndItsTimeOnly() {
        var bench = ClusterBench.founded()
        bench.apply(.createToken(ClusterBench.token("t", kind: .guest, expires: 2_000)))
        #expect(join(&bench, "t", guest, secret: "a guess") == .forbidden)
        let host = ClusterBench.record(MemberID(rawValue: 10), "pve3", .host)
        #expect(join(&bench, "t", host) == .forbidden)
        bench.milliseconds = 2_001
        #expect(join(&bench, "t", guest) == .forbidden)
        #expect(bench.state.members.count == 3)
    }

    /// A version from before the level would let it in, so before the level everybody does.
    @Test(arguments: [1, 2] as [UInt64]) func aWitnessStandsOnNoHost(level: UInt64) {
        var founder = ClusterBench.record(ClusterBench.pve1, "pve1", .host)
        founder.level = level
        var bench = ClusterBench()
        bench.apply(.bootstrap(clusterName: "home", member: founder))
        bench.apply(.createToken(ClusterBench.token("t", kind: .witness)))
        var witness = ClusterBench.record(MemberID(rawValue: 9), "witness", .witness)
        (witness.host, witness.machine) = ("pve1", "6f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f")
        let command = Command.join(tokenID: "t", secretHash: "secret of t", member: witness)
        let outcome = bench.apply(command)
        #expect(outcome.code == (level == 1 ? .done : .unsafe))
        #expect(level == 1 || outcome.message.contains("witness runs on pve1"), "\(outcome.message)")
        // The token is as good as before, for the same machine when it stands elsewhere.
        witness.host = ""
        #expect(join(&bench, "t", witness) == (level == 1 ? .unchanged : .done))
        #expect(bench.state.members[witness.id]?.machine == (level == 1 ? nil : witness.machine))
        // One that was let in before says it when the level is there.
        var said = witness
        said.machine = "7f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f"
        bench.apply(.announce(member: said))
        #expect(bench.state.members[witness.id]?.machine == (level == 1 ? nil : said.machine))
        said.machine = nil
        bench.apply(.announce(member: said))
        #expect(bench.state.members[witness.id]?.machine == (level == 1 ? nil : "7f1d2c9a-0b7e-4d52-9c57-0a1b2c3d4e5f"))
    }

    @Test func aNameMeansOneMember() {
        var bench = ClusterBench.founded()
        bench.apply(.createToken(ClusterBench.token("t")))
        #expect(join(&bench, "t", ClusterBench.record(MemberID(rawValue: 9), "pve1", .host)) == .conflict)
    }

    @Test func theOnlyMemberIsNotRemoved() {
        var bench = ClusterBench()
        bench.apply(.bootstrap(clusterName: "home", member: ClusterBench.record(ClusterBench.pve1, "pve1", .host)))
        #expect(bench.apply(.removeMember(ClusterBench.pve1)).code == .unsafe)
        #expect(bench.state.members.count == 1)
    }

    /// Its record says nothing of its certificate when it is admitted; what it then announces is that it has started.
    @Test(arguments: [(1, "CertificateRenewed"), (2, "MemberStarted")] as [(UInt64, String)])
    func theFirstWordOfAMemberIsNoRenewal(level: UInt64, event: String) {
        var founder = ClusterBench.record(ClusterBench.pve1, "pve1", .host)
        founder.level = level
        var bench = ClusterBench()
        bench.apply(.bootstrap(clusterName: "home", member: founder))
        bench.apply(.createToken(ClusterBench.token("t", kind: .guest)))
        var member = guest
        member.certificateExpires = nil
        #expect(join(&bench, "t", member) == .done)
        #expect(bench.state.level == level)
        member.certificateExpires = 5_000
        #expect(bench.apply(.announce(member: member)).code == .done)
        #expect(bench.state.events.last?.type == event)
        member.certificateExpires = 9_000
        #expect(bench.apply(.announce(member: member)).code == .done)
        #expect(bench.state.events.last?.type == "CertificateRenewed")
    }

    /// An earlier version keeps nothing of it: neither who joins, nor who was there, leaves a trace that only some have.
    @Test(arguments: [(1, nil), (2, false)] as [(UInt64, Bool?)])
    func whetherAHostRunsGuestsIsKeptFromLevelTwoOn(level: UInt64, kept: Bool?) {
        var founder = ClusterBench.record(ClusterBench.pve1, "pve1", .host)
        (founder.level, founder.runsGuests) = (level, false)
        var bench = ClusterBench()
        bench.apply(.bootstrap(clusterName: "home", member: founder))
        var member = ClusterBench.record(ClusterBench.pve2, "pve2", .host)
        member.runsGuests = false
        bench.admit(member)
        #expect(bench.state.members.values.map(\.runsGuests) == [kept, kept])
        let events = bench.state.lastEventID
        member.runsGuests = true
        #expect(bench.apply(.announce(member: member)).code == (level == 1 ? .unchanged : .done))
        #expect(bench.state.members[ClusterBench.pve2]?.runsGuests == (level == 1 ? nil : true))
        #expect((bench.state.lastEventID == events) == (level == 1))
        // An earlier version says nothing of it, and what was said stands.
        member.runsGuests = nil
        #expect(bench.apply(.announce(member: member)).code == .unchanged)
    }

    /// A member of an earlier version answers that there is no such member.
    @Test(arguments: [(1, .notFound), (2, .done)] as [(UInt64, Outcome.Code)])
    func whoWasLeftBehindIsRemovedFromLevelTwoOn(level: UInt64, code: Outcome.Code) {
        var founder = ClusterBench.record(ClusterBench.pve1, "pve1", .host)
        founder.level = level
        var bench = ClusterBench()
        bench.apply(.bootstrap(clusterName: "home", member: founder))
        bench.admit(ClusterBench.record(ClusterBench.pve2, "pve2", .host))
        bench.apply(.recover(epoch: 1 << 32, dead: [ClusterBench.pve2]))
        #expect(bench.state.leftBehind.keys == [ClusterBench.pve2])
        #expect(bench.apply(.removeMember(ClusterBench.pve2)).code == code)
        #expect(bench.state.leftBehind.isEmpty == (code == .done))
    }

    @Test func aCompareAndSetCompares() {
        var bench = ClusterBench.founded()
        #expect(bench.apply(.put(key: "k", value: "1", expected: .absent)).code == .done)
        #expect(bench.apply(.put(key: "k", value: "2", expected: .absent)).code == .conflict)
        #expect(bench.apply(.put(key: "k", value: "2", expected: .value("0"))).code == .conflict)
        #expect(bench.apply(.put(key: "k", value: "2", expected: .value("1"))).code == .done)
        #expect(bench.state.values["k"]?.value == "2")
    }

    // MARK: Bounds

    @Test func openTokensAreBounded() {
        var bench = ClusterBench.founded()
        for number in 0..<ClusterState.mostTokens {
            #expect(bench.apply(.createToken(ClusterBench.token("t\(number)", expires: 2_000))).code == .done)
        }
        #expect(bench.apply(.createToken(ClusterBench.token("more"))).code == .invalid)
        bench.milliseconds = 2_001
        #expect(bench.apply(.createToken(ClusterBench.token("more"))).code == .done, "expired ones make room")
    }

    @Test func resourcesAreBounded() {
        var bench = ClusterBench.founded()
        func hosts(_ range: Range<Int>) -> Command {
            .apply(
                declarations: range.map { Declaration(kind: "Host", name: "h\($0)", spec: [:]) }, checkRevision: nil)
        }
        let present = bench.state.resources.count
        #expect(bench.apply(hosts(0..<ClusterState.mostResources - present)).code == .done)
        #expect(bench.apply(hosts(20_000..<20_001)).code == .invalid)
        #expect(bench.apply(hosts(0..<2)).code == .unchanged, "what is there already may be declared again")
    }

    @Test func theStoryIsBoundedAndItsNewestPartIsKept() {
        var bench = ClusterBench.founded()
        for number in 0...ClusterState.mostEvents { bench.declare(ClusterBench.api, label: "\(number % 2)") }
        #expect(bench.state.events.count == ClusterState.mostEvents)
        #expect(bench.state.events.last?.id == bench.state.lastEventID)
        #expect(bench.state.event(bench.state.lastEventID)?.id == bench.state.lastEventID)
        #expect(bench.state.event(1) == nil)
    }

    @Test func aRenewedCertificateIsAnEventOfItsOwn() {
        var bench = ClusterBench.founded()
        var record = ClusterBench.record(ClusterBench.pve2, "pve2", .host)
        record.certificateExpires = 4_000
        #expect(bench.apply(.announce(member: record)).code == .done)
        record.certificateExpires = 5_000
        #expect(bench.apply(.announce(member: record)).code == .done)
        #expect(bench.state.members[ClusterBench.pve2]?.certificateExpires == 5_000)
        #expect(bench.state.events.last?.type == "CertificateRenewed")
        #expect(bench.apply(.announce(member: record)).code == .unchanged)
        record.certificateExpires = nil
        #expect(bench.apply(.announce(member: record)).code == .unchanged, "an older version says nothing of it")
        record.version = "2"
        record.certificateExpires = 6_000
        bench.apply(.announce(member: record))
        #expect(bench.state.events.last?.type == "MemberStarted")
    }

    @Test func aMemberThatAnOlderVersionWroteIsRead() throws {
        let text =
            #"{"apiEndpoint":"a:1","host":"","id":"0000000000000002","joined":3,"kind":"host","lastEvent":4,"#
            + #""name":"pve2","peerEndpoint":"a:2","reachable":true,"stopping":false,"version":"0.1.0"}"#
        let record = try CanonicalJSON.decode(MemberRecord.self, from: Array(text.utf8))
        #expect(record.name == "pve2" && record.certificateExpires == nil)
    }
}
