// Bytes of neighbour discovery as the wire carries them.

import Testing

@testable import holdfast_lab

@Suite struct NeighbourFramesTests {
    private let hardware: [UInt8] = [2, 2, 192, 168, 1, 254]

    private func bytes(_ text: String) throws -> [UInt8] { try #require(NeighbourFrames.address(text)) }

    /// The frame that Linux sends for the same question.
    @Test func aSolicitationGoesToTheGroupOfItsTarget() throws {
        let frame = NeighbourFrames.solicitation(
            try bytes("fd00:192:168:1::99"), sender: try bytes("fd00:192:168:1::254"), hardware: hardware)
        #expect(Array(frame[0..<6]) == [0x33, 0x33, 0xff, 0, 0, 0x99])
        #expect(Array(frame[38..<54]) == (try bytes("ff02::1:ff00:99")))
        #expect(frame.count == 14 + 40 + 32)
        let ending: [UInt8] = [0, 0, 0, 32, 0, 0, 0, 58]
        let covered = Array(frame[22..<54]) + ending + Array(frame[54...])
        #expect(Frames.checksum(covered) == 0)
    }

    @Test func onlyAnAnswerToTheAskerCounts() throws {
        let (target, asker) = (try bytes("fd00:192:168:1::99"), try bytes("fd00:192:168:1::254"))
        func advertisement(_ flags: UInt8, to receiver: [UInt8]) -> [UInt8] {
            let owner: [UInt8] = [2, 0, 192, 168, 1, 111]
            let header: [UInt8] = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]
            let message: [UInt8] = [136, 0, 0, 0, flags, 0, 0, 0]
            let option: [UInt8] = [2, 1]
            let frame = [hardware, owner, header, target, receiver, message, target, option, owner]
            return Array(frame.joined())
        }
        #expect(NeighbourFrames.answer(advertisement(0x60, to: asker), about: target, to: asker) == "02:00:c0:a8:01:6f")
        #expect(NeighbourFrames.answer(advertisement(0x20, to: asker), about: target, to: asker) == nil)
        #expect(NeighbourFrames.answer(advertisement(0x60, to: target), about: target, to: asker) == nil)
        #expect(NeighbourFrames.answer(advertisement(0x60, to: asker).dropLast(30), about: target, to: asker) == nil)
        #expect(NeighbourFrames.answer([], about: target, to: asker) == nil)
    }

    @Test func anEchoReplyGivesBackItsNumberInFull() {
        var message = Frames.echoRequest(identifier: 4711, number: 70_000, isIPv6: true)
        #expect(Frames.echoReplyIPv6(message, identifier: 4711) == nil)
        message[0] = 129
        #expect(Frames.echoReplyIPv6(message, identifier: 4711) == 70_000)
        #expect(Frames.echoReplyIPv6(message, identifier: 4712) == nil)
        #expect(Frames.echoReplyIPv6(message.dropLast(), identifier: 4711) == nil)
    }

    @Test func aQuestionIsAskedInTheProtocolOfItsAddress() throws {
        #expect(try #require(OwnerQuestion(about: "192.168.1.99")).isIPv6 == false)
        #expect(try #require(OwnerQuestion(about: "fd00::99")).isIPv6)
        #expect(OwnerQuestion(about: "fd00::99/64") == nil && OwnerQuestion(about: "dns") == nil)
    }
}
