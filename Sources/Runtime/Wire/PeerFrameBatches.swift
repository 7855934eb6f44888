// Bytes of a connection to batches of peer frames, and back.

import Agent
import NIOCore

/// In the pipeline after TLS: in come bytes, out come all frames of one read as one batch; what is written are batches
/// too, and each leaves as one buffer.
public final class PeerFrameBatches: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = [PeerFrame]
    public typealias OutboundIn = [PeerFrame]
    public typealias OutboundOut = ByteBuffer

    public init() {}
}
