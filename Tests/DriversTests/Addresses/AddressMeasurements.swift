// Measures the address driver on this kernel; the table in its DESIGN.md was made by this. Not part of a test run:
// HOLDFAST_MEASURE=1 swift test --filter AddressMeasurements

import Consensus
import Foundation
import Glibc
import Kinds
import Synchronization
import Testing

@testable import Drivers

@Suite(
    .serialized, .enabled(if: canMakeNetworks, needsNetworks),
    .enabled(if: ProcessInfo.processInfo.environment["HOLDFAST_MEASURE"] == "1", "set HOLDFAST_MEASURE=1 to measure"))
struct AddressMeasurements {
    private static let runs = 200

    private func line(_ name: String, _ samples: [Interval], unit: Int64, _ unitName: String) -> String {
        let sorted = samples.map { Double($0.nanoseconds) / Double(unit) }.sorted()
        func at(_ share: Double) -> String { String(format: "%.2f", sorted[Int(share * Double(sorted.count - 1))]) }
        return "| \(name) | \(sorted.count) | \(at(0)) | \(at(0.5)) | \(at(0.99)) | \(at(1)) | \(unitName) |"
    }

    private func timed(_ body: () throws -> Void) rethrows -> Interval {
        let start = BootClock.now()
        try body()
        return BootClock.now() - start
    }

    @Test func kernelCalls() async throws {
        try await onTestNetwork { network in
            let link = Link(index: Int32(if_nametoindex("eth0")), name: "eth0")
            let lease = try KernelGuard(log: TestNetwork.quiet, interfaces: [link])
            let addresses = try InterfaceAddresses()
            let announcer = try Announcer()
            var arm: [Interval] = []
            var renew: [Interval] = []
            var silence: [Interval] = []
            var put: [Interval] = []
            var announce: [Interval] = []
            try lease.watch([PlacedAddress(address: .v4(TestNetwork.address), link: link)], held: [])
            for _ in 0..<Self.runs {
                let until = BootClock.now() + .seconds(10)
                arm.append(
                    try timed { _ = try lease.arm(TestNetwork.guarded, until: until, held: []) })
                renew.append(try timed { _ = try lease.renew(TestNetwork.guarded, until: until) })
                put.append(
                    try timed { _ = try addresses.put(.v4(TestNetwork.address), on: link.index, lifetimeSeconds: 3) })
                announce.append(timed { _ = announcer.announce(.v4(TestNetwork.address), on: link) })
                silence.append(try timed { try lease.silence(TestNetwork.guarded) })
                try lease.disarm(TestNetwork.guarded)
            }
            print(line("arm a silent address", arm, unit: 1_000, "µs"))
            print(line("renew", renew, unit: 1_000, "µs"))
            print(line("add or refresh the address (rtnetlink)", put, unit: 1_000, "µs"))
            print(line("announce (two frames)", announce, unit: 1_000, "µs"))
            print(line("fall silent", silence, unit: 1_000, "µs"))
        }
    }

    @Test func ordersToReports() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            var hold: [Interval] = []
            var release: [Interval] = []
            for epoch in UInt64(1)...UInt64(Self.runs) {
                hold.append(
                    timed {
                        driver.carryOut(TestNetwork.hold(epoch: epoch, until: BootClock.now() + .seconds(10)))
                        #expect(reports.next() == .holding(role: TestNetwork.role, epoch: epoch))
                    })
                release.append(
                    timed {
                        driver.carryOut(
                            .release(
                                role: TestNetwork.role, addresses: [TestNetwork.virtual], epoch: epoch,
                                drain: .milliseconds(1)))
                        #expect(reports.next() == .released(role: TestNetwork.role, epoch: epoch))
                    })
                try network.waitUntilAbsent()
            }
            driver.shutDown()
            print(line("order `hold` to report `holding`", hold, unit: 1_000, "µs"))
            print(line("order `release` to report `released`", release, unit: 1_000, "µs"))
        }
    }

    /// Packets that meet a renewal just as it happens: are any lost?
    @Test func packetsDuringRenewals() async throws {
        try await onTestNetwork { network in
            let link = Link(index: Int32(if_nametoindex("eth0")), name: "eth0")
            let lease = try KernelGuard(log: TestNetwork.quiet, interfaces: [link])
            try lease.watch([PlacedAddress(address: .v4(TestNetwork.address), link: link)], held: [])
            _ = try InterfaceAddresses().put(.v4(TestNetwork.address), on: link.index, lifetimeSeconds: 3_600)
            let until = BootClock.now() + .seconds(600)
            _ = try lease.arm(TestNetwork.guarded, until: until, held: [])
            let asking = Task(executorPreference: globalConcurrentExecutor) {
                (0..<20_000).count { _ in !network.client.isPinged(withinMilliseconds: 200) }
            }
            let isOver = Mutex(false)
            let waiting = Task(executorPreference: globalConcurrentExecutor) {
                let lost = await asking.value
                isOver.withLock { $0 = true }
                return lost
            }
            var renewals = 0
            while !isOver.withLock({ $0 }) {
                if try lease.renew(TestNetwork.guarded, until: until) == .done { renewals += 1 }
            }
            print("20000 echo requests during \(renewals) renewals: \(await waiting.value) lost")
        }
    }

    /// Nobody acts after the last order: how long before `until` was the last question that got an answer asked, and the
    /// first that got none.
    @Test func silenceAtLeaseEnd() async throws {
        for lease in [Interval.milliseconds(300), .milliseconds(1_000)] {
            try await onTestNetwork { network in
                var early: [Interval] = []
                var answeredAfter = 0
                for _ in 0..<40 {
                    let reports = try Reports()
                    let driver = try network.driver(reports)
                    let until = BootClock.now() + lease
                    driver.carryOut(TestNetwork.hold(until: until))
                    _ = reports.next()
                    driver.abandon()
                    var lastAnswered = BootClock.now()
                    while BootClock.now() < until + .milliseconds(20) {
                        let asked = BootClock.now()
                        guard network.client.isAnswered(withinMilliseconds: 3) else { continue }
                        lastAnswered = asked
                        if asked >= until { answeredAfter += 1 }
                    }
                    early.append(until - lastAnswered)
                }
                print(line("silent before `until`, lease \(lease.milliseconds) ms", early, unit: 1_000_000, "ms"))
                print("answers to questions asked at or after `until`: \(answeredAfter)")
            }
        }
    }
}
