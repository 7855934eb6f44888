// A role is let go of by the driver's word, or because the kernel has ended what the driver was told last.

import Agent
import Cluster
import Consensus
import Testing

private let api = ResourceKey(kind: "VirtualIP", name: "api")

private func labWithAddress() -> TestLab {
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"])
    lab.run(for: .seconds(1))
    return lab
}

/// The failed order had a renewal behind it, which the driver carried out; the order to drop it all still waits when the
/// leader asks the member to let go.
@Test func aMemberWhoseDriverFailedLetsGoOnlyWhenTheDriverHas() {
    let lab = labWithAddress()
    let cp1 = lab.index(of: "cp1")
    lab.driverDelay[cp1] = .milliseconds(50)
    lab.run(for: .seconds(1))
    lab.report(cp1, .failed(role: api, epoch: lab.nodes[cp1].core.state.roles[api]!.epoch, reason: "no such interface"))
    lab.run(for: .seconds(1))
    #expect(lab.owners(api) == [lab.index(of: "cp2")])
    #expect(lab.mostOwners == 1)
}

@Test func aDriverThatNeverAnswersAReleaseDelaysTheMoveByOneLease() {
    let lab = labWithAddress()
    let (cp1, cp2) = (lab.index(of: "cp1"), lab.index(of: "cp2"))
    lab.deafToReleases = [cp1]
    let epoch = lab.nodes[0].core.state.roles[api]!.epoch
    _ = lab.request(.release(role: api, epoch: epoch, to: lab.id(cp2), reason: "test"), at: 0)
    lab.run(for: .milliseconds(400))
    #expect(lab.owners(api) == [cp2])
    #expect(lab.mostOwners == 1)
}
