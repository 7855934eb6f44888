// Frames on a connection: batches, pieces, and what ends it.

import Agent
import Consensus
import NIOCore
import NIOEmbedded
import Testing

@testable import Runtime

struct WireBatchesTests {
    private func channel() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(handler: PeerFrameBatches())
        try channel.connect(to: try SocketAddress(unixDomainSocketPath: "/nowhere")).wait()
        return channel
    }

    private func bytes(_ frames: [PeerFrame]) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        for frame in frames { try WireCodec.encode(frame, into: &buffer) }
        return buffer
    }

    @Test func allFramesOfOneReadAreOneBatch() throws {
        let channel = try channel()
        try channel.writeInbound(try bytes(exampleFrames))
        #expect(try channel.readInbound(as: [PeerFrame].self) == exampleFrames)
        #expect(try channel.readInbound(as: [PeerFrame].self) == nil)
    }

    @Test func framesMayArriveByteByByte() throws {
        let channel = try channel()
        var buffer = try bytes(exampleFrames)
        var found: [PeerFrame] = []
        while let byte = buffer.readSlice(length: 1) {
            try channel.writeInbound(byte)
            found += try channel.readInbound(as: [PeerFrame].self) ?? []
        }
        #expect(found == exampleFrames)
    }

    @Test func aWrittenBatchReadsBackOnTheOtherSide() throws {
        let (sender, receiver) = (try channel(), try channel())
        try sender.writeOutbound(exampleFrames)
        while let buffer = try sender.readOutbound(as: ByteBuffer.self) { try receiver.writeInbound(buffer) }
        #expect(try receiver.readInbound(as: [PeerFrame].self) == exampleFrames)
    }

    @Test func aLargeBatchLeavesInSeveralBuffers() throws {
        let (sender, receiver) = (try channel(), try channel())
        let frames = (0..<8).map { frame(.proposal(id: $0, record: [UInt8](repeating: 1, count: 100_000))) }
        try sender.writeOutbound(frames)
        var (buffers, found) = (0, [PeerFrame]())
        while let buffer = try sender.readOutbound(as: ByteBuffer.self) {
            buffers += 1
            try receiver.writeInbound(buffer)
            found += try receiver.readInbound(as: [PeerFrame].self) ?? []
        }
        #expect(buffers == 3)
        #expect(found == frames)
    }

    @Test func aLongReadIsDeliveredInBoundedBatches() throws {
        let channel = try channel()
        let frames = (0..<2_500).map { frame(.readIndex(id: $0)) }
        try channel.writeInbound(try bytes(frames))
        var found: [[PeerFrame]] = []
        while let batch = try channel.readInbound(as: [PeerFrame].self) { found.append(batch) }
        #expect(found.map(\.count) == [1_024, 1_024, 452])
        #expect(found.flatMap { $0 } == frames)
    }

    @Test func aBadFrameClosesTheConnectionAfterTheGoodOnesBeforeIt() throws {
        let channel = try channel()
        var buffer = try bytes([exampleFrames[0]])
        buffer.writeInteger(UInt32(3))
        buffer.writeBytes([0xFF, 0xFF, 0xFF])
        buffer.writeImmutableBuffer(try bytes([exampleFrames[1]]))
        #expect(throws: WireError.self) { try channel.writeInbound(buffer) }
        #expect(try channel.readInbound(as: [PeerFrame].self) == [exampleFrames[0]])
        #expect(try channel.readInbound(as: [PeerFrame].self) == nil)
        #expect(!channel.isActive)
    }

    /// A member of an older version meets a message kind that came later. The connection must live on for all the others.
    @Test func aFrameOfAKindThatCameLaterIsPassedOver() throws {
        let channel = try channel()
        var unknown = WirePeerFrame()
        (unknown.cluster, unknown.from, unknown.to) = (0xC1, 2, 1)
        let later: [UInt8] = [0xA2, 0x06, 0x01, 0x00]  // field 100, one byte
        unknown.consensus = try WireConsensus(serializedBytes: [0x08, 0x04] + later)
        var buffer = try bytes([exampleFrames[0]])
        for frame in [try unknown.serializedBytes() as [UInt8]] {
            buffer.writeInteger(UInt32(frame.count))
            buffer.writeBytes(frame)
        }
        buffer.writeImmutableBuffer(try bytes([exampleFrames[1]]))
        try channel.writeInbound(buffer)
        var found: [PeerFrame] = []
        while let batch = try channel.readInbound(as: [PeerFrame].self) { found += batch }
        #expect(found == [exampleFrames[0], exampleFrames[1]])
        #expect(channel.isActive)
    }

    @Test func aLengthBeyondTheBoundClosesTheConnectionAtOnce() throws {
        let channel = try channel()
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(WireCodec.longestFrame + 1))
        #expect(throws: WireError.tooLong(bytes: WireCodec.longestFrame + 1)) { try channel.writeInbound(buffer) }
        #expect(!channel.isActive)
    }

    @Test func aFrameTooLargeToSendIsReportedToItsSender() throws {
        let channel = try channel()
        let large = frame(.proposal(id: 1, record: [UInt8](repeating: 0, count: WireCodec.longestFrame)))
        #expect(throws: WireError.self) { try channel.writeOutbound([exampleFrames[0], large]) }
        var sent = try #require(try channel.readOutbound(as: ByteBuffer.self))
        guard case .frame(exampleFrames[0]) = try WireCodec.next(from: &sent) else {
            Issue.record("the frame before it was not sent")
            return
        }
        #expect(sent.readableBytes == 0)
    }
}
