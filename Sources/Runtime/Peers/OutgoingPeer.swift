// The connection this member keeps open to one other, for sending: opened again whenever it ends, and a bounded queue for
// what cannot leave at once. Confined to the transport's event loop.
// Lost frames are not repeated: whoever sends (the consensus) repeats what matters.

import Agent
import Consensus
import Glibc
import NIOCore

/// Opens a connection; the completed connection reports to its owner. Fails when there is none to be had.
typealias PeerDial = (_ id: MemberID, _ stream: PeerStream, _ attempt: UInt64, _ endpoint: Endpoint) -> EventLoopFuture<
    PeerConnection
>

final class OutgoingPeer {
    /// What may wait for a peer whose connection is slow; beyond that the newest frame is dropped.
    static let mostQueuedBytes = 8 * 1024 * 1024
    static let mostQueuedFrames = 4_096
    /// What may wait for a peer without a connection; beyond that all of it gives way to the newest frame. When the peer
    /// comes back, its first heartbeat must not stand behind what was true long ago.
    static let mostWaitingBytes = 64 * 1024
    static let mostWaitingFrames = 256
    /// From so many bytes on a batch is handed to the connection before it is flushed.
    static let writeBytes = 256 * 1024
    static let shortestRetry = TimeAmount.milliseconds(20)
    static let longestRetry = TimeAmount.seconds(1)
    /// A connection that stood so long was a good one: after it, trying again starts with the shortest wait.
    static let settledAfter = TimeAmount.seconds(1)

    /// An attempt of this age says nothing about a peer that connects to us now: on a LAN it takes a few milliseconds.
    static let suspectAfter = TimeAmount.milliseconds(250)
    static let unansweredMilliseconds: UInt32 = 100
    /// So long after something was written to see whether anybody is there, an answer is overdue.
    static let secondLook = TimeAmount.milliseconds(120)

    private enum State {
        case stopped
        case waiting(Scheduled<Void>)
        /// Nil until TCP stands.
        case connecting(PeerConnection?)
        case connected(PeerConnection, since: NIODeadline)
    }

    let id: MemberID
    /// For people; it may change.
    var name: String
    let endpoint: Endpoint
    let stream: PeerStream
    private let loop: any EventLoop
    private let dial: PeerDial
    private let report: (OutgoingPeer, String) -> Void
    private let isUnanswered: (tcp_info) -> Bool
    private let meaninglessFrame: ByteBuffer
    private var state = State.stopped
    private var attempt: UInt64 = 0
    private var failures = 0
    /// The last connection stood for a while, or there was none yet.
    private(set) var hasSettled = true
    private var lastAttempt = NIODeadline.uptimeNanoseconds(0)
    private var queue = ByteBuffer()
    private var queuedFrames = 0
    private var hasUnflushedWrites = false
    /// Frames that were not sent because the queue was full.
    private(set) var dropped: UInt64 = 0

    /// - Parameters:
    ///   - meaninglessFrame: a frame that its recipient drops unread.
    ///   - report: called with a reason when an attempt or a connection has ended.
    init(
        id: MemberID, name: String, endpoint: Endpoint, stream: PeerStream = .messages, loop: any EventLoop,
        meaninglessFrame: ByteBuffer,
        isUnanswered: @escaping (tcp_info) -> Bool, dial: @escaping PeerDial,
        report: @escaping (OutgoingPeer, String) -> Void
    ) {
        self.id = id
        self.name = name
        self.endpoint = endpoint
        self.stream = stream
        self.loop = loop
        self.meaninglessFrame = meaninglessFrame
        self.isUnanswered = isUnanswered
        self.dial = dial
        self.report = report
    }

    /// While TCP stands.
    var channel: (any Channel)? {
        switch state {
        case .stopped, .waiting: nil
        case .connecting(let connection): connection?.channel
        case .connected(let connection, _): connection.channel
        }
    }

    var isConnected: Bool { if case .connected = state { true } else { false } }

    // MARK: Connecting

    func start() { if case .stopped = state { connect() } }

    var isStopped: Bool { if case .stopped = state { true } else { false } }

    /// Ends the connection and does not open another.
    func stop(_ reason: String) {
        let before = state
        state = .stopped
        queue.clear()
        queuedFrames = 0
        switch before {
        case .stopped: break
        case .waiting(let retry): retry.cancel()
        case .connecting(let connection): connection?.end(reason)
        case .connected(let connection, _): connection.end(reason)
        }
    }

    /// The peer has just connected to us: it is alive, so there is no point in waiting any longer, nor in an attempt from
    /// when its machine may have been off: TCP repeats a segment only after up to a second. The same goes for a connection
    /// that the peer has lost its memory of, because its machine lost power. It looks sound until the next segment is
    /// answered by a reset, and what that segment carried is lost: the answer to a pre-vote, say, and with it an election.
    ///
    /// Such a connection has either been unanswered for a while, or nothing was sent on it lately, as between followers.
    /// So something that may be lost is sent, and looked at again.
    func hurry() {
        switch state {
        case .stopped: return
        case .waiting(let retry):
            retry.cancel()
            // No sooner than that; but no later either: the next retry may be a second away.
            let waited = NIODeadline.now() - lastAttempt
            guard waited >= Self.shortestRetry else { return wait(Self.shortestRetry - waited) }
        case .connecting(let connection):
            let (age, attempt) = (NIODeadline.now() - lastAttempt, lastAttempt)
            guard age >= Self.suspectAfter else {
                // Its first segment may have come before the machine was up, and would be repeated after a second.
                loop.assumeIsolated().scheduleTask(in: Self.suspectAfter - age) { [weak self] in
                    guard let self, lastAttempt == attempt, case .connecting = state else { return }
                    hurry()
                }
                return
            }
            state = .connecting(nil)
            connection?.end("the member has come back meanwhile")
        case .connected(let connection, _):
            replaceIfUnanswered(connection)
            connection.channel?.writeAndFlush(meaninglessFrame, promise: nil)
            loop.assumeIsolated().scheduleTask(in: Self.secondLook) { [weak self] in
                self?.replaceIfUnanswered(connection)
            }
            return
        }
        connect()
    }

