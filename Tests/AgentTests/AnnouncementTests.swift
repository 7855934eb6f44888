// What a member tells the cluster about itself.

import Agent
import Cluster
import Consensus
import Testing

@Test func aMemberTellsWhenItsNewCertificateEnds() {
    var bench = AgentBench.founder()
    bench.turn([.identityChanged(IdentityNews(expires: 9_000))])
    bench.run(for: .seconds(1))
    #expect(bench.core.state.members[AgentBench.own]?.certificateExpires == 9_000)
    let told = bench.core.state.events.count { $0.type == "CertificateRenewed" }
    #expect(told == 1, "once, and not again at every look")
}
