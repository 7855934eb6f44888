// The client's part in neighbour discovery: it asks for the virtual IPv6 address, and hears what is said about it.

import CKernel
import Glibc
import Kinds

@testable import Drivers

extension TestClient {
    private static let ownAddress = IPv6Address(high: 0xfd00_0077 << 32, low: 2)
    private static let group = IPv6Address(high: 0xff02 << 48, low: 0x1_ff00_0099)
    private static let allNodes = IPv6Address(high: 0xff02 << 48, low: 1)

    /// Whether somebody answers a neighbour solicitation for the virtual address within the time. Asks every 50 ms.
    func isAnsweredByIPv6(withinMilliseconds limit: Int64 = 20_000) -> Bool {
        _ = heard { _ in false }
        for start in stride(from: 0, to: limit, by: 50) {
            let question = [135, 0, 0, 0, 0, 0, 0, 0] + TestNetwork.addressIPv6.bytes + [1, 1] + hardwareAddress
            send(question, from: Self.ownAddress, to: Self.group)
            let isHeard = wait(on: neighbours, withinMilliseconds: Swift.min(50, limit - start)) {
                heard { $0[0] == 136 && $0[4] & 0x40 != 0 }
            }
            if isHeard { return true }
        }
        return false
    }

    /// Whether an unsolicited advertisement with the override flag is heard within the time.
    func hearsAdvertisement(withinMilliseconds limit: Int64 = 20_000) -> Bool {
        wait(on: neighbours, withinMilliseconds: limit) { heard { $0[0] == 136 && $0[4] == 0x20 } }
    }

    /// Claims the virtual address for itself.
    func claimTheIPv6Address() {
        send(
            [136, 0, 0, 0, 0x20, 0, 0, 0] + TestNetwork.addressIPv6.bytes + [2, 1] + hardwareAddress,
            from: Self.ownAddress, to: Self.allNodes)
    }

    private var hardwareAddress: [UInt8] { link.withLock { withUnsafeBytes(of: $0.hardware_address) { Array($0) } } }

    private func send(_ message: [UInt8], from source: IPv6Address, to destination: IPv6Address) {
        let index = link.withLock { $0.index }
        _ = holdfast_neighbour_send(neighbours, index, source.bytes, destination.bytes, message, message.count)
    }

    /// Reads all that is there; whether one message about the virtual address is what is looked for.
    private func heard(_ isIt: ([UInt8]) -> Bool) -> Bool {
        var message = [UInt8](repeating: 0, count: 128)
        var source = [UInt8](repeating: 0, count: 16)
        var interface: Int32 = 0
        for _ in 0..<1_000 {
            let length = holdfast_neighbour_receive(neighbours, &message, message.count, &source, &interface)
            if length < 0 { return false }
            if length >= 24, Array(message[8..<24]) == TestNetwork.addressIPv6.bytes, isIt(message) { return true }
        }
        return false
    }
}