    private func replaceIfUnanswered(_ connection: PeerConnection) {
        guard case .connected(let present, _) = state, present === connection,
            let provider = connection.channel as? any SocketOptionProvider
        else { return }
        let asked = provider.getTCPInfo().hop(to: loop).assumeIsolated()
        asked.whenSuccess { [weak self] info in
            guard let self, isUnanswered(info), case .connected(let present, let since) = state,
                present === connection
            else { return }
            hasSettled = NIODeadline.now() - since >= Self.settledAfter
            if hasSettled { failures = 0 }
            // Before it reports its end, so that this end is not taken for one of the new connection.
            state = .connecting(nil)
            connection.end("the member has come back and does not know it any more")
            connect()
        }
    }

    /// Whether a connection carries what nobody has acknowledged for a while. The kernel at the other end does that within
    /// a round trip, however busy its programs are.
    static func isUnanswered(_ info: tcp_info) -> Bool {
        info.tcpi_unacked > 0 && info.tcpi_last_ack_recv >= Self.unansweredMilliseconds
    }

    private func connect() {
        attempt += 1
        lastAttempt = .now()
        state = .connecting(nil)
        let current = attempt
        dial(id, stream, current, endpoint).assumeIsolated().whenComplete { [weak self] result in
            self?.dialed(attempt: current, result)
        }
    }

    private func dialed(attempt: UInt64, _ result: Result<PeerConnection, any Error>) {
        guard attempt == self.attempt, case .connecting(nil) = state else {
            // Stopped meanwhile. A connection that is ready already is the one in `state`.
            if case .success(let connection) = result, !isCurrent(connection) { connection.end("no longer wanted") }
            return
        }
        switch result {
        case .failure(let error): retry(after: "cannot connect: \(error)")
        case .success(let connection):
            state = .connecting(connection)
            if connection.channel == nil { retry(after: "it closed the connection at once") }
        }
    }

    private func isCurrent(_ connection: PeerConnection) -> Bool {
        switch state {
        case .connecting(let present): present === connection
        case .connected(let present, _): present === connection
        case .stopped, .waiting: false
        }
    }

    /// Whether the connection is the one this peer asked for; otherwise it ends.
    func ready(_ connection: PeerConnection, attempt: UInt64) {
        guard attempt == self.attempt, case .connecting = state else { return connection.end("no longer wanted") }
        state = .connected(connection, since: .now())
        hasUnflushedWrites = false
        flush()
    }

    func ended(_ connection: PeerConnection, reason: String) {
        guard isCurrent(connection) else { return }
        if case .connected(_, let since) = state {
            hasSettled = NIODeadline.now() - since >= Self.settledAfter
            if hasSettled { failures = 0 }
        }
        retry(after: reason)
    }

    private func retry(after reason: String) {
        wait(Self.delay(failures: failures, jitter: Double.random(in: 0.5...1)))
        failures += 1
        report(self, reason)
    }

    private func wait(_ delay: TimeAmount) {
        state = .waiting(
            loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
                guard let self, case .waiting = state else { return }
                connect()
            })
    }

    /// 20 ms, doubled with every failure in a row up to 1 s, times the jitter, so that two members that lost each other
    /// do not try in step.
    static func delay(failures: Int, jitter: Double) -> TimeAmount {
        let doubled = shortestRetry.nanoseconds << Int64(min(max(failures, 0), 10))
        return .nanoseconds(Int64(Double(min(doubled, longestRetry.nanoseconds)) * jitter))
    }

    // MARK: Sending

    /// Queues a frame. It leaves with the next `flush`, or earlier when a lot is waiting.
    func send(_ frame: PeerFrame) throws(WireError) {
        if !isConnected {
            if queuedFrames >= Self.mostWaitingFrames || queue.readableBytes >= Self.mostWaitingBytes {
                dropped += UInt64(queuedFrames)
                queue.clear()
                queuedFrames = 0
            }
        } else if queuedFrames >= Self.mostQueuedFrames || queue.readableBytes >= Self.mostQueuedBytes {
            flush()
            guard queuedFrames == 0 else {
                dropped += 1
                return
            }
        }
        try WireCodec.encode(frame, into: &queue)
        queuedFrames += 1
        if queue.readableBytes >= Self.writeBytes { write(andFlush: false) }
    }

    /// Sends what waits, in one write, if the connection takes it.
    func flush() { write(andFlush: true) }

    private func write(andFlush flush: Bool) {
        guard case .connected(let connection, _) = state, let channel = connection.channel else { return }
        if queuedFrames > 0 && channel.isWritable {
            let batch = queue
            queue = channel.allocator.buffer(capacity: min(batch.readableBytes, Self.writeBytes))
            queuedFrames = 0
            channel.write(batch, promise: nil)
            hasUnflushedWrites = true
        }
        if flush && hasUnflushedWrites {
            hasUnflushedWrites = false
            channel.flush()
        }
    }
}
