// Connections of which nobody knows yet whose they are: in the handshake, or without a certificate. Everyone can open them, so
// they are few, and none of them stays for as long as it likes. Whoever has shown a certificate is not counted here.
//
// When as many are open as may be, the address that has the most of them gives one up: a further one of its own is closed at
// once, for another address its oldest one is. So a machine that opens as many as it can is in its own way only.

import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOSSL
import NIOTLS
import Synchronization

final class Strangers: Sendable {
    private struct Table {
        /// Oldest first.
        var open: [String: [any Channel]] = [:]
        var count = 0
        var closed: UInt64 = 0
        var reported: NIODeadline?
    }

    private let most: Int
    private let logger: Logger
    private let table = Mutex(Table())

    init(most: Int, logger: Logger) {
        self.most = most
        self.logger = logger
    }

    /// How many were closed to make room since the start.
    var closed: UInt64 { table.withLock { $0.closed } }

    /// - Returns: false when this one is to be closed.
    func enter(_ channel: any Channel, from address: String) -> Bool {
        let (isLet, victim, words) = table.withLock { table -> (Bool, (any Channel)?, String?) in
            var victim: (any Channel)?
            var words: String?
            if table.count >= most {
                // Of two with as many, the one that asks for another.
                let own = table.open[address]?.count ?? 0
                let largest = table.open.max { $0.value.count < $1.value.count }
                table.closed += 1
                words = Self.report(&table, largest?.key ?? address)
                guard let largest, largest.value.count > own else { return (false, nil, words) }
                victim = table.open[largest.key]?.removeFirst()
                if largest.value.count == 1 { table.open[largest.key] = nil }
                table.count -= 1
            }
            table.open[address, default: []].append(channel)
            table.count += 1
            return (true, victim, words)
        }
        victim?.close(promise: nil)
        if let words { logger.warning("\(words)") }
        return isLet
    }

    /// It is known now, or gone.
    func leave(_ channel: any Channel, from address: String) {
        table.withLock { table in
            guard let place = table.open[address]?.firstIndex(where: { $0 === channel }) else { return }
            table.open[address]?.remove(at: place)
            if table.open[address]?.isEmpty == true { table.open[address] = nil }
            table.count -= 1
        }
    }

    /// A line a minute is enough.
    private static func report(_ table: inout Table, _ address: String) -> String? {
        let now = NIODeadline.now()
        if let reported = table.reported, now - reported < .minutes(1) { return nil }
        table.reported = now
        return """
            \(table.count) connections to the API are open that have shown no certificate, most of them from \(address); \
            connections from there are closed (\(table.closed) so far)
            """
    }
}

/// Bounds one connection: how long its handshake takes, and how long the head of a request does. Bytes that arrive lengthen
/// neither.
final class ConnectionBound: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let strangers: Strangers
    private let shown: ShownCertificates
    private let patience: TimeAmount
    private var address = ""
    private var isStranger = false
    /// Since when nothing is due from this side; nil while a request is in work.
    private var waitingSince: NIODeadline? = .now()
    private var inWork = 0
    private var alarm: Scheduled<Void>?

    init(strangers: Strangers, shown: ShownCertificates, patience: TimeAmount) {
        self.strangers = strangers
        self.shown = shown
        self.patience = patience
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        address = channel.remoteAddress?.ipAddress ?? ""
        guard strangers.enter(channel, from: address) else {
            context.close(promise: nil)
            return
        }
        isStranger = true
        waitingSince = .now()
        look(channel, in: patience)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(context) }

    func channelInactive(context: ChannelHandlerContext) {
        end(context)
        context.fireChannelInactive()
    }

    private func end(_ context: ChannelHandlerContext) {
        alarm?.cancel()
        alarm = nil
        if isStranger { strangers.leave(context.channel, from: address) }
        isStranger = false
        shown.forget(context.channel)
    }

    /// One timer at a time, which looks how long it has been; a request costs none.
    private func look(_ channel: any Channel, in delay: TimeAmount) {
        alarm = channel.eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            guard let self else { return }
            let left = waitingSince.map { $0 + patience - .now() } ?? patience
            if left.nanoseconds > 0 { look(channel, in: left) } else { channel.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event, isStranger,
            let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate(),
            let bytes = try? certificate.toDERBytes()
        {
            shown.shows(context.channel, bytes)
            strangers.leave(context.channel, from: address)
            isStranger = false
        }
        if case TLSUserEvent.handshakeCompleted = event { waitingSince = .now() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head = unwrapInboundIn(data) {
            inWork += 1
            waitingSince = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            inWork -= 1
            if inWork == 0 { waitingSince = .now() }
        }
        context.write(data, promise: promise)
    }
}
