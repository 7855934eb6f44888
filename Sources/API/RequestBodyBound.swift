// Closes a connection whose request body goes on far beyond what any route takes. A route answers 413 as soon as its
// limit is passed, but the rest of the body still has to be read off the connection; this bounds that rest.

import NIOCore
import NIOHTTPTypes

final class RequestBodyBound: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private let mostBytes: Int
    private var bytes = 0

    init(mostBytes: Int) { self.mostBytes = mostBytes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: bytes = 0
        case .body(let part):
            bytes += part.readableBytes
            guard bytes <= mostBytes else {
                context.close(promise: nil)
                return
            }
        case .end: break
        }
        context.fireChannelRead(data)
    }
}
