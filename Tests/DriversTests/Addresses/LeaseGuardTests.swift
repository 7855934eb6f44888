// The guard by itself: what it lets through, and that a process which is stopped at the worst moment arms nothing.

import Consensus
import Glibc
import Kinds
import Synchronization
import Testing

@testable import Drivers

@Suite(.serialized, .enabled(if: canMakeNetworks, needsNetworks)) struct LeaseGuardTests {
    private static let link = Link(index: Int32(if_nametoindex("eth0")), name: "eth0")

    /// The tables in place, the address on the interface for good, and under guard.
    private static func guardedAddress(
        _ network: TestNetwork, clock: @escaping () -> Instant = BootClock.now
    ) throws -> LeaseGuard {
        try GuardTables.apply(GuardTables.script(guarding: TestNetwork.guarded), attempted: "test")
        try network.run("ip addr add 10.77.0.99/32 dev eth0")
        try network.teachClient()
        return try LeaseGuard(clock: clock)
    }

    /// Arms it; a machine that is held up needs another attempt.
    private static func arm(_ lease: LeaseGuard, until: Instant) throws {
        for _ in 0..<100 where try lease.arm(TestNetwork.guarded, until: until) == .armed { return }
        throw TestFailure(what: "not armed")
    }

    private static func waitUntil(_ instant: Instant, _ network: TestNetwork) {
        while BootClock.now() < instant { _ = network.client.isAnswered(withinMilliseconds: 2) }
    }

    @Test func aGuardedAddressIsSilentUnlessArmed() async throws {
        try await onTestNetwork { network in
            let lease = try Self.guardedAddress(network)
            #expect(!network.client.isAnswered(withinMilliseconds: 30))
            #expect(!network.client.isPinged(withinMilliseconds: 30))
            try Self.arm(lease, until: BootClock.now() + .seconds(60))
            #expect(network.client.isAnswered())
            #expect(network.client.isPinged())
            try lease.silence(TestNetwork.guarded)
            #expect(!network.client.isAnswered(withinMilliseconds: 30))
            #expect(network.client.isPinged())
            try lease.deafen(TestNetwork.guarded)
            #expect(!network.client.isPinged(withinMilliseconds: 30))
        }
    }

    @Test func aRenewalAfterExpiryIsVoidAndAFreshArmingIsNot() async throws {
        try await onTestNetwork { network in
            let lease = try Self.guardedAddress(network)
            for _ in 0..<5 {
                let until = BootClock.now() + .milliseconds(120)
                guard try lease.arm(TestNetwork.guarded, until: until) == .armed else { continue }
                // Expired, but mostly not collected yet: the kernel does that once a second.
                Self.waitUntil(until, network)
                let renewal = try lease.renew(TestNetwork.guarded, until: BootClock.now() + .seconds(60))
                #expect(renewal == .expired || renewal == .heldUp)
                #expect(!network.client.isAnswered(withinMilliseconds: 10))
            }
            try Self.arm(lease, until: BootClock.now() + .seconds(60))
            #expect(network.client.isAnswered())
        }
    }

    @Test func aProcessStoppedBetweenClockAndKernelArmsNothing() async throws {
        try await onTestNetwork { network in
            let isStopped = Mutex(false)
            let lease = try Self.guardedAddress(network) {
                let reading = BootClock.now()
                // Longer than a ticket lives, shorter than the lease: the element would be there to be renewed.
                if isStopped.withLock({ $0 }) { Self.waitUntil(reading + .milliseconds(60), network) }
                return reading
            }
            isStopped.withLock { $0 = true }
            #expect(try lease.arm(TestNetwork.guarded, until: BootClock.now() + .seconds(60)) == .heldUp)
            #expect(!network.client.isAnswered(withinMilliseconds: 10))
            isStopped.withLock { $0 = false }
            try Self.arm(lease, until: BootClock.now() + .seconds(60))
            isStopped.withLock { $0 = true }
            #expect(try lease.renew(TestNetwork.guarded, until: BootClock.now() + .seconds(90)) == .heldUp)
            #expect(network.client.isAnswered())
        }
    }

    @Test func whatIsLeftOfALeaseMustBeWorthArming() async throws {
        try await onTestNetwork { network in
            let lease = try Self.guardedAddress(network)
            #expect(try lease.arm(TestNetwork.guarded, until: BootClock.now() - .seconds(1)) == .tooLate)
            #expect(try lease.arm(TestNetwork.guarded, until: BootClock.now() + LeaseGuard.ticketLife) == .tooLate)
            #expect(!network.client.isAnswered(withinMilliseconds: 10))
        }
    }

    @Test func anArmingReplacesWhatADrainLeft() async throws {
        try await onTestNetwork { network in
            let lease = try Self.guardedAddress(network)
            let until = BootClock.now() + .seconds(60)
            try Self.arm(lease, until: until)
            try lease.silence(TestNetwork.guarded)
            try Self.arm(lease, until: until)
            #expect(network.client.isAnswered())
        }
    }

    @Test func ourOwnAnnouncementsAreUnderGuardToo() async throws {
        try await onTestNetwork { network in
            let lease = try KernelGuard(log: TestNetwork.quiet, interfaces: [])
            let link = Link(index: Int32(if_nametoindex("eth0")), name: "eth0")
            let announcer = try Announcer()
            try lease.watch([PlacedAddress(address: .v4(TestNetwork.address), link: link)], held: [])
            guard lease.guardsAnnouncements(on: link) else { return }
            _ = announcer.announce(.v4(TestNetwork.address), on: link)
            #expect(!network.client.hearsAnnouncement(withinMilliseconds: 50))
            let until = BootClock.now() + .seconds(60)
            guard try lease.arm(TestNetwork.guarded, until: until, held: []) == .done else {
                throw TestFailure(what: "not armed")
            }
            #expect(announcer.announce(.v4(TestNetwork.address), on: link) == 0)
            #expect(network.client.hearsAnnouncement())
        }
    }

    @Test func newTablesLeaveNoGap() async throws {
        try await onTestNetwork { network in
            _ = try Self.guardedAddress(network)
            let isOver = Mutex(false)
            // Asks without pause while the tables are replaced again and again.
            let asking = Task(executorPreference: globalConcurrentExecutor) {
                var answers = 0
                while !isOver.withLock({ $0 }) { answers += network.client.isAnswered(withinMilliseconds: 1) ? 1 : 0 }
                return answers
            }
            for _ in 0..<20 {
                try GuardTables.apply(GuardTables.script(guarding: TestNetwork.guarded), attempted: "test")
            }
            isOver.withLock { $0 = true }
            #expect(await asking.value == 0)
        }
    }
}
