// IPv6 addresses on a real kernel, alone and together with IPv4 ones: the lease ends them without anybody's doing.

import Cluster
import Consensus
import Glibc
import Kinds
import Testing

@testable import Drivers

@Suite(.serialized, .enabled(if: canMakeNetworks, needsNetworks)) struct IPv6AddressTests {
    private static let address = IPAddress.v6(TestNetwork.addressIPv6)

    private func hold(epoch: UInt64 = 1, for time: Interval) -> AddressOrder {
        TestNetwork.hold(epoch: epoch, until: BootClock.now() + time, TestNetwork.virtualIPv6)
    }

    private func holdBoth(epoch: UInt64 = 1, for time: Interval) -> AddressOrder {
        TestNetwork.hold(
            epoch: epoch, until: BootClock.now() + time, TestNetwork.virtual, TestNetwork.virtualIPv6)
    }

    @Test func theHolderAnswersAtOnceAndAdvertises() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 50))
            driver.carryOut(hold(for: .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            // Far sooner than duplicate address detection would have let it: RFC 4862 waits for a second.
            let present = try #require(try network.presentAddress(Self.address))
            #expect(present.isOurs && present.isTemporary && present.prefixLength == 128)
            #expect(network.client.hearsAdvertisement())
            #expect(network.client.isAnsweredByIPv6())
            #expect(network.client.isPingedByIPv6())
            driver.shutDown()
            #expect(try network.presentAddress(Self.address) == nil)
            #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 50))
        }
    }

    /// The longest common prefix would make it the source of what this host sends to its neighbours.
    @Test func itIsNotTheSourceOfWhatTheHostSendsByItself() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(hold(for: .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            try network.run("ip -6 route get fd00:77::98 | grep -q 'src fd00:77::1 '")
            driver.shutDown()
        }
    }

    @Test func itIsSilentAtLeaseEndThoughNobodyActs() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            let until = BootClock.now() + .seconds(1)
            driver.carryOut(TestNetwork.hold(until: until, TestNetwork.virtualIPv6))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            try network.teachClient(Self.address)
            driver.abandon()
            while BootClock.now() < until { _ = network.client.isAnsweredByIPv6(withinMilliseconds: 5) }
            // Still on the interface, but neither neighbour discovery nor IPv6 gets out or in, asked or unasked.
            #expect(try network.presentAddress(Self.address) != nil)
            for _ in 0..<5 {
                #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 10))
                #expect(!network.client.isPingedByIPv6(withinMilliseconds: 10))
            }
            let link = Link(index: Int32(if_nametoindex("eth0")), name: "eth0")
            _ = try Announcer().announce(Self.address, on: link)
            #expect(!network.client.hearsAdvertisement(withinMilliseconds: 50))
        }
    }

    @Test func releasedItIsSilentInNeighbourDiscoveryAndStillAcceptsForTheDrain() async throws {
        try await onTestNetwork { network in
            let lease = try LeaseGuard()
            try GuardTables.apply(GuardTables.scriptForIPv6(guarding: [Self.address]), attempted: "test")
            try GuardTables.apply(GuardTables.script(guarding: []), attempted: "test")
            try network.run("ip addr add fd00:77::99/128 dev eth0 nodad")
            try network.teachClient(Self.address)
            #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 30))
            for _ in 0..<100 where try lease.arm([Self.address], until: BootClock.now() + .seconds(60)) == .armed {
                break
            }
            #expect(network.client.isPingedByIPv6())
            #expect(network.client.isAnsweredByIPv6())
            try lease.silence([Self.address])
            #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 30))
            #expect(network.client.isPingedByIPv6())
            try lease.deafen([Self.address])
            #expect(!network.client.isPingedByIPv6(withinMilliseconds: 30))
        }
    }

    @Test func severalAddressesAreHeldAndLetGoTogether() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(holdBoth(for: .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            #expect(network.client.isAnswered() && network.client.isAnsweredByIPv6())
            driver.carryOut(
                .release(
                    role: TestNetwork.role, addresses: [TestNetwork.virtual, TestNetwork.virtualIPv6], epoch: 1,
                    drain: .milliseconds(100)))
            #expect(reports.next() == .released(role: TestNetwork.role, epoch: 1))
            #expect(!network.client.isAnswered(withinMilliseconds: 20))
            #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 20))
            try network.waitUntilAbsent()
            #expect(try network.presentAddress(Self.address) == nil)
            driver.shutDown()
            try network.run("test -z \"$(nft list ruleset)\"")
        }
    }

    @Test func ifOneOfSeveralCannotBeHeldNoneIs() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            try network.run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1")
            let named = VirtualAddress(address: "fd00:77::99", prefixLength: 64, interface: "eth0")
            driver.carryOut(
                TestNetwork.hold(until: BootClock.now() + .seconds(60), TestNetwork.virtual, named))
            guard case .failed(_, 1, let reason) = reports.next() else { throw TestFailure(what: "half held") }
            #expect(reason.contains("IPv6 is disabled on eth0"))
            #expect(reason.contains("sysctl -w net.ipv6.conf.eth0.disable_ipv6=0"))
            #expect(try network.presentAddress() == nil)
            #expect(!network.client.isAnswered(withinMilliseconds: 30))
            driver.shutDown()
        }
    }

    @Test func whatAKilledProcessLeftIsRemovedAtTheNextStart() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let killed = try network.driver(reports)
            killed.carryOut(holdBoth(for: .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            killed.abandon()
            let next = try network.driver(reports)
            #expect(try network.presentAddress(Self.address) == nil)
            #expect(!network.client.isAnsweredByIPv6(withinMilliseconds: 50))
            #expect(try LeaseGuard().watched().isEmpty)
            next.shutDown()
        }
    }

    /// One forged packet must not be able to make a holder give up: RFC 4862 would end an address that is being probed.
    @Test func aClaimBySomebodyElseIsNoticedAndAnsweredAndTakesNothingAway() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let log = CapturedLog()
            let driver = try network.driver(reports, log: log.logger)
            driver.carryOut(hold(for: .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            let end = BootClock.now() + .seconds(60)
            while !log.contains("is also used by"), BootClock.now() < end {
                network.client.claimTheIPv6Address()
                _ = network.client.hearsAdvertisement(withinMilliseconds: 20)
            }
            #expect(log.contains("fd00:77::99 of VirtualIP/test is also used by"))
            guard case .conflict(TestNetwork.role, "fd00:77::99", let machine) = reports.next() else {
                throw TestFailure(what: "the cluster is not told")
            }
            #expect(machine.utf8.count == 17)
            #expect(network.client.isAnsweredByIPv6())
            driver.shutDown()
        }
    }
}
