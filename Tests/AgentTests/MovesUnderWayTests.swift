// A move that goes on without whoever ordered it: begun by the process before this one or by a person, or for longer than it was
// waited for. Ordered once more it would fail on the lock of the first, and of a move that is said to have failed the other host
// ends its part.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct MovesUnderWayTests {
    private let gitlab = HostBench.gitlab
    private let guest = HostBench.guests[HostBench.gitlab]!

    /// gitlab, which runs here, is to go to pve2.
    private func moving() -> HostBench {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .workload(
                .move(
                    gitlab, epoch: host.placement(gitlab).epoch, to: "pve2", live: true, reason: "test", because: nil)))
        return host
    }

    private func see(_ state: GuestState, isUnderWay: Bool = false, _ host: inout HostBench) {
        let observation = GuestObservation(
            guest, state, lock: isUnderWay ? "migrate" : nil, isStarting: isUnderWay)
        let other = GuestObservation(HostBench.guests[HostBench.vault]!, .running)
        host.bench.turn([.guests(.observed([observation, other]))])
        host.run(for: .seconds(1))
    }

    /// Where the move is said to have ended.
    private func ended(_ host: HostBench) -> [String] {
        host.told.compactMap { if case .moveEnded(gitlab, _, let place, _) = $0 { place } else { nil } }
    }

    @Test func whatIsUnderWayAlreadyIsWaitedFor() {
        var host = moving()
        for _ in 0..<3 { see(.running, isUnderWay: true, &host) }
        // Its target is about to work, and it stands still.
        for _ in 0..<3 { see(.stuck, isUnderWay: true, &host) }
        #expect(host.orders(of: .migrate).isEmpty && host.orders(of: .destroy).isEmpty && ended(host).isEmpty)
        see(.absent, &host)
        #expect(Set(ended(host)) == ["pve2"])
    }

    @Test func whatWasUnderWayAndCameToNothingIsOrdered() {
        var host = moving()
        see(.running, isUnderWay: true, &host)
        see(.running, &host)
        #expect(host.orders(of: .migrate) == [guest])
    }

    @Test func whatOutlastsItsLimitHasNotEnded() {
        var host = moving()
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .migrate) == [guest])
        let failure = GuestFailure("its task has not ended after 1800 s")
        host.bench.turn([.guests(.failed(guest, epoch: host.placement(gitlab).epoch, .migrate, failure))])
        for _ in 0..<10 { see(.running, isUnderWay: true, &host) }
        #expect(ended(host).isEmpty && host.orders(of: .migrate) == [guest])
        see(.absent, &host)
        #expect(Set(ended(host)) == ["pve2"])
    }

    @Test func whatFailedAndIsNotUnderWayHasEnded() {
        var host = moving()
        host.run(for: .milliseconds(200))
        let failure = GuestFailure("migration failed")
        host.bench.turn([.guests(.failed(guest, epoch: host.placement(gitlab).epoch, .migrate, failure))])
        see(.running, &host)
        #expect(Set(ended(host)) == ["pve1"])
    }
}
