// What a host does about a watchdog that is not armed although it was ordered to be: its driver's report counts, and not the
// order. A reset that never comes would be counted on as a proof, and two hosts would write one disk.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct HostWatchdogTests {
    private let gitlab = HostBench.guests[HostBench.gitlab]!
    private let vault = HostBench.guests[HostBench.vault]!

    private func known(_ host: HostBench) -> Bool? { host.bench.core.state.hosts["pve1"]?.facts.isGuarded }

    @Test(arguments: ["arm the watchdog: Device or resource busy", nil])
    func aWatchdogThatIsNotReportedAsArmedIsNotSaidToBe(failure: String?) {
        var host = HostBench()
        host.bench.watchdogFailure = failure
        host.bench.watchdogIsSilent = failure == nil
        host.observe(.stopped)
        for _ in 0..<5 {
            host.run(for: .seconds(1))
            host.agree()
        }
        #expect(host.bench.watchdogOrders.count >= 5, "it is tried again all the while")
        #expect(!host.told.contains(.reportHost("pve1", host.facts(isGuarded: true))))
        #expect(known(host) == false)
        #expect(host.orders(of: .start).isEmpty)
    }

    @Test func aGuestThatWaitsForAWatchdogThatCannotBeArmedSaysSo() {
        var host = HostBench()
        host.bench.watchdogFailure = "arm the watchdog: Permission denied"
        host.observe(.stopped)
        host.run(for: .milliseconds(200))
        let epoch = host.placement(HostBench.gitlab).epoch
        #expect(
            host.told.contains(
                .startFailed(
                    HostBench.gitlab, epoch: epoch, on: "pve1",
                    reason: "nothing would reset this host when it is cut off: arm the watchdog: Permission denied",
                    isFinal: false)))
        host.bench.watchdogFailure = nil
        host.agree()
        host.run(for: .seconds(2))
        host.agree()
        host.run(for: .seconds(6))
        #expect(host.orders(of: .start) == [gitlab], "it can be armed now, and is tried again")
    }

    @Test func aWatchdogThatFailsIsTakenBackAtOnceAndSaidAgainWhenItIsArmedAnew() {
        var host = HostBench()
        host.guarded()
        #expect(known(host) == true)
        host.bench.watchdogFailure = "feed the watchdog: Broken pipe"
        host.run(for: .milliseconds(1_500))
        #expect(host.told.last == .reportHost("pve1", host.facts(isGuarded: false)))
        host.agree()
        #expect(known(host) == false)
        #expect(host.orders(of: .destroy).isEmpty, "its guests go on")
        host.bench.watchdogFailure = nil
        host.run(for: .milliseconds(1_500))
        host.agree()
        #expect(known(host) == true)
    }

    @Test func aHostThatNothingResetsEndsAllThatTheClusterMayStartElsewhere() {
        var host = HostBench()
        host.guarded()
        host.bench.watchdogFailure = "feed the watchdog: Broken pipe"
        // It is told, and nobody says that it was heard.
        host.run(for: .milliseconds(1_500))
        #expect(known(host) == true)
        host.bench.run(for: .milliseconds(5_500))
        #expect(
            host.orders(of: .destroy) == [gitlab, vault],
            "a proof by the watchdog would let both be started elsewhere, and neither is ended by a reset")
    }

    @Test func nothingIsEndedOnceTheClusterKnowsThatNothingResetsTheHost() {
        var host = HostBench()
        host.guarded()
        host.bench.watchdogFailure = "feed the watchdog: Broken pipe"
        host.run(for: .milliseconds(1_500))
        host.agree()
        host.run(for: .milliseconds(200))
        host.bench.run(for: .seconds(30))
        #expect(host.orders(of: .destroy).isEmpty)
    }

    /// Kept by the service manager over a crash, in the moment before the cluster heard of it.
    @Test func whatMayBeLeftArmedWithoutAnybodyKnowingIsClosed() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.bench.run(for: .milliseconds(500))
        #expect(host.bench.watchdogOrders.isEmpty, "without a lease it does nothing")
        host.run(for: .seconds(3))
        #expect(host.bench.watchdogOrders == [.close])
    }

    @Test func anAnswerToAnOrderFromBeforeItWasClosedIsNotTakenForOneOfNow() {
        var host = HostBench()
        host.guarded()
        guard case .feed(let old, _)? = host.bench.watchdogOrders.last else {
            Issue.record("it was not fed")
            return
        }
        // Nothing needs it for a while, and it is closed.
        host.commit(.delete(keys: [HostBench.gitlab], checkRevision: nil))
        host.run(for: .seconds(1))
        host.agree()
        host.run(for: .seconds(1))
        let isClosed = host.isClosed
        #expect(isClosed)
        host.bench.watchdogIsSilent = true
        host.commit(.apply(declarations: [host.declaration(HostBench.gitlab)], checkRevision: nil))
        host.commit(
            .workload(.sight(HostBench.gitlab, on: "pve1", Sighting(.stopped))),
            .workload(
                .place(
                    HostBench.gitlab, epoch: host.placement(HostBench.gitlab).epoch, on: "pve1", reason: "test",
                    because: nil)))
        host.observe(.stopped)
        host.run(for: .seconds(1))
        let isFed = !host.isClosed
        #expect(isFed, "it is needed again")
        host.bench.turn([.watchdog(WatchdogReport(until: old))])
        host.run(for: .seconds(1))
        #expect(known(host) == false)
        #expect(host.told.last != .reportHost("pve1", host.facts(isGuarded: true)))
    }
}
