// Which of its two connections to another member a frame takes. Parts of snapshots have one of their own, so that on a slow
// or lossy link a heartbeat never stands behind them in TCP's order.

import Agent
import Consensus
import NIOCore

/// What a connection is for, agreed on in the handshake (ALPN, RFC 7301), so that the accepting side knows it before the
/// first frame.
enum PeerStream: String, CaseIterable, Sendable {
    /// Everything that a lease or an acknowledgement may wait for.
    case messages = "holdfast/1"
    /// Parts of snapshots.
    case bulk = "holdfast-bulk/1"

    /// A connection for snapshots that carried nothing for so long is closed.
    static let bulkIdle = TimeAmount.seconds(30)

    /// What was agreed on; a member from before there were two streams agrees on nothing, and means the one it knows.
    init?(negotiated: String?) {
        guard let negotiated else {
            self = .messages
            return
        }
        self.init(rawValue: negotiated)
    }

    init(for frame: PeerFrame) {
        if case .consensus(_, .snapshotChunk) = frame.body { self = .bulk } else { self = .messages }
    }
}
