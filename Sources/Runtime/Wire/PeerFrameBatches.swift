// Bytes of a connection to batches of peer frames, and back. Stands in the pipeline right after TLS.
//
// In come bytes; out come all frames of one read as one batch, since handing frames over one by one costs many times
// more than decoding them. What is written are batches too; whoever writes decides when to flush.
// Does not: check who the other side is, keep the connection alive, or limit what is written and not yet sent.

import Agent
import NIOCore

/// Length-prefixed frames (four bytes, big-endian) in batches. A bad frame ends it: the frames before it are delivered,
/// the error is reported, the connection is closed, and whatever else arrives is ignored.
public final class PeerFrameBatches: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = [PeerFrame]
    public typealias OutboundIn = [PeerFrame]
    public typealias OutboundOut = ByteBuffer

    /// Frames handed on at once; a longer read becomes several batches.
    static let longestBatch = 1_024
    /// Bytes from which on a written batch goes on in a new buffer.
    static let bufferBytes = 256 * 1024

    private var received = ByteBuffer()
    private var batch: [PeerFrame] = []
    private var hasFailed = false

    public init() {}

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        var bytes = unwrapInboundIn(data)
        // At most one incomplete frame is kept, so at most its bound plus one read.
        if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
        do {
            reading: while true {
                switch try WireCodec.next(from: &received) {
                case .frame(let frame): batch.append(frame)
                case .unknown: break
                case .incomplete: break reading
                }
                if batch.count == Self.longestBatch { deliver(context: context) }
            }
            if received.readableBytes == 0 { received = ByteBuffer() } else { received.discardReadBytes() }
        } catch {
            hasFailed = true
            received = ByteBuffer()
            deliver(context: context)
            context.fireErrorCaught(error)
            context.close(promise: nil)
        }
    }

    public func channelReadComplete(context: ChannelHandlerContext) {
        deliver(context: context)
        context.fireChannelReadComplete()
    }

    public func channelInactive(context: ChannelHandlerContext) {
        received = ByteBuffer()
        deliver(context: context)
        context.fireChannelInactive()
    }

    /// A frame that cannot be encoded is a fault on this side: nothing after it in the batch is sent, the promise fails
    /// and the error is reported.
    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var buffer = context.channel.allocator.buffer(capacity: 4_096)
        do {
            for frame in unwrapOutboundIn(data) {
                try WireCodec.encode(frame, into: &buffer)
                if buffer.readableBytes >= Self.bufferBytes {
                    context.write(wrapOutboundOut(buffer), promise: nil)
                    buffer = context.channel.allocator.buffer(capacity: 4_096)
                }
            }
            context.write(wrapOutboundOut(buffer), promise: promise)
        } catch {
            if buffer.readableBytes > 0 { context.write(wrapOutboundOut(buffer), promise: nil) }
            promise?.fail(error)
            context.fireErrorCaught(error)
        }
    }

    private func deliver(context: ChannelHandlerContext) {
        guard !batch.isEmpty else { return }
        let frames = batch
        batch.removeAll(keepingCapacity: frames.count <= 64)
        context.fireChannelRead(wrapInboundOut(frames))
    }
}
