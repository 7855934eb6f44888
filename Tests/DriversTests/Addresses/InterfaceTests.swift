// Interfaces that are missing, go away, come back, or are a VLAN's.

import Cluster
import Consensus
import Glibc
import Kinds
import Testing

@testable import Drivers

@Suite(.serialized, .enabled(if: canMakeNetworks, needsNetworks)) struct InterfaceTests {
    private static let role = TestNetwork.role
    private static let tagged = VirtualAddress(address: "10.88.0.99", prefixLength: 24, interface: "eth0.20")
    private static let made: VirtualAddress = {
        var address = tagged
        address.createdVLAN = VirtualAddress.VLAN(parent: "eth0", number: 20)
        return address
    }()

    /// An interface that is called like a VLAN's, on kernels that know no VLANs too.
    private static let makeIt = "ip link add eth0.20 type veth peer name p20 && ip link set p20 up"

    /// A carrier is there a moment after an interface is up.
    private static let raise = """
        ip link set eth0.20 up
        for each in $(seq 1500); do ip -o link show eth0.20 | grep -q LOWER_UP && break; sleep 0.02; done
        """

    private func hold(epoch: UInt64 = 1, _ addresses: VirtualAddress...) -> AddressOrder {
        .hold(role: Self.role, addresses: addresses, epoch: epoch, until: BootClock.now() + .seconds(60))
    }

    /// The next report must be that the place has a problem; its words.
    private func problem(_ reports: Reports) throws -> String {
        let report = reports.next()
        guard case .place(Self.role, let problem?) = report else {
            throw TestFailure(what: "no problem was told, but \(report.map { "\($0)" } ?? "nothing")")
        }
        return problem
    }

    @Test func aMissingVLANIsNamedWithTheCommandAndNoticedWhenItIsThere() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.standReady(for: [Self.role: [Self.tagged]])
            let words = try problem(reports)
            #expect(words.contains("ip link add link eth0 name eth0.20 type vlan id 20 && ip link set eth0.20 up"))
            driver.carryOut(hold(Self.tagged))
            guard case .failed(_, 1, let reason) = reports.next() else { throw TestFailure(what: "held nowhere") }
            #expect(reason == words)
            try network.run(Self.makeIt + " && ip link set eth0.20 up")
            #expect(reports.next() == .place(role: Self.role, problem: nil))
            driver.carryOut(hold(Self.tagged))
            #expect(reports.next() == .holding(role: Self.role, epoch: 1))
            let name = "eth0.20"
            #expect(driver.interfaces.map(\.name) == [name])
            #expect(driver.interfaces.first?.lacksNetwork == true)
            driver.shutDown()
        }
    }

    @Test func aVLANIsMadeWhereTheManifestSaysSo() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            driver.carryOut(hold(Self.made))
            guard (try? network.run("ip link add link eth0 name try.21 type vlan id 21")) != nil else {
                // This kernel has no VLANs, and the words say what to try.
                guard case .failed(_, 1, let reason) = reports.next() else { throw TestFailure(what: "no VLANs") }
                #expect(reason.contains("ip link add link eth0 name eth0.20 type vlan id 20` (modprobe 8021q)"))
                return driver.shutDown()
            }
            #expect(reports.next() == .holding(role: Self.role, epoch: 1))
            try network.run("ip -d link show eth0.20 | grep -q 'vlan protocol 802.1Q id 20'")
            try network.run("ip addr show eth0.20 | grep -q 10.88.0.99/32")
            driver.shutDown()
            // Others may use it by now.
            try network.run("ip link show eth0.20")
        }
    }

    @Test func anInterfaceThatGoesDownIsToldAndAnnouncedOnWhenItIsBack() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            let group = [
                VirtualAddress(address: "10.77.0.99", prefixLength: 24, interface: "eth0"),
                VirtualAddress(address: "fd00:77::99", prefixLength: 64, interface: "eth0"),
            ]
            driver.standReady(for: [Self.role: group])
            driver.carryOut(hold(group[0], group[1]))
            #expect(reports.next() == .holding(role: Self.role, epoch: 1))
            #expect(network.client.isAnsweredByIPv6())
            try network.run("ip link set eth0 down")
            #expect(try problem(reports).contains("eth0"))
            try network.run("ip link set eth0 up")
            network.client.forgetWhatWasHeard()
            #expect(reports.next() == .place(role: Self.role, problem: nil))
            // The kernel took the IPv6 address away with the interface.
            #expect(network.client.hearsAnnouncement())
            #expect(network.client.isAnsweredByIPv6())
            #expect(network.client.isAnswered())
            driver.shutDown()
        }
    }

    @Test func anInterfaceThatIsRenamedOrRemovedTakesItsAddressesAlong() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            try network.run(Self.makeIt + "\n" + Self.raise)
            driver.standReady(for: [Self.role: [Self.tagged]])
            driver.carryOut(hold(Self.tagged))
            #expect(reports.next() == .holding(role: Self.role, epoch: 1))
            try network.run("ip link set eth0.20 down && ip link set eth0.20 name other && ip link set other up")
            // It may be seen down, without a carrier, or up again, before it is seen that it is not there.
            var words = ""
            while !words.contains("interface 'eth0.20'") {
                let report = reports.next()
                guard case .place(Self.role, let problem) = report else {
                    throw TestFailure(what: "told was \(report.map { "\($0)" } ?? "nothing") after: \(words)")
                }
                words = problem ?? "it is as it should be"
            }
            try network.run("test -z \"$(ip addr show other | grep 10.88.0.99)\"")
            driver.carryOut(hold(Self.tagged))
            guard case .failed = reports.next() else { throw TestFailure(what: "held on a renamed interface") }
            try network.run("ip link del other && " + Self.makeIt)
            try network.run(Self.raise)
            // It may be seen before it is up, and before it has a carrier.
            var next = reports.next()
            while case .place(_, .some) = next { next = reports.next() }
            #expect(next == .place(role: Self.role, problem: nil))
            driver.carryOut(hold(Self.tagged))
            #expect(reports.next() == .holding(role: Self.role, epoch: 1))
            driver.shutDown()
        }
    }

    @Test func anInterfaceWithoutACarrierIsTold() async throws {
        try await onTestNetwork { network in
            let reports = try Reports()
            let driver = try network.driver(reports)
            try network.run("ip link add br9 type veth peer name p9 && ip link set br9 up")
            let lonely = VirtualAddress(address: "10.99.0.9", prefixLength: 24, interface: "br9")
            driver.standReady(for: [Self.role: [lonely]])
            #expect(try problem(reports).contains("br9 has no carrier"))
            // It may be held there all the same: programs of this host reach it.
            driver.carryOut(hold(lonely))
            #expect(reports.next() == .holding(role: Self.role, epoch: 1))
            driver.shutDown()
        }
    }
}
