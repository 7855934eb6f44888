// Frames between members, over TLS, on one event loop: the agent's own, so that a frame crosses no thread on its way.
// Each member keeps one connection to every other, for sending, and accepts one from every other, for receiving. That is
// one connection more than needed, and spares all questions of who opens it and which of two is the right one. While a
// snapshot is on its way there is one more for that (`PeerStream`).
//
// It delivers in order or not at all, at most once, and never says what was lost; the consensus lives with that.
// What a peer does wrong closes the connection, with a reason in the log, and does nothing else.

import Agent
import Cluster
import Consensus
import Glibc
import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// The peer connections of one member. Except for `start` and `shutDown`, everything is called on the event loop, and
/// everything it calls is called there.
public final class PeerTransport: @unchecked Sendable {
    // Unchecked, because all state is confined to `loop`; every way in checks that.

    /// Connections that have not proved an identity yet; more are closed at once.
    static let mostUnauthenticated = 64
    /// Of these from one address: one that opens connections and says nothing must not keep members out that return. A
    /// member opens one at a time.
    static let mostUnauthenticatedOfOneAddress = 8

    let loop: any EventLoop
    private let handshakeTimeout: TimeAmount
    private let bulkIdle: TimeAmount
    private let isUnanswered: (tcp_info) -> Bool
    private let log: Logger
    private let isMember: @Sendable (MemberID, _ key: String?) -> Bool
    private let received: ([PeerFrame]) -> Void
    private var identity: MemberIdentity
    private var tls: PeerTLS
    private var listener: (any Channel)?
    private var peers: [MemberID: OutgoingPeer] = [:]
    /// For snapshots: opened with the first part of one, closed when there was none for a while.
    private var bulk: [MemberID: Bulk] = [:]
    /// Every accepted connection, and the one of each member that counts.
    private var accepted: [ObjectIdentifier: PeerConnection] = [:]
    private var incoming: [Sender: PeerConnection] = [:]
    var acceptedConnections: [PeerConnection] { Array(accepted.values) }
    private struct Sender: Hashable {
        let member: MemberID
        let stream: PeerStream
    }

    private struct Bulk {
        let peer: OutgoingPeer
        var closing: Scheduled<Void>?
        /// It has refused a stream of its own: parts go with everything else.
        var isRefused = false
    }

    private var throttle = ReportThrottle()
    private var isShutDown = false

    /// - Parameters:
    ///   - isMember: the allow-list; asked at every handshake with the name of the key that was shown, and at every
    ///     `setPeers` without one.
    ///   - received: the frames of one read, in order. Their sender, recipient and cluster have been checked.
    /// - Throws: when the TLS library cannot use the identity.
    public convenience init(
        eventLoop: any EventLoop, identity: MemberIdentity, log: Logger,
        isMember: @escaping @Sendable (MemberID, _ key: String?) -> Bool, received: @escaping ([PeerFrame]) -> Void
    ) throws {
        try self.init(
            eventLoop: eventLoop, identity: identity, log: log, handshakeTimeout: .seconds(2), isMember: isMember,
            received: received)
    }

    init(
        eventLoop: any EventLoop, identity: MemberIdentity, log: Logger, handshakeTimeout: TimeAmount,
        bulkIdle: TimeAmount = PeerStream.bulkIdle,
        isUnanswered: @escaping (tcp_info) -> Bool = OutgoingPeer.isUnanswered,
        isMember: @escaping @Sendable (MemberID, _ key: String?) -> Bool,
        received: @escaping ([PeerFrame]) -> Void
    ) throws {
        loop = eventLoop
        self.bulkIdle = bulkIdle
        self.isUnanswered = isUnanswered
        self.handshakeTimeout = handshakeTimeout
        self.identity = identity
        self.log = log
        self.isMember = isMember
        self.received = received
        tls = try PeerTLS(identity)
    }

    // MARK: Life

