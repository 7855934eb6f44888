// What a member tells the cluster about itself.

import Cluster
import Consensus
import Testing

@testable import Agent

@Test func aMemberTellsWhenItsNewCertificateEnds() {
    var bench = AgentBench.founder()
    // Its first word of it is no renewal.
    bench.turn([.identityChanged(IdentityNews(expires: 8_000))])
    bench.run(for: .seconds(1))
    #expect(!bench.core.state.events.contains { $0.type == "CertificateRenewed" })
    bench.turn([.identityChanged(IdentityNews(expires: 9_000))])
    bench.run(for: .seconds(1))
    #expect(bench.core.state.members[AgentBench.own]?.certificateExpires == 9_000)
    let told = bench.core.state.events.count { $0.type == "CertificateRenewed" }
    #expect(told == 1, "once, and not again at every look")
}

/// Before that nobody keeps it, and it would be told for ever.
@Test(arguments: [(1, nil), (2, true)] as [(UInt64, Bool?)])
func whetherItRunsGuestsIsToldFromLevelTwoOn(level: UInt64, kept: Bool?) {
    var bench = AgentBench(founds: "home")
    (bench.core.setup.record.level, bench.core.setup.record.runsGuests) = (level, false)
    bench.run(for: .seconds(1))
    bench.core.setup.record.runsGuests = true
    bench.request(.put(key: "a", value: "b", expected: nil))
    bench.run(for: .seconds(1))
    #expect(bench.core.state.level == level)
    #expect(bench.core.state.members[AgentBench.own]?.runsGuests == kept)
    let revision = bench.core.state.revision
    bench.run(for: .seconds(5))
    #expect(bench.core.state.revision == revision)
}

/// A container may have another boot each time it starts.
@Test func anotherBootIsToldOnce() {
    var bench = AgentBench(founds: "home")
    (bench.core.setup.record.level, bench.core.setup.record.machine) = (2, "first")
    bench.run(for: .seconds(1))
    #expect(bench.core.state.members[AgentBench.own]?.machine == "first")
    bench.core.setup.record.machine = "second"
    bench.request(.put(key: "a", value: "b", expected: nil))
    bench.run(for: .seconds(1))
    #expect(bench.core.state.members[AgentBench.own]?.machine == "second")
    let revision = bench.core.state.revision
    bench.run(for: .seconds(5))
    #expect(bench.core.state.revision == revision)
}

@Test func aMemberIsToldItsNewNameAndGoesOnHoldingWhatItHolds() {
    var bench = AgentBench.founder()
    bench.turn([
        .request(
            bench.newRequest(),
            .propose(AgentBench.address(), stamp: nil, actor: "a", deadline: bench.now + .seconds(5)))
    ])
    bench.run(for: .seconds(2))
    let epoch = bench.core.state.roles[AgentBench.api]?.epoch
    #expect(bench.core.state.roles[AgentBench.api]?.holder == AgentBench.own)
    bench.turn([
        .request(
            bench.newRequest(),
            .propose(
                .renameMember(AgentBench.own, to: "pve9"), stamp: nil, actor: "a", deadline: bench.now + .seconds(5)))
    ])
    bench.run(for: .seconds(5))
    #expect(bench.names == ["pve9"])
    #expect(bench.core.setup.record.name == "pve9")
    #expect(bench.core.state.roles[AgentBench.api]?.holder == AgentBench.own)
    #expect(bench.core.state.roles[AgentBench.api]?.epoch == epoch, "it never let go")
}
