// The agent's loop without a network: what it does for those who ask and go away.

import Agent
import Cluster
import Consensus
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import Runtime

/// The only member of a cluster, which it has founded.
private func founded() -> AgentCore {
    let record = MemberRecord(
        id: MemberID(rawValue: 1), name: "pve1", kind: .host, peerEndpoint: "127.0.0.1:7400",
        apiEndpoint: "127.0.0.1:7443", version: "1")
    var now = Instant(nanoseconds: 1_000_000_000)
    var random = SystemRandomNumberGenerator()
    var core = AgentCore(
        setup: AgentSetup(cluster: ClusterID(rawValue: 1), record: record, founds: "home", session: 1),
        hardState: HardState(), entries: [], now: now)
    var events: [AgentEvent] = [.tick]
    while core.state.events.isEmpty {
        let effects = core.handle(events, now: now, wallMilliseconds: 0, random: &random)
        events = effects.compactMap { if case .persist(let write) = $0 { .persisted(write.sequence) } else { nil } }
        now = now + .milliseconds(10)
    }
    return core
}

@Test func whoeverStopsFollowingEventsMakesRoomForOthers() async {
    let eventLoop = EmbeddedEventLoop()
    let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    let loop = AgentLoop(core: founded(), eventLoop: eventLoop, initialPeers: [], log: log)
    // As clients that go away at once: the loop gets to them only after that.
    for _ in 0..<AgentLoop.mostSubscribers { _ = loop.events(after: 0) }
    eventLoop.run()
    let stream = loop.events(after: 0)
    eventLoop.run()
    loop.abandon("the test is over")
    eventLoop.run()
    var received = 0
    for await _ in stream { received += 1 }
    #expect(received > 0)
}