    /// Listens for the other members.
    /// - Parameter port: 0 for any.
    /// - Returns: the port.
    /// - Throws: `PeerTransportError`.
    @discardableResult
    public func start(host: String, port: Int) async throws -> Int {
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel) }
            }
        do {
            let channel = try await bootstrap.bind(host: host, port: port).get()
            try await loop.submit { [self] in
                listener = channel
                if isShutDown { channel.close(promise: nil) }
            }.get()
            return channel.localAddress?.port ?? port
        } catch {
            throw PeerTransportError(host: host, port: port, error: error)
        }
    }

    /// Whether this address can be listened at: it is, for a moment. Asked before the log is opened, because each opening is a
    /// start of the disk that others should hear of, and an address that comes up late would cost one every few seconds.
    /// - Throws: `PeerTransportError`.
    public static func tryListening(host: String, port: Int, on loop: any EventLoop) async throws {
        do {
            let channel = try await ServerBootstrap(group: loop)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: host, port: port).get()
            try await channel.close().get()
        } catch {
            throw PeerTransportError(host: host, port: port, error: error)
        }
    }

    /// Closes everything; frames that were not sent are lost. Returns within about a second.
    public func shutDown() async {
        let closing = loop.flatSubmit { [self] () -> EventLoopFuture<Void> in
            isShutDown = true
            let outgoing = Array(peers.values) + bulk.values.map(\.peer)
            let channels = accepted.values.compactMap(\.channel) + outgoing.compactMap(\.channel)
            for peer in outgoing { peer.stop("this member stops") }
            for each in bulk.values { each.closing?.cancel() }
            peers = [:]
            bulk = [:]
            for connection in accepted.values { connection.end("this member stops") }
            let listening = listener?.close()
            return EventLoopFuture.andAllComplete(
                channels.map(\.closeFuture) + (listening.map { [$0] } ?? []), on: loop)
        }
        // Every close is bounded by the TLS farewell's 250 ms; this is for the case that one of them is not.
        let done = loop.makePromise(of: Void.self)
        closing.whenComplete { _ in done.succeed() }
        let alarm = loop.scheduleTask(in: .seconds(1)) { done.succeed() }
        try? await done.futureResult.get()
        alarm.cancel()
    }

    /// Runs `work` on the event loop, for callers elsewhere.
    public func onLoop<Result: Sendable>(_ work: @escaping @Sendable (PeerTransport) throws -> Result) async throws
        -> Result
    {
        try await loop.submit { try work(self) }.get()
    }

    /// Uses a renewed certificate for connections from now on; those that stand stay.
    public func use(_ renewed: MemberIdentity) throws {
        loop.preconditionInEventLoop()
        precondition(renewed.member == identity.member && renewed.cluster == identity.cluster, "a key never changes")
        tls = try PeerTLS(renewed)
        identity = renewed
    }

    // MARK: Peers

    /// Connects to exactly these members (this one is left out), and closes connections of whoever is no member any more.
    public func setPeers(_ members: [MemberRecord]) {
        loop.preconditionInEventLoop()
        guard !isShutDown else { return }
        var wanted: [MemberID: (name: String, endpoint: Endpoint)] = [:]
        for member in members where member.id != identity.member {
            guard let endpoint = Endpoint(member.peerEndpoint) else {
                warn(
                    "endpoint \(member.id)", "cannot connect to a member",
                    ["peer": "\(member.name)", "reason": "its peer endpoint \(member.peerEndpoint) is not host:port"])
                continue
            }
            wanted[member.id] = (member.name, endpoint)
        }
        for (id, peer) in peers where wanted[id]?.endpoint != peer.endpoint {
            let reason = wanted[id] == nil ? "it is no peer any more" : "its endpoint changed"
            peers[id] = nil
            peer.stop(reason)
            guard let carrier = bulk.removeValue(forKey: id) else { continue }
            carrier.closing?.cancel()
            carrier.peer.stop(reason)
        }
        for (id, member) in wanted { peers[id]?.name = member.name }
        for (sender, connection) in incoming where !isMember(sender.member, nil) {
            connection.end("member \(sender.member) does not belong to the cluster any more")
        }
        for (id, member) in wanted where peers[id] == nil {
            let peer = outgoing(id, member.name, member.endpoint, .messages)
            peers[id] = peer
            peer.start()
        }
    }

    private func outgoing(_ id: MemberID, _ name: String, _ endpoint: Endpoint, _ stream: PeerStream) -> OutgoingPeer {
        OutgoingPeer(
            id: id, name: name, endpoint: endpoint, stream: stream, loop: loop,
            meaninglessFrame: WireCodec.meaninglessFrame(cluster: identity.cluster, from: identity.member, to: id),
            isUnanswered: isUnanswered,
            dial: { [unowned self] in dial($0, $1, attempt: $2, $3) },
            report: { [weak self] in self?.outgoingEnded($0, reason: $1) })
    }

    /// The connection for snapshots to this peer, opened now if need be; nil: it takes them with everything else.
    private func carrier(to peer: OutgoingPeer) -> OutgoingPeer? {
        let id = peer.id
        var carrier = bulk[id] ?? Bulk(peer: outgoing(id, peer.name, peer.endpoint, .bulk))
        guard !carrier.isRefused else { return nil }
        carrier.closing?.cancel()
        carrier.closing = loop.assumeIsolated().scheduleTask(in: bulkIdle) { [weak self] in
            self?.bulk.removeValue(forKey: id)?.peer.stop("no snapshot is on its way any more")
        }
        bulk[id] = carrier
        carrier.peer.start()
        return carrier.peer
    }

    /// Queues a frame for the peer it is addressed to. To anyone but a peer it is dropped.
    public func send(_ frame: PeerFrame) {
        loop.preconditionInEventLoop()
        guard var peer = peers[frame.to] else { return }
        if PeerStream(for: frame) == .bulk, let carrier = carrier(to: peer) { peer = carrier }
        do throws(WireError) {
            try peer.send(frame)
        } catch {
            warn("encode \(frame.to)", "a frame was not sent", ["peer": "\(peer.name)", "reason": "\(error)"])
        }
    }

    /// Sends what was queued since the last call, one write and one flush for each peer.
    public func flush() {
        loop.preconditionInEventLoop()
        for peer in peers.values { peer.flush() }
        for each in bulk.values { each.peer.flush() }
    }

    /// Peers that frames can be sent to now, in order. A peer that refuses us is among them for a moment, because in
    /// TLS 1.3 the client has finished before the server has decided.
    public var connected: [MemberID] {
        loop.preconditionInEventLoop()
        return peers.values.filter(\.isConnected).map(\.id).sorted()
    }

    /// Frames dropped since the peer was set because its queue was full.
    public func droppedFrames(to id: MemberID) -> UInt64 {
        loop.preconditionInEventLoop()
        return (peers[id]?.dropped ?? 0) + (bulk[id]?.peer.dropped ?? 0)
    }

    /// What the connections do, for `/metrics`.
    public func families() -> [MetricFamily] {
        loop.preconditionInEventLoop()
        var dropped = MetricFamily(
            .counter, "holdfast_peer_frames_dropped_total", "Frames not sent because a peer's queue was full.")
        for peer in peers.values.sorted(by: { $0.name < $1.name }) {
            dropped.add(Double(droppedFrames(to: peer.id)), .init("member", peer.name))
        }
        return [
            MetricFamily(.gauge, "holdfast_peers", "Other members to be connected to.", value: Double(peers.count)),
            MetricFamily(
                .gauge, "holdfast_peers_connected", "Members that frames can be sent to now.",
                value: Double(connected.count)),
            dropped,
        ]
    }

    /// The kernel's smoothed round-trip times of the connections that stand, in microseconds (tcp(7), TCP_INFO).
    public func roundTrips() async -> [(member: String, microseconds: Int64)] {
        let asked = loop.flatSubmit { [self] in
            let asking = peers.values.filter(\.isConnected).compactMap { peer in
                let name = peer.name
                return (peer.channel as? any SocketOptionProvider).map { provider in
                    provider.getTCPInfo().map { (member: name, microseconds: Int64($0.tcpi_rtt)) }
                }
            }
            return EventLoopFuture.whenAllSucceed(asking, on: loop)
        }
        // A connection that ended meanwhile has no time; the others are asked again at the next look.
        return ((try? await asked.get()) ?? []).sorted { $0.member < $1.member }
    }

    // MARK: Opening and accepting

    private func dial(
        _ id: MemberID, _ stream: PeerStream, attempt: UInt64, _ endpoint: Endpoint
    ) -> EventLoopFuture<PeerConnection> {
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(500))
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try PeerSocket.prepare(channel)
                    let connection = PeerConnection(
                        direction: .outgoing(id, stream, attempt: attempt), identity: identity,
                        handshakeTimeout: handshakeTimeout, owner: self)
                    let handler = try NIOSSLClientHandler(context: tls.client(for: stream), serverHostname: nil) {
                        $1.succeed(connection.verify($0))
                    }
                    try channel.pipeline.syncOperations.addHandlers([handler, connection])
                }
            }
        let connecting: EventLoopFuture<any Channel>
        if let address = try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port) {
            connecting = bootstrap.connect(to: address)
        } else {
            connecting = bootstrap.connect(host: endpoint.host, port: endpoint.port)
        }
        return connecting.flatMapThrowing { try $0.pipeline.syncOperations.handler(type: PeerConnection.self) }
    }

    private func accept(_ channel: any Channel) throws {
        let strangers = accepted.values.filter { !$0.isReady }
        let address = channel.remoteAddress?.ipAddress
        let fromThere = strangers.count { $0.channel?.remoteAddress?.ipAddress == address }
        guard strangers.count < Self.mostUnauthenticated, fromThere < Self.mostUnauthenticatedOfOneAddress, !isShutDown
        else {
            warn(
                "too many \(address ?? "")", "a connection was closed at once",
                [
                    "address": "\(channel.remoteAddress.map { "\($0)" } ?? "unknown")",
                    "reason": """
                    \(strangers.count) connections that have not proved an identity are open, \(fromThere) of them from \
                    there
                    """,
                ])
            throw TooManyConnections()
        }
        try PeerSocket.prepare(channel)
        let connection = PeerConnection(
            direction: .incoming, identity: identity, handshakeTimeout: handshakeTimeout, owner: self)
        let handler = NIOSSLServerHandler(context: tls.server) { $1.succeed(connection.verify($0)) }
        try channel.pipeline.syncOperations.addHandlers([handler, PeerFrameBatches(), connection])
        accepted[ObjectIdentifier(connection)] = connection
    }

    // MARK: Words

    private func outgoingEnded(_ peer: OutgoingPeer, reason: String) {
        warn(
            ReportThrottle.subject("to \(peer.id) \(peer.stream)", reason),
            peer.stream == .bulk ? "no connection for snapshots to a member" : "no connection to a member",
            [
                "peer": "\(peer.name)", "member": "\(peer.id)", "address": "\(peer.endpoint)", "reason": "\(reason)",
                "dropped": "\(peer.dropped)",
            ])
    }

    private func warn(_ subject: String, _ message: Logger.Message, _ facts: Logger.Metadata) {
        guard let suppressed = throttle.admit(subject) else { return }
        var facts = facts
        if suppressed > 0 { facts["repeated"] = "\(suppressed)" }
        log.warning(message, metadata: facts)
    }
}

