// Members on loopback, and strangers that knock at their ports.

import Agent
import Cluster
import Consensus
import Glibc
import Crypto
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import X509

@testable import Runtime

/// Whom a member lets in, which tests change.
final class AllowList: Sendable {
    private let members: Mutex<Set<MemberID>>
    private let refusedKey = Mutex<String?>(nil)
    init(_ members: [MemberIdentity]) { self.members = Mutex(Set(members.map(\.member))) }
    func contains(_ id: MemberID, key: String?) -> Bool {
        members.withLock { $0.contains(id) } && (key == nil || key != refusedKey.withLock { $0 })
    }
    func add(_ id: MemberID) { _ = members.withLock { $0.insert(id) } }
    /// A key that is not the one its member joined with.
    func refuse(key: String) { refusedKey.withLock { $0 = key } }
    func remove(_ id: MemberID) { _ = members.withLock { $0.remove(id) } }
}

/// One member's transport with what it received and logged.
final class TestPeer: Sendable {
    let identity: MemberIdentity
    let transport: PeerTransport
    let allowed: AllowList
    let frames = Ledger<PeerFrame>()
    let log = Ledger<String>()
    let port: Int

    /// Lets `members` in, and listens; connects to nobody yet.
    init(
        _ identity: MemberIdentity, admits members: [MemberIdentity], port: Int = 0,
        handshakeTimeout: TimeAmount = .seconds(50), bulkIdle: TimeAmount = PeerStream.bulkIdle,
        isUnanswered: @escaping (tcp_info) -> Bool = OutgoingPeer.isUnanswered
    ) async throws {
        self.identity = identity
        let allowed = AllowList(members)
        let (log, frames) = (log, frames)
        self.allowed = allowed
        transport = try PeerTransport(
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(), identity: identity,
            log: Logger(label: identity.settings.name, factory: { _ in LedgerLog(ledger: log) }),
            handshakeTimeout: handshakeTimeout, bulkIdle: bulkIdle, isUnanswered: isUnanswered,
            isMember: { id, key in allowed.contains(id, key: key) }, received: { for frame in $0 { frames.add(frame) } }
        )
        self.port = try await transport.start(host: "127.0.0.1", port: port)
    }

    /// This member at its real port.
    var record: MemberRecord {
        var record = identity.settings.record(version: "0.1.0")
        record.peerEndpoint = "127.0.0.1:\(port)"
        return record
    }

    func setPeers(_ records: [MemberRecord]) async throws {
        try await transport.loop.submit { self.transport.setPeers(records) }.get()
    }

    /// Sends as one batch.
    func send(_ frames: [PeerFrame]) async throws {
        try await transport.loop.submit {
            for frame in frames { self.transport.send(frame) }
            self.transport.flush()
        }.get()
    }

    func connected() async throws -> [MemberID] { try await transport.loop.submit { self.transport.connected }.get() }

    /// A part of a snapshot.
    func part(to other: MemberIdentity, offset: Int, bytes: Int = 64 * 1024) -> PeerFrame {
        let configuration = Configuration(voters: [identity.member])
        let chunk = SnapshotChunk(
            mark: SnapshotMark(index: LogIndex(rawValue: 7), term: Term(rawValue: 1), configuration: configuration),
            size: 1 << 30,
            checksum: 1, offset: offset, bytes: [UInt8](repeating: 7, count: bytes))
        return PeerFrame(
            cluster: identity.cluster, from: identity.member, to: other.member,
            body: .consensus(Term(rawValue: 1), .snapshotChunk(chunk)))
    }

    /// What accepted connections are for.
    func acceptedStreams() async throws -> [PeerStream] {
        try await transport.loop.submit { self.transport.acceptedConnections.filter(\.isReady).map(\.stream) }.get()
    }

    func frame(to other: MemberIdentity, _ id: UInt64) -> PeerFrame {
        PeerFrame(cluster: identity.cluster, from: identity.member, to: other.member, body: .readIndex(id: id))
    }
}

/// Something that connects to a member's port and does not play by the rules. It believes any server.
final class Stranger: Sendable {
    let channel: any Channel
    /// Fulfilled when the member has closed the connection.
    var closed: EventLoopFuture<Void> { channel.closeFuture }

    /// With TLS; without `key` it shows no certificate.
    init(to peer: TestPeer, certificate: Certificate? = nil, key: P256.Signing.PrivateKey? = nil) async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        if let certificate, let key {
            configuration.certificateChain = [
                .certificate(try NIOSSLCertificate(bytes: certificate.derBytes(), format: .der))
            ]
            configuration.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(key.derRepresentation), format: .der))
        }
        let context = try NIOSSLContext(configuration: configuration)
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: nil))
                }
            }
            .connect(host: "127.0.0.1", port: peer.port).get()
    }

    /// As a member with a proper certificate, whatever it says afterwards.
    convenience init(to peer: TestPeer, as identity: MemberIdentity) async throws {
        try await self.init(to: peer, certificate: identity.certificate, key: identity.key)
    }

    /// Plain TCP, from an address of this machine.
    init(plainTo peer: TestPeer, from address: String = "127.0.0.1") async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: SocketAddress(ipAddress: address, port: 0))
            .connect(host: "127.0.0.1", port: peer.port).get()
    }

    /// Whether it arrives is for the member to decide.
    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    func send(_ frame: PeerFrame) throws {
        var buffer = ByteBuffer()
        try WireCodec.encode(frame, into: &buffer)
        channel.writeAndFlush(buffer, promise: nil)
    }
}

extension PeerTransport {
    /// Ends every accepted connection without a segment, as if the machine had lost power and come back: a socket in
    /// repair mode closes silently (TCP_REPAIR, tcp(7) and Linux' tcp_close).
    func forgetConnections() throws {
        loop.preconditionInEventLoop()
        for connection in acceptedConnections {
            guard let channel = connection.channel, let options = channel.syncOptions else { continue }
            try options.setOption(.tcpOption(NIOBSDSocket.Option(rawValue: 19)), value: 1)
            channel._channelCore.close0(error: ChannelError.alreadyClosed, mode: .all, promise: nil)
        }
    }
}
