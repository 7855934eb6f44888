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

    // MARK: A process that has just started

    /// Isolated, with its guests ended and its watchdog closed, the agent was started anew; then somebody starts one by hand.
    @Test func anAgentThatIsStartedAnewWithoutALeaseEndsWhatTheWatchdogAnswersFor() {
        var host = HostBench(pools: ("shared", "shared"), leftArmed: true)
        host.bench.run(for: Watchdog.grace(within: .seconds(5)) - .milliseconds(100))
        #expect(host.orders(of: .destroy).isEmpty, "its first lease may come")
        host.bench.run(for: .milliseconds(200))
        #expect(host.orders(of: .destroy) == [gitlab, vault])
        for guest in [gitlab, vault] {
            host.bench.turn([.guests(.done(guest, epoch: host.placement(guest.workload).epoch, .destroy))])
        }
        host.observe(.stopped, .stopped)
        #expect(host.bench.watchdogOrders == [.close])
        host.observe(.stopped, .running)
        #expect(host.orders(of: .destroy) == [gitlab, vault, vault], "the cluster still counts on it")
    }

    @Test func anAgentThatIsStartedAnewAndHasALeaseInTimeEndsNothing() {
        var host = HostBench(pools: ("shared", "shared"), leftArmed: true)
        host.bench.run(for: .seconds(2))
        host.run(for: .seconds(10))
        #expect(host.orders(of: .destroy).isEmpty)
        #expect(known(host) == true)
        #expect(host.bench.watchdogOrders.contains { if case .feed = $0 { true } else { false } })
    }

    /// Said on although it was closed, a later silence would be taken for a reset that nothing makes.
    @Test func aWatchdogThatWasClosedWithoutALeaseIsSaidOffUnderTheNextOne() {
        var host = HostBench(pools: ("shared", "shared"))
        host.guarded()
        host.bench.run(for: .milliseconds(5_500))
        for guest in [gitlab, vault] {
            host.bench.turn([.guests(.done(guest, epoch: host.placement(guest.workload).epoch, .destroy))])
        }
        host.observe(.stopped, .stopped)
        #expect(host.isClosed)
        #expect(known(host) == true)
        host.commit(.delete(keys: [HostBench.gitlab, HostBench.vault], checkRevision: nil))
        host.run(for: .seconds(1))
        host.agree()
        host.run(for: .milliseconds(200))
        #expect(host.isClosed)
        #expect(known(host) == false)
    }

    /// Its guests are out of sight, and the machine is well.
    @Test func aWatchdogThatWasLeftArmedIsFedAndDisarmedWhereTheDriverIsRefused() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"), leftArmed: true, isRefused: true)
        host.run(for: .milliseconds(500))
        #expect(host.bench.watchdogOrders.contains { if case .feed = $0 { true } else { false } })
        #expect(!host.isClosed, "the cluster counts on it")
        for _ in 0..<3 {
            host.agree()
            host.run(for: .milliseconds(500))
        }
        #expect(known(host) == false)
        #expect(host.bench.core.state.hosts["pve1"]?.facts.isQuorate == false, "nothing is to be placed on it")
        #expect(host.bench.core.state.hosts["pve1"]?.facts.storageAddress == "10.0.0.1", "it can be fenced as before")
        #expect(host.isClosed)
    }

    @Test func whereTheDriverIsRefusedTheWatchdogIsFedForGuestsThatMayRun() {
        var host = HostBench(pools: ("shared", "shared"), leftArmed: true, isRefused: true)
        for _ in 0..<10 {
            host.run(for: .seconds(1))
            host.agree()
        }
        #expect(!host.isClosed && host.bench.watchdogOrders.count >= 9)
        #expect(known(host) == true)
        host.bench.run(for: .seconds(8))
        #expect(!host.isClosed, "what nobody has looked at may be running")
    }

    /// Its settings cannot be read, or say another time by now than what it armed: that one resets the machine.
    @Test func theClusterReckonsWithTheLongestTimeThatMayHaveBeenArmed() {
        var host = HostBench(pools: ("shared", "shared"), leftArmed: true, isRefused: true)
        func reckoned() -> Int64? { host.bench.core.state.hosts["pve1"]?.facts.watchdogMilliseconds }
        for (told, expected) in [(5_000, 10_000), (0, 10_000), (20_000, 20_000)] as [(Int64, Int64)] {
            host.bench.turn([.guests(.refused(boot: "b1", watchdogMilliseconds: told, reason: "it is hidden"))])
            for _ in 0..<3 {
                host.run(for: .seconds(1))
                host.agree()
            }
            #expect(reckoned() == expected)
        }
    }

    /// Armed with more at once, it would reset this machine after others have started its guests.
    @Test func aLongerTimeIsArmedOnceTheClusterHasHeardOfIt() {
        var host = HostBench()
        func ordered() -> Interval? {
            guard case .feed(_, let timeout)? = host.bench.watchdogOrders.last else { return nil }
            return timeout
        }
        host.guarded()
        var facts = host.facts(isGuarded: false)
        facts.watchdogMilliseconds = 20_000
        host.bench.turn([.guests(.host(facts))])
        host.run(for: .seconds(3))
        #expect(ordered() == .seconds(10))
        host.agree()
        host.run(for: .seconds(3))
        #expect(ordered() == .seconds(20))
    }

    // MARK: What is left alone

    private func watched(_ host: HostBench) -> [Guest] {
        for case .watch(let guests) in host.bench.guestOrders.reversed() { return guests }
        return []
    }

    /// Of what nobody looks at it must be taken that it runs.
    @Test func aGuestThatIsLeftAloneAndDoesNotRunDoesNotKeepTheWatchdogArmed() {
        var host = HostBench()
        host.commit(
            .apply(declarations: [host.declaration(HostBench.vault, desired: "ignored")], checkRevision: nil))
        #expect(watched(host) == [gitlab])
        host.guarded()
        host.bench.run(for: .milliseconds(5_500))
        #expect(host.orders(of: .destroy) == [gitlab])
        host.bench.turn([.guests(.done(gitlab, epoch: host.placement(HostBench.gitlab).epoch, .destroy))])
        host.observe(.stopped, watched(host).contains(vault) ? .stopped : nil)
        #expect(host.isClosed)
    }

    @Test func aGuestThatIsLeftAloneDoesNotKeepItsMachineFromGoingDown() {
        var host = HostBench()
        host.commit(
            .apply(declarations: [host.declaration(HostBench.vault, desired: "ignored")], checkRevision: nil),
            .workload(.steer(HostBench.gitlab, .stop)))
        host.guarded()
        host.bench.turn([.guests(.done(gitlab, epoch: host.placement(HostBench.gitlab).epoch, .stop))])
        host.observe(.stopped, .running)
        host.bench.turn([.hostStops(.powerOff)])
        host.run(for: .milliseconds(200))
        host.agree()
        host.run(for: .milliseconds(200))
        #expect(host.bench.core.stop.isStopping)
    }

    // MARK: A driver that cannot look

    @Test func whereNothingIsSeenTheWatchdogStaysArmed() {
        var host = HostBench(pools: ("shared", "shared"))
        host.commit(.workload(.steer(HostBench.gitlab, .stop)), .workload(.steer(HostBench.vault, .stop)))
        host.guarded()
        host.observe(.stopped, .stopped)
        host.bench.turn([.guests(.blind(reason: "no answer within 10 s"))])
        host.bench.run(for: .milliseconds(5_500))
        #expect(!host.isClosed, "what was seen before may run by now")
        host.observe(.stopped, .stopped)
        #expect(host.isClosed)
    }
}
