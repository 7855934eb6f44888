// Bytes of echo and ARP as the wire carries them.

import Testing

@testable import holdfast_lab

@Suite struct FramesTests {
    private let target: [UInt8] = [192, 168, 1, 99]
    private let asker: [UInt8] = [192, 168, 1, 254]

    @Test func theChecksumOfAWholeMessageIsZero() {
        #expect(Frames.checksum(Frames.echoRequest(identifier: 4711, number: 70_000)) == 0)
    }

    @Test func anEchoReplyGivesBackItsNumberInFull() {
        var packet: [UInt8] = [0x45] + [UInt8](repeating: 0, count: 11) + target + [10, 0, 0, 1]
        packet += Frames.echoRequest(identifier: 4711, number: 70_000)
        packet[20] = 0
        #expect(Frames.echoReply(packet, identifier: 4711, from: target) == 70_000)
        #expect(Frames.echoReply(packet, identifier: 4712, from: target) == nil)
        #expect(Frames.echoReply(packet, identifier: 4711, from: asker) == nil)
        #expect(Frames.echoReply(packet.dropLast(), identifier: 4711, from: target) == nil)
        #expect(Frames.echoReply([], identifier: 4711, from: target) == nil)
    }

    @Test func onlyAnAnswerToTheAskerCounts() {
        let hardware: [UInt8] = [2, 0, 192, 168, 1, 111]
        var answer = Frames.whoHas(asker, sender: target, hardware: hardware)
        answer[21] = 2
        #expect(Frames.answer(answer, about: target, to: asker) == "02:00:c0:a8:01:6f")
        var announcement = Frames.whoHas(target, sender: target, hardware: hardware)
        announcement[21] = 2
        #expect(Frames.answer(announcement, about: target, to: asker) == nil)
        #expect(
            Frames.answer(Frames.whoHas(target, sender: asker, hardware: hardware), about: target, to: asker) == nil)
    }

    @Test(arguments: ["192.168.1", "192.168.1.256", "192.168..1", "a.b.c.d", "192.168.1.1.1", ""])
    func whatIsNoAddressIsRefused(_ text: String) { #expect(Frames.address(text) == nil) }
}
