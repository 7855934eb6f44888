// One TCP connection between two members, on either side of it: from the first byte of the handshake to its end.
// A connection carries frames in one direction only, from the one who opened it. Confined to its event loop.
// Nothing of it reaches the transport before the other side has proved who it is.

import Agent
import Cluster
import Consensus
import NIOCore
import NIOSSL
import NIOTLS

/// What a connection tells the transport it belongs to. Everything is called on the event loop.
protocol PeerConnectionOwner: AnyObject {
    /// Decides about a member that proved its identity; nil is yes.
    /// - Parameter key: names the key it has shown.
    func objection(to member: MemberID, key: String, on connection: PeerConnection) -> String?
    func connectionReady(_ connection: PeerConnection, from member: MemberID)
    func connectionWritable(_ connection: PeerConnection)
    func connection(_ connection: PeerConnection, received frames: [PeerFrame])
    /// Exactly once for every connection whose channel was opened.
    func connectionEnded(_ connection: PeerConnection, reason: String)
}

/// The last handler of a connection's pipeline.
final class PeerConnection: ChannelInboundHandler {
    /// Frames on accepted connections; on those we opened nothing is ever read, whatever its type.
    typealias InboundIn = [PeerFrame]

    enum Direction: Hashable {
        case incoming
        /// The member we mean to reach, for what, and which attempt at it this is.
        case outgoing(MemberID, PeerStream, attempt: UInt64)
    }

    let direction: Direction
    /// Who is at the other end; set when it has proved it.
    private(set) var member: MemberID?
    /// What it is for; set with the member.
    private(set) var stream = PeerStream.messages
    /// The other side has not agreed on a stream for snapshots.
    private(set) var isOfOneStreamOnly = false
    private(set) var channel: (any Channel)?
    private let handshakeTimeout: TimeAmount
    private let trust: ClusterTrust
    private let own: MemberID
    private weak var owner: (any PeerConnectionOwner)?
    private var verdict: Result<(member: MemberID, key: String), CertificateRefusal>?
    private var objection: String?
    private var handshakeAlarm: Scheduled<Void>?
    private var endReason: String?
    private var hasReportedEnd = false

    init(
        direction: Direction, identity: MemberIdentity, handshakeTimeout: TimeAmount, owner: any PeerConnectionOwner
    ) {
        self.direction = direction
        self.handshakeTimeout = handshakeTimeout
        trust = identity.trust
        own = identity.member
        self.owner = owner
    }

    var isReady: Bool { member != nil && endReason == nil }

    /// The other side's address, as far as it is known.
    var remote: String { channel?.remoteAddress.map { "\($0)" } ?? "an unknown address" }

    // MARK: The handshake

    func handlerAdded(context: ChannelHandlerContext) {
        channel = context.channel
        guard endReason == nil else { return context.close(promise: nil) }
        handshakeAlarm = context.eventLoop.assumeIsolated().scheduleTask(in: handshakeTimeout) { [weak self] in
            guard let self else { return }
            end("the TLS handshake took longer than \(handshakeTimeout.nanoseconds / 1_000_000) ms")
        }
    }

    /// Called by the TLS library with what the other side sent, its own certificate first.
    func verify(_ chain: [NIOSSLCertificate]) -> NIOSSLVerificationResult {
        do throws(CertificateRefusal) {
            let encoded = chain.prefix(ClusterTrust.mostCertificates).compactMap { try? $0.toDERBytes() }
            let shown = try trust.identify(chain: encoded, as: direction == .incoming ? .client : .server)
            guard case .member(let id) = shown.subject else {
                throw .unusable("it is for \(shown.subject); only members speak here")
            }
            let key = shown.key
            verdict = .success((id, key))
            objection = objection(to: id, key)
            return objection == nil ? .certificateVerified : .failed
        } catch {
            verdict = .failure(error)
            return .failed
        }
    }

    private func objection(to id: MemberID, _ key: String) -> String? {
        if id == own { return "it has this member's own key; is this machine a copy of another, or the other of this?" }
        if case .outgoing(let expected, _, _) = direction, id != expected {
            return "member \(id) answers where member \(expected) was expected"
        }
        return owner?.objection(to: id, key: key, on: self)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let negotiated) = event { handshakeCompleted(negotiated) }
        context.fireUserInboundEventTriggered(event)
    }

    private func handshakeCompleted(_ negotiated: String?) {
        handshakeAlarm?.cancel()
        guard let agreed = PeerStream(negotiated: negotiated) else {
            return end("it wants to speak a protocol that is not known here")
        }
        if case .outgoing(_, let wanted, _) = direction, wanted != agreed {
            isOfOneStreamOnly = true
            return end("it knows no stream for snapshots of its own; its version is older than that")
        }
        // A resumed TLS session completes without a certificate being shown: not here.
        guard case .success((let id, let key)) = verdict else {
            return end("it presented no certificate in this handshake")
        }
        // Asked again: it may have been removed while the handshake was under way.
        if let objection = objection(to: id, key) { return end(objection) }
        guard endReason == nil else { return }
        member = id
        stream = agreed
        owner?.connectionReady(self, from: id)
    }

    // MARK: Afterwards

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard endReason == nil else { return }
        guard direction == .incoming else {
            return end("it sent something on a connection that only this side sends on")
        }
        guard let member else { return end("it sent something before the handshake was complete") }
        let frames = unwrapInboundIn(data)
        let faulty = frames.firstIndex { fault(of: $0, from: member) != nil }
        let good = faulty.map { Array(frames[..<$0]) } ?? frames
        if !good.isEmpty { owner?.connection(self, received: good) }
        if let faulty, let fault = fault(of: frames[faulty], from: member) { end(fault) }
    }

    private func fault(of frame: PeerFrame, from member: MemberID) -> String? {
        if frame.cluster != trust.cluster { return "it sent a frame of cluster \(frame.cluster)" }
        if frame.from != member { return "it sent a frame in the name of member \(frame.from)" }
        if frame.to != own { return "it sent a frame for member \(frame.to), which this is not" }
        return nil
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if isReady && context.channel.isWritable { owner?.connectionWritable(self) }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { end(reason(for: error)) }

    private func reason(for error: any Error) -> String {
        if let objection { return objection }
        if case .failure(let refusal) = verdict { return refusal.description }
        let words = "\(error)"
        if words.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE") { return CertificateRefusal.missing.description }
        if words.contains("EOF during handshake") { return Self.closedEarly }
        if words.contains("_ALERT_") { return "it refused our certificate; its log says why (\(words))" }
        if member == nil, case NIOSSLError.handshakeFailed = error {
            return "the TLS handshake failed; is a Holdfast member at the other end? (\(words))"
        }
        return words
    }

    private static let closedEarly = "it closed the connection in the handshake"

    /// Closes the connection; nothing that arrives from now on counts. The first reason given stays.
    func end(_ reason: String) {
        guard endReason == nil else { return }
        endReason = reason
        handshakeAlarm?.cancel()
        channel?.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        reportEnd()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { reportEnd() }

    private func reportEnd() {
        handshakeAlarm?.cancel()
        guard !hasReportedEnd else { return }
        hasReportedEnd = true
        let reason =
            endReason ?? (member == nil ? "it closed the connection in the handshake" : "it closed the connection")
        endReason = reason
        owner?.connectionEnded(self, reason: reason)
        channel = nil
    }
}
