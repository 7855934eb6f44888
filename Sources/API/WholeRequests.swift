// Marks the requests whose body came together with their head, as nearly all do: whoever reads such a body waits for nobody, and
// needs no deadline for it. A deadline is two tasks and a timer with every request, and the timer outlives it.
//
// Relies on: the head and the body of a small request being read off the connection in one go. When they are not, the request
// goes on unmarked with what has come of it, and is waited for like any other.

import HTTPTypes
import NIOCore
import NIOHTTPTypes

final class WholeRequests: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    /// The mark is a field of the head. What a client sends under this name is taken away.
    private static let mark = HTTPField.Name("Holdfast-Whole")
    /// Bytes of body that are kept back at most.
    private static let mostBytes = 64 * 1024

    /// Whether the whole body is there.
    static func isWhole(_ head: HTTPFields) -> Bool { mark.map { head.contains($0) } ?? false }

    private var head: HTTPRequest?
    private var body: [ByteBuffer] = []
    private var bytes = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(var request):
            if let mark = Self.mark { request.headerFields[mark] = nil }
            head = request
        case .body(let part):
            guard head != nil else { return context.fireChannelRead(data) }
            body.append(part)
            bytes += part.readableBytes
            if bytes > Self.mostBytes { pass(context, isWhole: false) }
        case .end:
            if head != nil { pass(context, isWhole: true) }
            context.fireChannelRead(data)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if head != nil { pass(context, isWhole: false) }
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        (head, body, bytes) = (nil, [], 0)
        context.fireChannelInactive()
    }

    /// Sends on what is kept back.
    private func pass(_ context: ChannelHandlerContext, isWhole: Bool) {
        guard var request = head else { return }
        let parts = body
        (head, body, bytes) = (nil, [], 0)
        if isWhole, let mark = Self.mark { request.headerFields[mark] = "1" }
        context.fireChannelRead(wrapInboundOut(.head(request)))
        for part in parts { context.fireChannelRead(wrapInboundOut(.body(part))) }
    }
}
