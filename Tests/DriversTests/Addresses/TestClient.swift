// The other host on the cable: asks by ARP, pings, and hears announcements. It uses raw sockets, so nothing of what it
// learns depends on the neighbour table of its kernel, except for pings.

import CKernel
import Consensus
import Glibc
import Kinds
import Synchronization

@testable import Drivers

final class TestClient: Sendable {
    private static let ownAddress: [UInt8] = [10, 77, 0, 2]
    private static let owner = IPv4Address(number: 0x0a4d_0001)
    private let arp: Int32
    private let icmp: Int32
    let neighbours: Int32
    private let icmpForIPv6: Int32
    let link = Mutex(holdfast_link())
    private let sequence = Atomic<UInt16>(0)

    /// Opens its sockets in the namespace of the calling thread.
    init() throws {
        arp = holdfast_arp_socket()
        icmp = socket(AF_INET, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_ICMP))
        neighbours = holdfast_neighbour_socket()
        icmpForIPv6 = socket(AF_INET6, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_ICMPV6))
        guard arp >= 0, icmp >= 0, neighbours >= 0, icmpForIPv6 >= 0 else { throw TestFailure(what: "no raw sockets") }
    }

    deinit {
        close(arp)
        close(icmp)
        close(neighbours)
        close(icmpForIPv6)
    }

    /// To be called when its interface `c0` is there.
    func plugIn() throws {
        let found = link.withLock { holdfast_link_named(arp, "c0", &$0) }
        guard found == 0, holdfast_arp_watch(arp, [TestNetwork.address.number, Self.owner.number], 2) == 0,
            holdfast_neighbour_watch(neighbours, [0x99], 1) == 0
        else {
            throw TestFailure(what: "the client has no c0")
        }
    }

    /// Waits until the cable carries frames: right after an interface came up it drops some. False after ten seconds.
    func reachesTheOwner() -> Bool { isAnswered(for: Self.owner, withinMilliseconds: 10_000) }

    // What is expected to come is waited for as long as a busy machine may need; what is not, for as long as the test says.

    /// Whether somebody answers "who has the virtual address" within the time. Asks again every 50 ms.
    func isAnswered(for address: IPv4Address = TestNetwork.address, withinMilliseconds limit: Int64 = 20_000) -> Bool {
        forgetWhatWasHeard()
        for start in stride(from: 0, to: limit, by: 50) {
            sendARP(operation: 1, sender: Self.ownAddress, target: address.bytes)
            let isHeard = hears(withinMilliseconds: Swift.min(50, limit - start)) {
                $0[7] == 2 && Array($0[14..<18]) == address.bytes && Array($0[24..<28]) == Self.ownAddress
            }
            if isHeard { return true }
        }
        return false
    }

    /// Whether an announcement of the virtual address is heard within the time.
    func hearsAnnouncement(withinMilliseconds limit: Int64 = 20_000) -> Bool {
        hears(withinMilliseconds: limit) { Array($0[24..<28]) == TestNetwork.address.bytes }
    }

    func forgetWhatWasHeard() {
        var packet = [UInt8](repeating: 0, count: 64)
        var interface: Int32 = 0
        for _ in 0..<1_000 where holdfast_arp_receive(arp, &packet, packet.count, &interface) < 0 { return }
    }

    /// Claims the virtual address for itself, as a machine does that was given the same address by hand.
    func claimTheAddress() {
        sendARP(operation: 1, sender: TestNetwork.address.bytes, target: TestNetwork.address.bytes)
    }

    /// Whether the virtual address answers an ICMP echo request within the time.
    func isPinged(withinMilliseconds limit: Int64 = 20_000) -> Bool {
        let number = sequence.wrappingAdd(1, ordering: .relaxed).newValue
        var packet: [UInt8] = [8, 0, 0, 0, 0x48, 0x46, UInt8(number >> 8), UInt8(number & 0xff)]
        let sum = stride(from: 0, to: 8, by: 2).reduce(UInt32(0)) {
            $0 + UInt32(packet[$1]) << 8 + UInt32(packet[$1 + 1])
        }
        let checksum = ~UInt16(truncatingIfNeeded: (sum & 0xffff) + (sum >> 16))
        packet[2] = UInt8(checksum >> 8)
        packet[3] = UInt8(checksum & 0xff)
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_addr.s_addr = TestNetwork.address.number.bigEndian
        let sent = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(icmp, packet, packet.count, Int32(MSG_DONTWAIT), $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard sent == packet.count else { return false }
        return wait(on: icmp, withinMilliseconds: limit) {
            var answer = [UInt8](repeating: 0, count: 128)
            let length = recv(icmp, &answer, answer.count, Int32(MSG_DONTWAIT))
            return length >= 28 && answer[20] == 0 && Array(answer[24..<28]) == Array(packet[4..<8])
        }
    }

    /// Whether the virtual IPv6 address answers an echo request within the time.
    func isPingedByIPv6(withinMilliseconds limit: Int64 = 20_000) -> Bool {
        let number = sequence.wrappingAdd(1, ordering: .relaxed).newValue
        let packet: [UInt8] = [128, 0, 0, 0, 0x48, 0x46, UInt8(number >> 8), UInt8(number & 0xff)]
        var target = sockaddr_in6()
        target.sin6_family = sa_family_t(AF_INET6)
        withUnsafeMutableBytes(of: &target.sin6_addr) { $0.copyBytes(from: TestNetwork.addressIPv6.bytes) }
        let sent = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    icmpForIPv6, packet, packet.count, Int32(MSG_DONTWAIT), $0,
                    socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard sent == packet.count else { return false }
        return wait(on: icmpForIPv6, withinMilliseconds: limit) {
            var answer = [UInt8](repeating: 0, count: 128)
            let length = recv(icmpForIPv6, &answer, answer.count, Int32(MSG_DONTWAIT))
            return length >= 8 && answer[0] == 129 && Array(answer[4..<8]) == Array(packet[4..<8])
        }
    }

    private func sendARP(operation: UInt8, sender: [UInt8], target: [UInt8]) {
        let (index, hardwareAddress) = link.withLock { link in
            (link.index, withUnsafeBytes(of: link.hardware_address) { Array($0) })
        }
        let packet = [0, 1, 8, 0, 6, 4, 0, operation] + hardwareAddress + sender + [0, 0, 0, 0, 0, 0] + target
        _ = holdfast_arp_broadcast(arp, index, packet, packet.count)
    }

    private func hears(withinMilliseconds limit: Int64, _ isIt: ([UInt8]) -> Bool) -> Bool {
        wait(on: arp, withinMilliseconds: limit) {
            var packet = [UInt8](repeating: 0, count: 64)
            var interface: Int32 = 0
            return holdfast_arp_receive(arp, &packet, packet.count, &interface) >= 28 && isIt(packet)
        }
    }

    /// Reads from the socket until `read` has found what it looks for, or time is up.
    func wait(on descriptor: Int32, withinMilliseconds limit: Int64, _ read: () -> Bool) -> Bool {
        let end = BootClock.now() + .milliseconds(limit)
        while true {
            let left = (end - BootClock.now()).milliseconds
            if left <= 0 { return false }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, Int32(left)) > 0, read() { return true }
        }
    }
}