extension PeerTransport: PeerConnectionOwner {
    func objection(to member: MemberID, key: String, on connection: PeerConnection) -> String? {
        let isIncoming = connection.direction == .incoming
        if isIncoming && !isMember(member, nil) {
            return "member \(member) does not belong to this cluster, or not any more"
        }
        if isMember(member, nil) && !isMember(member, key) {
            return "member \(member) joined with another key than it shows now"
        }
        return nil
    }

    func connectionReady(_ connection: PeerConnection, from member: MemberID) {
        if case .outgoing(_, let stream, let attempt) = connection.direction {
            guard let peer = outgoing(to: member, stream) else { return connection.end("it is no peer any more") }
            // One that refuses us looks connected for a moment, again and again; that is not worth a line each time.
            log.log(
                level: peer.hasSettled && stream == .messages ? .info : .debug, "connected to a member",
                metadata: ["peer": "\(peer.name)", "address": "\(peer.endpoint)", "stream": "\(stream)"])
            return peer.ready(connection, attempt: attempt)
        }
        let sender = Sender(member: member, stream: connection.stream)
        incoming[sender]?.end("the member opened another connection, from \(connection.remote)")
        incoming[sender] = connection
        log.info(
            "a member connected",
            metadata: ["member": "\(member)", "address": "\(connection.remote)", "stream": "\(connection.stream)"])
        peers[member]?.hurry()
    }

