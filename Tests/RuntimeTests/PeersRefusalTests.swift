// Who is not let in, with the reason in the log, and that nothing of it harms the member.

import Agent
import Cluster
import Consensus
import Crypto
import FoundationEssentials
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct PeersRefusalTests {
    let cluster: TestCluster
    let other: MemberIdentity

    init() throws {
        cluster = try TestCluster()
        other = try cluster.member("pve2")
    }

    private func peer() async throws -> TestPeer {
        try await TestPeer(cluster.founder, admits: [cluster.founder, other])
    }

    private func frame(
        cluster id: ClusterID? = nil, from: MemberID? = nil, to: MemberID? = nil, _ number: UInt64 = 1
    ) -> PeerFrame {
        PeerFrame(
            cluster: id ?? other.cluster, from: from ?? other.member, to: to ?? cluster.founder.member,
            body: .readIndex(id: number))
    }

    /// The member still takes a frame of a proper member.
    private func expectUnharmed(_ peer: TestPeer) async throws {
        let proper = try await Stranger(to: peer, as: other)
        let good = frame(4_711)
        try proper.send(good)
        _ = try await peer.frames.first { $0 == good }
        #expect(peer.frames.items == [good])
        await peer.transport.shutDown()
    }

    private func expectRefused(_ stranger: Stranger, by peer: TestPeer, because words: String) async throws {
        try? stranger.send(frame())
        try await stranger.closed.get()
        _ = try await peer.log.line("a connection ended", "a stranger", words)
        #expect(peer.frames.items.isEmpty)
        try await expectUnharmed(peer)
    }

    @Test func withoutACertificate() async throws {
        let peer = try await peer()
        try await expectRefused(try await Stranger(to: peer), by: peer, because: "presented no certificate")
    }

    @Test func withACertificateOfAnotherAuthority() async throws {
        let peer = try await peer()
        let foreign = try ClusterAuthority.create(cluster: cluster.founder.cluster)
        let certificate = try foreign.issue(member: "pve2", key: other.key.publicKey)
        let stranger = try await Stranger(to: peer, certificate: certificate, key: other.key)
        try await expectRefused(stranger, by: peer, because: "not signed by this cluster's authority")
    }

    @Test func withAnUnknownMembersCertificate() async throws {
        let peer = try await peer()
        let unknown = try cluster.member("pve3")
        try await expectRefused(
            try await Stranger(to: peer, as: unknown), by: peer, because: "member \(unknown.member) does not belong")
    }

    @Test func withAnExpiredCertificate() async throws {
        let peer = try await peer()
        let certificate = try cluster.authority.issue(
            member: "pve2", key: other.key.publicKey, now: Date() - 91 * 86_400)
        let stranger = try await Stranger(to: peer, certificate: certificate, key: other.key)
        try await expectRefused(stranger, by: peer, because: "expired at")
    }

    @Test func withAnotherClustersNameFromTheRightAuthority() async throws {
        let peer = try await peer()
        let name = ClusterID(rawValue: other.cluster.rawValue ^ 1)
        let trust = try ClusterTrust(cluster: name, certificate: cluster.founder.trust.certificate)
        let certificate = try ClusterAuthority(trust: trust, key: cluster.authority.key)
            .issue(member: "pve2", key: other.key.publicKey)
        let stranger = try await Stranger(to: peer, certificate: certificate, key: other.key)
        try await expectRefused(stranger, by: peer, because: "its certificate is for cluster \(name)")
    }

    @Test func withAnOperatorsCertificate() async throws {
        let peer = try await peer()
        let certificate = try cluster.authority.issue(operator: "anna", role: .admin, key: other.key.publicKey)
        let stranger = try await Stranger(to: peer, certificate: certificate, key: other.key)
        try await expectRefused(stranger, by: peer, because: "only members speak here")
    }

    @Test func withThisMembersOwnKey() async throws {
        let peer = try await peer()
        try await expectRefused(try await Stranger(to: peer, as: cluster.founder), by: peer, because: "own key")
    }

    private func expectCutOff(after frames: [PeerFrame], because words: String, received: [PeerFrame] = []) async throws
    {
        let peer = try await peer()
        let stranger = try await Stranger(to: peer, as: other)
        for frame in frames { try stranger.send(frame) }
        try await stranger.closed.get()
        _ = try await peer.log.line("a connection ended", "member \(other.member)", words)
        #expect(peer.frames.items == received)
        await peer.transport.shutDown()
    }

    @Test func aFrameInAnothersName() async throws {
        let third = MemberID(rawValue: 3)
        try await expectCutOff(after: [frame(from: third)], because: "in the name of member \(third)")
    }

    @Test func aFrameOfAnotherCluster() async throws {
        let id = ClusterID(rawValue: 5)
        try await expectCutOff(after: [frame(cluster: id)], because: "a frame of cluster \(id)")
    }

    @Test func aFrameForAnotherMember() async throws {
        let third = MemberID(rawValue: 3)
        try await expectCutOff(after: [frame(to: third)], because: "a frame for member \(third)")
    }

    @Test func whatCameBeforeABadFrameCounts() async throws {
        try await expectCutOff(
            after: [frame(1), frame(2), frame(from: MemberID(rawValue: 3)), frame(4)], because: "in the name of",
            received: [frame(1), frame(2)])
    }

    @Test func garbageInsteadOfTLS() async throws {
        let peer = try await peer()
        let stranger = try await Stranger(plainTo: peer)
        stranger.send(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        try await stranger.closed.get()
        _ = try await peer.log.line("a connection ended", "a stranger", "the TLS handshake failed")
        try await expectUnharmed(peer)
    }

    @Test func garbageInsteadOfFrames() async throws {
        let peer = try await peer()
        let stranger = try await Stranger(to: peer, as: other)
        stranger.send([0, 0, 0, 4, 0xFF, 0xFF, 0xFF, 0xFF])
        try await stranger.closed.get()
        _ = try await peer.log.line("a connection ended", "member \(other.member)", "frame")
        try await expectUnharmed(peer)
    }

    @Test func aLengthBeyondTheBound() async throws {
        let peer = try await peer()
        let stranger = try await Stranger(to: peer, as: other)
        stranger.send([0xFF, 0xFF, 0xFF, 0xFF])
        try await stranger.closed.get()
        _ = try await peer.log.line(
            "a connection ended", "member \(other.member)", "\(WireCodec.longestFrame) are allowed")
        try await expectUnharmed(peer)
    }

    @Test func anotherMemberAtTheEndpoint() async throws {
        let third = try cluster.member("pve3")
        let first = try await peer()
        let wrong = try await TestPeer(third, admits: [cluster.founder])
        var record = wrong.record
        record.id = other.member
        record.name = "pve2"
        try await first.setPeers([record])
        _ = try await first.log.line("no connection to a member", "member \(third.member) answers where")
        #expect(try await first.connected().isEmpty)
        await first.transport.shutDown()
        await wrong.transport.shutDown()
    }

    @Test func aServerOfAnotherClusterAtTheEndpoint() async throws {
        let foreign = try TestCluster()
        let first = try await peer()
        let wrong = try await TestPeer(foreign.founder, admits: [])
        var record = wrong.record
        record.id = other.member
        try await first.setPeers([record])
        _ = try await first.log.line("no connection to a member", "not signed by this cluster's authority")
        await first.transport.shutDown()
        await wrong.transport.shutDown()
    }

    @Test func aMemberLearnsThatItWasRefused() async throws {
        let unwilling = try await TestPeer(cluster.founder, admits: [])
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await second.setPeers([unwilling.record])
        _ = try await second.log.line("no connection to a member", "it refused our certificate; its log says why")
        await unwilling.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aServerThatTalksBack() async throws {
        let first = try await peer()
        let context = try PeerTLS(other).server
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    channel.writeAndFlush(ByteBuffer(bytes: [1, 2, 3]), promise: nil)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        var record = other.settings.record(version: "0.1.0")
        record.peerEndpoint = "127.0.0.1:\(server.localAddress?.port ?? 0)"
        try await first.setPeers([record])
        _ = try await first.log.line("no connection to a member", "only this side sends on")
        await first.transport.shutDown()
        try await server.close()
    }

    @Test func moreThanTheBoundThatHaveNotProvedWhoTheyAre() async throws {
        let peer = try await peer()
        var strangers: [Stranger] = []
        let most = PeerTransport.mostUnauthenticatedOfOneAddress
        for number in 0..<PeerTransport.mostUnauthenticated + 1 {
            strangers.append(try await Stranger(plainTo: peer, from: "127.0.1.\(number / most + 1)"))
        }
        let refusal = try await peer.log.line("closed at once", "have not proved an identity")
        #expect(refusal.contains("\(PeerTransport.mostUnauthenticated) connections"))
        for stranger in strangers { stranger.channel.close(promise: nil) }
        _ = try await peer.log.line("a connection ended", "closed the connection in the handshake")
        for stranger in strangers { try await stranger.closed.get() }
        await peer.transport.shutDown()
    }

    /// One machine opens connections and says nothing; a member that comes back from elsewhere is let in.
    @Test func strangersOfOneAddressAreNotInAMembersWay() async throws {
        let peer = try await peer()
        var strangers: [Stranger] = []
        for _ in 0..<PeerTransport.mostUnauthenticated * 2 {
            strangers.append(try await Stranger(plainTo: peer, from: "127.0.1.1"))
        }
        _ = try await peer.log.line(
            "closed at once", "\(PeerTransport.mostUnauthenticatedOfOneAddress) of them from there")
        try await expectUnharmed(peer)
        for stranger in strangers { stranger.channel.close(promise: nil) }
    }

    /// Its id is right, being the beginning of its key's hash, and somebody may meet that by trying.
    @Test func aMemberWithAnotherKeyThanItJoinedWith() async throws {
        let peer = try await peer()
        let stranger = try cluster.member("pve3")
        peer.allowed.add(stranger.member)
        peer.allowed.refuse(key: ClusterTrust.pin(of: stranger.key.publicKey))
        try await expectRefused(
            try await Stranger(to: peer, as: stranger), by: peer, because: "joined with another key than it shows now")
    }

    @Test func aStrangerThatSaysNothing() async throws {
        let peer = try await TestPeer(cluster.founder, admits: [other], handshakeTimeout: .milliseconds(50))
        let stranger = try await Stranger(plainTo: peer)
        try await stranger.closed.get()
        _ = try await peer.log.line("a connection ended", "the TLS handshake took longer than 50 ms")
        await peer.transport.shutDown()
    }
}
