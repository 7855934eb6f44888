// The bytes of a neighbour solicitation and advertisement (RFC 4861 sections 4.3 and 4.4) in Ethernet frames: IPv6's
// who-has, made and read. And the question of who owns an address, in whichever protocol it has to be asked.

import Glibc

/// Bytes on the wire.
enum NeighbourFrames {
    /// A multicast to the solicited-node group of `target` that asks for it and says where the asker is.
    static func solicitation(_ target: [UInt8], sender: [UInt8], hardware: [UInt8]) -> [UInt8] {
        var group: [UInt8] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]
        group += Array(target.suffix(3))
        var message: [UInt8] = [135, 0, 0, 0, 0, 0, 0, 0]
        message += target
        message += [1, 1]
        message += hardware
        let length = Frames.bigEndian(UInt16(message.count))
        var covered: [UInt8] = sender + group
        covered += [0, 0] + length
        covered += [0, 0, 0, 58]
        message.replaceSubrange(2..<4, with: Frames.bigEndian(Frames.checksum(covered + message)))
        var frame: [UInt8] = [0x33, 0x33] + Array(group.suffix(4))
        frame += hardware
        frame += [0x86, 0xdd, 0x60, 0, 0, 0] + length
        frame += [58, 255]
        return frame + sender + group + message
    }

    /// Who answers that it has `target`, to a question of `asker`. Announcements answer nobody and are none.
    static func answer(_ frame: some Collection<UInt8>, about target: [UInt8], to asker: [UInt8]) -> String? {
        let bytes = Array(frame)
        // Ethernet 14, IPv6 40, the advertisement 24; the flag says that it was asked for.
        guard bytes.count >= 78, bytes[12] == 0x86, bytes[13] == 0xdd, bytes[20] == 58, Array(bytes[38..<54]) == asker,
            bytes[54] == 136, bytes[58] & 0x40 != 0, Array(bytes[62..<78]) == target
        else { return nil }
        return bytes[6..<12].map(hexadecimal).joined(separator: ":")
    }

    /// The sixteen bytes of an IPv6 address in text; nil when it is none.
    static func address(_ text: String) -> [UInt8]? {
        var address = in6_addr()
        guard !text.utf8.contains(0), inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        return withUnsafeBytes(of: address) { Array($0) }
    }
}

/// The question who owns an address, and its answers.
struct OwnerQuestion {
    /// Four bytes or sixteen.
    let target: [UInt8]
    private let asker: [UInt8]

    init?(about address: String) {
        if let target = Frames.address(address), let asker = Frames.address(Topology.observerAddress) {
            (self.target, self.asker) = (target, asker)
        } else if let target = NeighbourFrames.address(address),
            let asker = NeighbourFrames.address(Topology.observerAddressIPv6)
        {
            (self.target, self.asker) = (target, asker)
        } else {
            return nil
        }
    }

    var isIPv6: Bool { target.count == 16 }
    /// The Ethernet type of question and answer.
    var type: UInt16 { isIPv6 ? 0x86dd : 0x0806 }

    func frame(hardware: [UInt8]) -> [UInt8] {
        isIPv6
            ? NeighbourFrames.solicitation(target, sender: asker, hardware: hardware)
            : Frames.whoHas(target, sender: asker, hardware: hardware)
    }

    /// The hardware address of who answers.
    func owner(in frame: some Collection<UInt8>) -> String? {
        isIPv6
            ? NeighbourFrames.answer(frame, about: target, to: asker)
            : Frames.answer(frame, about: target, to: asker)
    }
}