    private func outgoing(to member: MemberID, _ stream: PeerStream) -> OutgoingPeer? {
        switch stream {
        case .messages: peers[member]
        case .bulk: bulk[member]?.peer
        }
    }

    func connectionWritable(_ connection: PeerConnection) {
        if let member = connection.member { outgoing(to: member, connection.stream)?.flush() }
    }

    func connection(_ connection: PeerConnection, received frames: [PeerFrame]) {
        guard !isShutDown else { return }
        received(frames)
    }

    func connectionEnded(_ connection: PeerConnection, reason: String) {
        if case .outgoing(let id, let stream, _) = connection.direction {
            if connection.isOfOneStreamOnly, let refused = bulk[id] {
                // Asked again at every part it would lose its connection each time: an older version takes the second one
                // for the successor of the first.
                refused.peer.stop(reason)
                bulk[id]?.isRefused = true
                outgoingEnded(refused.peer, reason: reason)
            }
            outgoing(to: id, stream)?.ended(connection, reason: reason)
            return
        }
        accepted[ObjectIdentifier(connection)] = nil
        if let member = connection.member {
            let sender = Sender(member: member, stream: connection.stream)
            if incoming[sender] === connection { incoming[sender] = nil }
        }
        guard !isShutDown else { return }
        let who = connection.member.map { "member \($0)" } ?? "a stranger"
        warn(
            ReportThrottle.subject("from \(who)", reason), "a connection ended",
            ["from": "\(who)", "address": "\(connection.remote)", "reason": "\(reason)"])
    }
}
