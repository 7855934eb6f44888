// An address that goes from one role to another: never two members answer for it, whatever the roles are called.

import Agent
import Cluster
import Consensus
import Testing

private let old = ResourceKey(kind: "VirtualIP", name: "old")
private let new = ResourceKey(kind: "VirtualIP", name: "new")

/// Two addresses, each on a member of its own.
private func labWithTwoAddresses() -> TestLab {
    let lab = TestLab.five()
    lab.declareAddress("old", "192.168.1.98", candidates: ["cp1"])
    lab.declareAddress("new", "192.168.1.99", candidates: ["cp2"])
    lab.run(for: .seconds(1))
    #expect(lab.owners(of: "192.168.1.98") == [lab.index(of: "cp1")])
    #expect(lab.owners(of: "192.168.1.99") == [lab.index(of: "cp2")])
    return lab
}

@Test func twoRolesThatSwapTheirAddressesWhileAHolderIsPausedNeverShareOne() {
    let lab = labWithTwoAddresses()
    lab.pause(lab.index(of: "cp2"))
    lab.declare([
        TestLab.address("old", "192.168.1.99", candidates: ["cp1"]),
        TestLab.address("new", "192.168.1.98", candidates: ["cp2"]),
    ])
    lab.run(for: .seconds(2))
    lab.resume(lab.index(of: "cp2"))
    lab.run(for: .seconds(2))
    #expect(lab.mostOwners == 1)
    #expect(lab.owners(of: "192.168.1.99") == [lab.index(of: "cp1")])
    #expect(lab.owners(of: "192.168.1.98") == [lab.index(of: "cp2")])
}

@Test func anAddressUnderANewNameWaitsUntilTheOldHolderHasLetGo() {
    let lab = labWithTwoAddresses()
    lab.must(.delete(keys: [new], checkRevision: nil))
    lab.run(for: .seconds(1))
    lab.pause(lab.index(of: "cp1"))
    lab.must(.delete(keys: [old], checkRevision: nil))
    lab.declareAddress("new", "192.168.1.98", candidates: ["cp2"])
    lab.run(for: .seconds(2))
    #expect(lab.mostOwners == 1)
    #expect(lab.owners(of: "192.168.1.98") == [lab.index(of: "cp2")])
}

@Test func aChangedAddressIsHeldAgainAtOnce() {
    let lab = labWithTwoAddresses()
    lab.declareAddress("old", "192.168.1.97", candidates: ["cp1"])
    lab.run(for: .milliseconds(200))
    #expect(lab.owners(of: "192.168.1.98") == [])
    #expect(lab.owners(of: "192.168.1.97") == [lab.index(of: "cp1")])
}
