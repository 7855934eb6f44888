// The address driver on a real kernel, seen by a client on the other end of a cable.

import Cluster
import Consensus
import Glibc
import Kinds
import Testing

@testable import Drivers

/// Long enough that no test on a busy machine sees it end.
private func longLease() -> Instant { BootClock.now() + .seconds(60) }
/// Short, for tests that wait for its end, and long enough for a busy machine to arm it. The address is on the interface for
/// three seconds, so two are left to see that it is silent there.
private func shortLease() -> Instant { BootClock.now() + .seconds(1) }

@Suite(.serialized, .enabled(if: canMakeNetworks, needsNetworks)) struct AddressDriverTests {
    @Test func theHolderAnswersAndAnnounces() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            #expect(driver.guardIsEnforced)
            #expect(!network.client.isAnswered(withinMilliseconds: 50))
            driver.carryOut(TestNetwork.hold(until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            #expect(network.client.hearsAnnouncement())
            #expect(network.client.isAnswered())
            #expect(network.client.isPinged())
            let present = try #require(try network.presentAddress())
            #expect(present.isOurs && present.isTemporary && present.prefixLength == 32)
            driver.shutDown()
            #expect(try network.presentAddress() == nil)
            #expect(!network.client.isAnswered(withinMilliseconds: 50))
        }
    }

    @Test func anAddressIsSilentAtLeaseEndThoughNobodyActs() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            let until = shortLease()
            driver.carryOut(TestNetwork.hold(until: until))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            try network.teachClient()
            driver.abandon()
            while BootClock.now() < until { _ = network.client.isAnswered(withinMilliseconds: 5) }
            // Still on the interface, but neither ARP nor IP gets out or in.
            #expect(try network.presentAddress() != nil)
            for _ in 0..<5 {
                #expect(!network.client.isAnswered(withinMilliseconds: 10))
                #expect(!network.client.isPinged(withinMilliseconds: 10))
            }
        }
    }

    @Test func aLeaseThatIsRenewedGoesOnAndEndsWithTheLastRenewal() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            var until = shortLease()
            let first = until
            driver.carryOut(TestNetwork.hold(until: until))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            while BootClock.now() < first + .milliseconds(200) {
                until = shortLease()
                driver.carryOut(TestNetwork.hold(until: until))
                #expect(network.client.isAnswered())
            }
            #expect(reports.isEmpty)
            try network.waitUntilAbsent()
            #expect(BootClock.now() >= until)
            #expect(!network.client.isAnswered(withinMilliseconds: 20))
            driver.shutDown()
        }
    }

    @Test func aReleasedAddressIsSilentInARPAndStillAcceptsForTheDrain() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            // A drain is at most 100 ms. On a machine that is held up for longer there is nothing to see: once more.
            for epoch in UInt64(1)...10 {
                driver.carryOut(TestNetwork.hold(epoch: epoch, until: longLease()))
                #expect(reports.next() == .holding(role: TestNetwork.role, epoch: epoch))
                // A conversation that is under way: each side knows where the other one is. A silent address is not
                // used to ask for a neighbour either.
                try network.teachClient()
                #expect(network.client.isPinged())
                let ordered = BootClock.now()
                driver.carryOut(
                    .release(role: TestNetwork.role, addresses: [TestNetwork.virtual], epoch: epoch, drain: .seconds(9))
                )
                #expect(reports.next() == .released(role: TestNetwork.role, epoch: epoch))
                let isAccepted = network.client.isPinged(withinMilliseconds: 20)
                #expect(!network.client.isAnswered(withinMilliseconds: 20))
                let wasInTime = BootClock.now() - ordered < .milliseconds(90)
                try network.waitUntilAbsent()
                #expect(!network.client.isPinged(withinMilliseconds: 20))
                if wasInTime {
                    #expect(isAccepted)
                    break
                }
            }
            driver.shutDown()
        }
    }

    @Test func aReleasedEpochIsNotHeldAgainButTheNextOneIs() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(.release(role: TestNetwork.role, addresses: [TestNetwork.virtual], epoch: 3, drain: .zero))
            #expect(reports.next() == .released(role: TestNetwork.role, epoch: 3))
            driver.carryOut(TestNetwork.hold(epoch: 3, until: longLease()))
            driver.carryOut(.drop(role: TestNetwork.role, addresses: [TestNetwork.virtual]))
            driver.carryOut(TestNetwork.hold(epoch: 4, until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 4))
            driver.carryOut(TestNetwork.hold(epoch: 5, until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 5))
            #expect(network.client.isAnswered())
            driver.shutDown()
        }
    }

    @Test func whatAKilledProcessLeftIsSilentAndRemovedAtTheNextStart() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let killed = try network.driver(reports)
            killed.carryOut(TestNetwork.hold(until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            killed.abandon()
            #expect(network.client.isAnswered())
            let next = try network.driver(reports)
            #expect(try network.presentAddress() == nil)
            #expect(!network.client.isAnswered(withinMilliseconds: 50))
            #expect(try LeaseGuard().watched().isEmpty)
            next.carryOut(TestNetwork.hold(epoch: 2, until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 2))
            #expect(network.client.isAnswered())
            next.shutDown()
        }
    }

    @Test func startingAgainChangesNothingAndASecondProcessIsRefused() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            for _ in 0..<2 {
                let driver = try network.driver(reports)
                #expect(driver.guardIsEnforced && driver.guardProblem == nil)
                let refusal = #expect(throws: AddressDriverError.self) { try network.driver(reports) }
                #expect(refusal?.cause == .alreadyRunning)
                driver.shutDown()
            }
            // Nothing of ours stays behind.
            try network.run("test -z \"$(nft list ruleset)\"")
        }
    }

    @Test func aFlushedRulesetIsPutBackByTheNextRenewal() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(TestNetwork.hold(until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            try network.run("nft flush ruleset")
            // Putting the tables back starts `nft`, which takes its time on a busy machine.
            let until = BootClock.now() + .seconds(5)
            driver.carryOut(TestNetwork.hold(until: until))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            driver.abandon()
            while BootClock.now() < until { _ = network.client.isAnswered(withinMilliseconds: 5) }
            #expect(!network.client.isAnswered(withinMilliseconds: 50))
        }
    }

    @Test func aReleaseUnderAFlushedRulesetRemovesTheAddressBeforeItSaysSo() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(TestNetwork.hold(until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            try network.run("nft flush ruleset")
            driver.carryOut(
                .release(role: TestNetwork.role, addresses: [TestNetwork.virtual], epoch: 1, drain: .milliseconds(100)))
            #expect(reports.next() == .released(role: TestNetwork.role, epoch: 1))
            #expect(try network.presentAddress() == nil)
            driver.shutDown()
        }
    }

    @Test func anotherMachineWithTheAddressIsNoticedAndAnsweredByAnAnnouncement() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let log = CapturedLog()
            let driver = try network.driver(reports, log: log.logger)
            driver.carryOut(TestNetwork.hold(until: longLease()))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            let end = BootClock.now() + .seconds(60)
            while !log.contains("is also used by"), BootClock.now() < end {
                network.client.claimTheAddress()
                _ = network.client.hearsAnnouncement(withinMilliseconds: 20)
            }
            #expect(log.contains("10.77.0.99 of VirtualIP/test is also used by"))
            driver.shutDown()
        }
    }
}
