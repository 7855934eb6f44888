// Frames between members, and connections that come and go.

import Agent
import Cluster
import Consensus
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct PeersTransportTests {
    let cluster: TestCluster
    let other: MemberIdentity

    init() throws {
        cluster = try TestCluster()
        other = try cluster.member("pve2")
    }

    private func pair() async throws -> (TestPeer, TestPeer) {
        let first = try await TestPeer(cluster.founder, admits: [other])
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([first.record, second.record])
        try await second.setPeers([first.record, second.record])
        _ = try await first.log.line("connected to a member", "pve2")
        _ = try await second.log.line("connected to a member", "pve1")
        _ = try await first.log.line("a member connected")
        _ = try await second.log.line("a member connected")
        return (first, second)
    }

    @Test func twoMembersExchangeFramesInOrder() async throws {
        let (first, second) = try await pair()
        let ids = Array(UInt64(1)...3_000)
        try await first.send(ids.map { first.frame(to: other, $0) })
        try await second.send([second.frame(to: cluster.founder, 7)])
        let last = first.frame(to: other, 3_000)
        _ = try await second.frames.first { $0 == last }
        #expect(second.frames.items == ids.map { first.frame(to: other, $0) })
        let answer = second.frame(to: cluster.founder, 7)
        _ = try await first.frames.first { $0 == answer }
        #expect(try await first.connected() == [other.member])
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aLargeFrameArrives() async throws {
        let (first, second) = try await pair()
        let record = [UInt8](repeating: 7, count: 1_000_000)
        let large = PeerFrame(
            cluster: cluster.founder.cluster, from: cluster.founder.member, to: other.member,
            body: .proposal(id: 1, record: record))
        try await first.send([large, first.frame(to: other, 2)])
        let after = first.frame(to: other, 2)
        _ = try await second.frames.first { $0 == after }
        #expect(second.frames.items == [large, after])
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func whatWasSentBeforeTheConnectionStandsArrives() async throws {
        let second = try await TestPeer(other, admits: [cluster.founder])
        let first = try await TestPeer(cluster.founder, admits: [other])
        try await first.setPeers([second.record])
        let early = first.frame(to: other, 1)
        try await first.send([early])
        _ = try await second.frames.first { $0 == early }
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aMemberThatComesBackIsFoundAgain() async throws {
        let (first, second) = try await pair()
        await second.transport.shutDown()
        _ = try await first.log.line("no connection to a member", "pve2")
        let seen = first.log.items.count
        let restarted = try await TestPeer(other, admits: [cluster.founder], port: second.port)
        try await restarted.setPeers([first.record])
        _ = try await first.log.line(from: seen, "connected to a member", "pve2")
        let late = first.frame(to: other, 99)
        try await first.send([late])
        _ = try await restarted.frames.first { $0 == late }
        await first.transport.shutDown()
        await restarted.transport.shutDown()
    }

    @Test func anUnansweredConnectionIsReplacedWhenTheMemberComesBack() async throws {
        let first = try await TestPeer(cluster.founder, admits: [other], isUnanswered: { _ in true })
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([second.record])
        _ = try await first.log.line("connected to a member", "pve2")
        _ = try await second.log.line("a member connected")
        let seen = second.log.items.count
        let restarted = try await TestPeer(other, admits: [cluster.founder])
        try await restarted.setPeers([first.record])
        _ = try await second.log.line(from: seen, "a member connected")
        let frame = first.frame(to: other, 5)
        try await first.send([frame])
        _ = try await second.frames.first { $0 == frame }
        for peer in [first, second, restarted] { await peer.transport.shutDown() }
    }

    /// Between two followers nothing is sent for long, so nothing tells that the other's machine has been off and on.
    @Test(.enabled(if: getuid() == 0, "dropping a connection without a word, as a power loss does, needs root"))
    func anIdleConnectionThatTheMemberHasForgottenIsReplacedBeforeItIsNeeded() async throws {
        let first = try await TestPeer(cluster.founder, admits: [other])
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([second.record])
        _ = try await second.log.line("a member connected")
        let seen = second.log.items.count
        try await second.transport.loop.submit { try second.transport.forgetConnections() }.get()
        try await second.setPeers([first.record])
        _ = try await second.log.line(from: seen, "a member connected")
        let frame = first.frame(to: other, 5)
        try await first.send([frame])
        _ = try await second.frames.first { $0 == frame }
        for peer in [first, second] { await peer.transport.shutDown() }
    }

    @Test func aConnectionIsLookedAtASecondTime() async throws {
        let looks = Mutex(0)
        let first = try await TestPeer(
            cluster.founder, admits: [other],
            isUnanswered: { _ in
                looks.withLock {
                    $0 += 1
                    return $0 == 2
                }
            })
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([second.record])
        _ = try await first.log.line("connected to a member", "pve2")
        let seen = first.log.items.count
        try await second.setPeers([first.record])
        _ = try await first.log.line(from: seen, "connected to a member", "pve2")
        for peer in [first, second] { await peer.transport.shutDown() }
    }

    @Test func aSoundConnectionIsKeptWhenTheMemberConnects() async throws {
        let first = try await TestPeer(cluster.founder, admits: [other], isUnanswered: { _ in false })
        let second = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([second.record])
        _ = try await first.log.line("connected to a member", "pve2")
        try await second.setPeers([first.record])
        _ = try await first.log.line("a member connected")
        let frame = first.frame(to: other, 5)
        try await first.send([frame])
        _ = try await second.frames.first { $0 == frame }
        #expect(first.log.items.count { $0.contains("connected to a member") } == 1)
        for peer in [first, second] { await peer.transport.shutDown() }
    }

    @Test func unansweredIsWhatNobodyHasAcknowledgedForAWhile() {
        var info = tcp_info()
        #expect(!OutgoingPeer.isUnanswered(info))
        info.tcpi_last_ack_recv = 5_000
        #expect(!OutgoingPeer.isUnanswered(info), "an idle connection waits for nothing")
        info.tcpi_unacked = 1
        #expect(OutgoingPeer.isUnanswered(info))
        info.tcpi_last_ack_recv = 3
        #expect(!OutgoingPeer.isUnanswered(info), "it is on its way")
    }

    @Test func aChangedEndpointIsConnectedTo() async throws {
        let (first, second) = try await pair()
        let moved = try await TestPeer(other, admits: [cluster.founder])
        try await first.setPeers([moved.record])
        let frame = first.frame(to: other, 5)
        try await first.send([frame])
        _ = try await moved.frames.first { $0 == frame }
        #expect(second.frames.items.isEmpty)
        for peer in [first, second, moved] { await peer.transport.shutDown() }
    }

    @Test func aRemovedMemberIsCutOffAtOnceAndStaysOut() async throws {
        let (first, second) = try await pair()
        let seen = second.log.items.count
        first.allowed.remove(other.member)
        try await first.setPeers([])
        _ = try await first.log.line("a connection ended", "does not belong to the cluster any more")
        #expect(try await first.connected().isEmpty)
        // It tries again, and is refused in the handshake.
        _ = try await first.log.line("a stranger", "does not belong to this cluster")
        _ = try await second.log.line(from: seen, "no connection to a member", "pve1")
        try await first.send([first.frame(to: other, 1)])
        #expect(first.frames.items.isEmpty)
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aSecondConnectionOfAMemberReplacesTheFirst() async throws {
        let peer = try await TestPeer(cluster.founder, admits: [other])
        let one = try await Stranger(to: peer, as: other)
        _ = try await peer.log.line("a member connected")
        let two = try await Stranger(to: peer, as: other)
        try await one.closed.get()
        _ = try await peer.log.line("opened another connection")
        let frame = PeerFrame(
            cluster: other.cluster, from: other.member, to: cluster.founder.member, body: .readIndex(id: 1))
        try two.send(frame)
        _ = try await peer.frames.first { $0 == frame }
        await peer.transport.shutDown()
    }

    @Test func forAnUnreachableMemberOnlyTheNewestFramesWait() async throws {
        let first = try await TestPeer(cluster.founder, admits: [other])
        let second = try await TestPeer(other, admits: [cluster.founder])
        await second.transport.shutDown()
        try await first.setPeers([second.record])
        let most = OutgoingPeer.mostWaitingFrames
        try await first.send((0..<most + 50).map { first.frame(to: other, UInt64($0)) })
        let dropped = try await first.transport.loop.submit { first.transport.droppedFrames(to: other.member) }.get()
        #expect(dropped == UInt64(most))
        let restarted = try await TestPeer(other, admits: [cluster.founder], port: second.port)
        let last = first.frame(to: other, UInt64(most + 49))
        _ = try await restarted.frames.first { $0 == last }
        #expect(restarted.frames.items == (most..<most + 50).map { first.frame(to: other, UInt64($0)) })
        await first.transport.shutDown()
        await restarted.transport.shutDown()
    }

    @Test func manyFramesAtOnceAreNotDroppedWhileThePeerTakesThem() async throws {
        let (first, second) = try await pair()
        let count = OutgoingPeer.mostQueuedFrames * 2
        try await first.send((0..<count).map { first.frame(to: other, UInt64($0)) })
        let last = first.frame(to: other, UInt64(count - 1))
        _ = try await second.frames.first { $0 == last }
        #expect(second.frames.items.count == count)
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aFrameTooLargeToSendHarmsNothing() async throws {
        let (first, second) = try await pair()
        let large = PeerFrame(
            cluster: cluster.founder.cluster, from: cluster.founder.member, to: other.member,
            body: .proposal(id: 1, record: [UInt8](repeating: 0, count: WireCodec.longestFrame + 1)))
        try await first.send([large, first.frame(to: other, 2)])
        let after = first.frame(to: other, 2)
        _ = try await second.frames.first { $0 == after }
        #expect(second.frames.items == [after])
        _ = try await first.log.line("a frame was not sent")
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aRenewedCertificateIsShownFromThenOn() async throws {
        let (first, second) = try await pair()
        let renewed = try other.renewed(with: cluster.authority.issue(member: "pve2", key: other.key.publicKey))
        try await second.transport.loop.submit { try second.transport.use(renewed) }.get()
        try await second.setPeers([])
        try await second.setPeers([first.record])
        let frame = second.frame(to: cluster.founder, 3)
        try await second.send([frame])
        _ = try await first.frames.first { $0 == frame }
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    @Test func aDeadHostIsNoticedByTheKernel() async throws {
        let peer = try await TestPeer(cluster.founder, admits: [])
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in channel.eventLoop.makeCompletedFuture { try PeerSocket.prepare(channel) } }
            .connect(host: "127.0.0.1", port: peer.port).get()
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_USER_TIMEOUT))
        #expect(try await channel.getOption(option).get() == 1_000)
        #expect(try await channel.getOption(.socketOption(.so_keepalive)).get() == 1)
        try await channel.close()
        await peer.transport.shutDown()
    }

    @Test func aTakenPortIsNamedWithTheWayToFindWhoHasIt() async throws {
        let first = try await TestPeer(cluster.founder, admits: [])
        let error = await #expect(throws: PeerTransportError.self) {
            _ = try await TestPeer(other, admits: [], port: first.port)
        }
        #expect(error?.description.contains("127.0.0.1:\(first.port)") == true)
        #expect(error?.description.contains("ss -ltnp 'sport = :\(first.port)'") == true)
        await first.transport.shutDown()
    }

    @Test func afterShuttingDownThePortIsFree() async throws {
        let first = try await TestPeer(cluster.founder, admits: [other])
        await first.transport.shutDown()
        let again = try await TestPeer(cluster.founder, admits: [other], port: first.port)
        await again.transport.shutDown()
        await again.transport.shutDown()
    }

    @Test func retriesWaitLongerAndLongerUpToASecond() {
        #expect(OutgoingPeer.delay(failures: 0, jitter: 1) == .milliseconds(20))
        #expect(OutgoingPeer.delay(failures: 3, jitter: 1) == .milliseconds(160))
        #expect(OutgoingPeer.delay(failures: 3, jitter: 0.5) == .milliseconds(80))
        for failures in [6, 10, 1_000, Int.max] {
            #expect(OutgoingPeer.delay(failures: failures, jitter: 1) == .seconds(1))
        }
    }

    @Test func reasonsThatDifferInANumberAreOneLine() {
        let reasons = ["a peer frame of 2516582400 bytes; at most 9", "a peer frame of 7 bytes; at most 9"]
        #expect(Set(reasons.map { ReportThrottle.subject("from a", $0) }).count == 1)
        #expect(ReportThrottle.subject("from a", "x") != ReportThrottle.subject("from b", "x"))
    }

    @Test func aRepeatedReportIsCountedInsteadOfShown() {
        var throttle = ReportThrottle()
        let start = NIODeadline.uptimeNanoseconds(1_000)
        #expect(throttle.admit("a", now: start) == 0)
        #expect(throttle.admit("a", now: start + .seconds(1)) == nil)
        #expect(throttle.admit("b", now: start + .seconds(1)) == 0)
        #expect(throttle.admit("a", now: start + .seconds(2)) == nil)
        #expect(throttle.admit("a", now: start + .seconds(11)) == 2)
        for index in 0..<1_000 { _ = throttle.admit("subject \(index)", now: start + .seconds(12)) }
        #expect(throttle.admit("yet another", now: start + .seconds(12)) == nil)
    }
}
