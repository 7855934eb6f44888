// When a connection to another member is tried again.

import Consensus
import NIOCore
import NIOEmbedded
import Testing

@testable import Runtime

@Suite struct OutgoingPeerTests {
    /// The leader may be lost in the second that would be waited otherwise, and the answer to a vote is lost with it.
    @Test func aMemberThatComesBackRightAfterAnAttemptIsTriedAgainSoon() {
        let loop = EmbeddedEventLoop()
        var attempts = 0
        let peer = OutgoingPeer(
            id: MemberID(rawValue: 1), name: "pve2", endpoint: Endpoint(host: "127.0.0.1", port: 1), loop: loop,
            meaninglessFrame: ByteBuffer(), isUnanswered: { _ in false },
            dial: { _, _, _, _ in
                attempts += 1
                return loop.makeFailedFuture(ChannelError.connectTimeout(.seconds(1)))
            }, report: { _, _ in })
        peer.start()
        // From then on half a second or more lies between two attempts.
        while attempts < 8 { loop.advanceTime(by: .seconds(1)) }
        let before = attempts
        peer.hurry()
        peer.hurry()
        loop.advanceTime(by: OutgoingPeer.shortestRetry)
        #expect(attempts == before + 1)
        peer.stop("the test is over")
        loop.advanceTime(by: .seconds(5))
        #expect(attempts == before + 1)
    }
}
