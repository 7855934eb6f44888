// Parts of snapshots on a connection of their own.

import Agent
import Cluster
import Consensus
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct PeersStreamTests {
    let cluster: TestCluster
    let other: MemberIdentity

    init() throws {
        cluster = try TestCluster()
        other = try cluster.member("pve2")
    }

    /// The first is connected to the second.
    private func pair(bulkIdle: TimeAmount = PeerStream.bulkIdle) async throws -> (TestPeer, TestPeer) {
        let first = try await TestPeer(cluster.founder, admits: [other], bulkIdle: bulkIdle)
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([second.record])
        _ = try await second.log.line("a member connected", "messages")
        return (first, second)
    }

    @Test func partsOfASnapshotTakeAConnectionOfTheirOwn() async throws {
        let (first, second) = try await pair()
        #expect(try await second.acceptedStreams() == [.messages])
        let parts = (0..<3).map { first.part(to: other, offset: $0 << 16) }
        for part in parts {
            try await first.send([part])
            _ = try await second.frames.first { $0 == part }
        }
        #expect(second.frames.items == parts)
        #expect(Set(try await second.acceptedStreams()) == [.messages, .bulk])
        let frame = first.frame(to: other, 1)
        try await first.send([frame])
        _ = try await second.frames.first { $0 == frame }
        #expect(try await second.acceptedStreams().count == 2, "neither replaces the other")
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func withoutASnapshotTheConnectionForItEnds() async throws {
        let (first, second) = try await pair(bulkIdle: .milliseconds(50))
        for offset in [0, 1 << 16] {
            // What is sent before the connection stands is lost when it is closed for want of more; the consensus repeats it.
            let part = first.part(to: other, offset: offset, bytes: 16)
            repeat { try await first.send([part]) } while !second.frames.items.contains(part)
            let closing = try await second.transport.onLoop { peer in
                peer.acceptedConnections.filter { $0.stream == .bulk }.compactMap { $0.channel?.closeFuture }
            }
            for closed in closing { try await closed.get() }
            #expect(try await second.acceptedStreams() == [.messages])
        }
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aMemberThatIsRemovedLosesBoth() async throws {
        let (first, second) = try await pair()
        let part = first.part(to: other, offset: 0)
        try await first.send([part])
        _ = try await second.frames.first { $0 == part }
        second.allowed.remove(cluster.founder.member)
        let closing = try await second.transport.onLoop {
            $0.acceptedConnections.compactMap { $0.channel?.closeFuture }
        }
        #expect(closing.count == 2)
        try await second.setPeers([])
        for closed in closing { try await closed.get() }
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    /// A version from before there were two streams agrees on no protocol, and takes the second connection of a member for
    /// the successor of the first.
    @Test func anOlderMemberGetsItsSnapshotWithEverythingElse() async throws {
        let older = try await OlderPeer(other)
        let first = try await TestPeer(cluster.founder, admits: [other])
        try await first.setPeers([older.record])
        _ = try await first.log.line("connected to a member", "pve2")
        try await first.send([first.part(to: other, offset: 0)])
        _ = try await first.log.line("no connection for snapshots to a member", "older")
        // The consensus repeats what was lost.
        let again = first.part(to: other, offset: 1 << 16)
        try await first.send([again])
        _ = try await older.frames.first { $0 == again }
        await first.transport.shutDown()
        try await older.listener.close().get()
    }
}

/// What a member accepts that knows of no streams.
private final class OlderPeer: Sendable {
    let record: MemberRecord
    let frames = Ledger<PeerFrame>()
    let listener: any Channel

    init(_ identity: MemberIdentity) async throws {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try identity.certificateChain(), privateKey: try identity.privateKeySource())
        configuration.certificateVerification = .none
        let context = try NIOSSLContext(configuration: configuration)
        let frames = frames
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLServerHandler(context: context), PeerFrameBatches(), Collector(frames),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        var record = identity.settings.record(version: "0.1.0")
        record.peerEndpoint = "127.0.0.1:\(listener.localAddress!.port!)"
        self.record = record
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = [PeerFrame]
        let frames: Ledger<PeerFrame>
        init(_ frames: Ledger<PeerFrame>) { self.frames = frames }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            for frame in unwrapInboundIn(data) { frames.add(frame) }
        }
    }
}
