// What a member tells the cluster about itself.

import Agent
import Cluster
import Consensus
import Testing

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
