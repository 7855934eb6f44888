// The line of steps of one guest: one at a time, none twice, and a bound on how many wait.

import Cluster
import Kinds
import Testing

@testable import ProxmoxDriver

private let web = Guest(workload: ResourceKey(kind: "VirtualMachine", name: "web"), form: .machine, vmid: 120)

@Suite struct GuestLanesTests {
    private func start(_ epoch: UInt64) -> OrderedStep {
        OrderedStep(.start(web, epoch: epoch, takeFrom: [], provenAway: []))!
    }

    @Test func oneStepAtATimeAndNoneTwice() {
        var lanes = GuestLanes()
        let (_, cut) = AsyncStream<Never>.makeStream()
        #expect(lanes.admit(start(1)) == .run)
        #expect(lanes.admit(start(1)) == .known)
        #expect(lanes.admit(start(2)) == .waits)
        #expect(lanes.next(120, cut: cut) == start(1))
        lanes.ended(120)
        #expect(lanes.next(120, cut: cut) == start(2))
        lanes.ended(120)
        #expect(lanes.next(120, cut: cut) == nil)
        #expect(!lanes.isBusy(120))
        #expect(lanes.admit(start(3)) == .run)
    }

    @Test func theLineIsBounded() {
        var lanes = GuestLanes()
        #expect(lanes.admit(start(1)) == .run)
        for epoch in 2...UInt64(GuestLanes.mostSteps) { #expect(lanes.admit(start(epoch)) == .waits) }
        #expect(lanes.admit(start(100)) == .full)
    }

    @Test func toEndAGuestLeavesNothingWaiting() {
        var lanes = GuestLanes()
        let (_, cut) = AsyncStream<Never>.makeStream()
        let end = OrderedStep(.destroy(web, epoch: 9))!
        #expect(lanes.admit(start(1)) == .run)
        #expect(lanes.next(120, cut: cut) == start(1))
        #expect(lanes.admit(start(2)) == .waits)
        #expect(lanes.admit(end) == .waits)
        lanes.ended(120)
        #expect(lanes.next(120, cut: cut) == end)
    }
}
