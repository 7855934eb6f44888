// Orders that cannot be carried out, and hosts that cannot carry out any: a clear word each time, never a crash.

import Cluster
import Consensus
import Glibc
import Kinds
import Testing

@testable import Drivers

@Suite(.serialized, .enabled(if: canMakeNetworks, needsNetworks)) struct AddressRefusalTests {
    static let senseless: [(VirtualAddress, String)] = [
        (VirtualAddress(address: "not an address", prefixLength: 24), "is not an IP address"),
        (VirtualAddress(address: "10.77.0.99\0.1", prefixLength: 24), "is not an IP address"),
        (VirtualAddress(address: "fe80::1", prefixLength: 64), "is a link-local address"),
        (VirtualAddress(address: "127.0.0.1", prefixLength: 8), "is a"),
        (VirtualAddress(address: "239.1.1.1", prefixLength: 24), "is a"),
        (VirtualAddress(address: "10.77.0.99", prefixLength: 99), "between 1 and 32"),
        (VirtualAddress(address: "10.77.0.99", prefixLength: -1), "between 1 and 32"),
        (VirtualAddress(address: "10.77.0.99", prefixLength: 24, interface: "eth9"), "interface 'eth9'"),
        (VirtualAddress(address: "10.77.0.99", prefixLength: 24, interface: "a name far too long"), "No such device"),
        (VirtualAddress(address: "10.77.0.99", prefixLength: 24, interface: "lo"), "not an Ethernet interface"),
        (VirtualAddress(address: "10.88.0.99", prefixLength: 24), "no interface of this host has an address in"),
        (VirtualAddress(address: "10.77.0.1", prefixLength: 24), "already on eth0, added by somebody else"),
    ]

    @Test func aSenselessOrderFailsWithAReasonAndAdvice() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            for (address, reason) in Self.senseless {
                driver.carryOut(TestNetwork.hold(until: BootClock.now() + .seconds(60), address))
                guard case .failed(TestNetwork.role, 1, let text) = reports.next() else {
                    Issue.record("\(address) did not fail")
                    continue
                }
                #expect(text.contains(reason))
            }
            // The driver is as good as new, and what others configured is still there.
            driver.carryOut(TestNetwork.hold(until: BootClock.now() + .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            #expect(try InterfaceAddresses().list().contains { $0.address == IPAddress("10.77.0.1") })
            driver.shutDown()
        }
    }

    @Test func anotherRoleTakesOverAnAddressThatIsBeingDrained() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            let end = BootClock.now() + .seconds(60)
            driver.carryOut(TestNetwork.hold(until: end))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            driver.carryOut(
                .release(
                    role: TestNetwork.role, addresses: [TestNetwork.virtual], epoch: 1, drain: .milliseconds(100)))
            #expect(reports.next() == .released(role: TestNetwork.role, epoch: 1))
            let renamed = ResourceKey(kind: "VirtualIP", name: "renamed")
            driver.carryOut(.hold(role: renamed, addresses: [TestNetwork.virtual], epoch: 1, until: end))
            #expect(reports.next() == .holding(role: renamed, epoch: 1))
            #expect(network.client.isAnswered())
            driver.shutDown()
        }
    }

    @Test func anInterfaceThatIsDownAndAnAddressThatIsTakenAreNamed() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(TestNetwork.hold(until: BootClock.now() + .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            let other = ResourceKey(kind: "VirtualIP", name: "other")
            driver.carryOut(
                .hold(role: other, addresses: [TestNetwork.virtual], epoch: 7, until: BootClock.now() + .seconds(60)))
            guard case .failed(other, 7, let taken) = reports.next() else { throw TestFailure(what: "held twice") }
            #expect(taken.contains("VirtualIP/test has the same address"))
            #expect(network.client.isAnswered())
            driver.carryOut(.drop(role: TestNetwork.role, addresses: [TestNetwork.virtual]))
            try network.run("ip link set eth0 down")
            driver.carryOut(TestNetwork.hold(epoch: 2, until: BootClock.now() + .seconds(60)))
            guard case .failed(_, 2, let down) = reports.next() else {
                throw TestFailure(what: "held on a dead interface")
            }
            #expect(down.contains("interface eth0 is down"))
            driver.shutDown()
        }
    }

    @Test func withoutTheGuardShortLeasesAreRefusedAndLongOnesKept() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports, usesKernelGuard: false)
            #expect(!driver.guardIsEnforced)
            driver.carryOut(TestNetwork.hold(until: BootClock.now() + .seconds(3)))
            guard case .failed(_, 1, let text) = reports.next() else { throw TestFailure(what: "held without a guard") }
            #expect(text.contains("apt install nftables"))
            driver.carryOut(TestNetwork.hold(until: BootClock.now() + .seconds(60)))
            #expect(reports.next() == .holding(role: TestNetwork.role, epoch: 1))
            #expect(network.client.isAnswered())
            // Only an address that is gone is silent without the guard: there is no drain.
            driver.carryOut(
                .release(role: TestNetwork.role, addresses: [TestNetwork.virtual], epoch: 1, drain: .milliseconds(100)))
            #expect(reports.next() == .released(role: TestNetwork.role, epoch: 1))
            #expect(!network.client.isAnswered(withinMilliseconds: 50))
            driver.shutDown()
        }
    }

    @Test(.enabled(if: getuid() == 0)) func aMissingCapabilityIsNamed() async {
        // In a process of its own, because giving up root is for good.
        await #expect(processExitsWith: .success) {
            let directory = "/tmp/holdfast-addresses-\(getpid())"
            mkdir(directory, 0o777)
            chmod(directory, 0o777)
            defer { rmdir(directory) }
            guard setuid(65_534) == 0 else { return }
            let refusal = #expect(throws: AddressDriverError.self) {
                try AddressDriver(log: TestNetwork.quiet, stateDirectory: directory) { _ in }
            }
            #expect(refusal?.cause == .notPermitted)
            #expect(refusal?.description.contains("CAP_NET_RAW") == true)
            unlink(directory + "/addresses.lock")
            let inKernel = #expect(throws: AddressDriverError.self) { try LeaseGuard().watch(TestNetwork.guarded) }
            let byProgram = #expect(throws: AddressDriverError.self) {
                try GuardTables.apply(GuardTables.script(guarding: []), attempted: "set up the guard")
            }
            for refusal in [inKernel, byProgram] {
                #expect(refusal?.cause == .notPermitted)
                #expect(refusal?.description.contains("CAP_NET_ADMIN") == true)
            }
        }
    }
}
