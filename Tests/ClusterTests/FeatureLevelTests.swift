// The feature level as the state keeps it.

import Consensus
import Testing

@testable import Cluster

private func member(_ number: UInt64, level: UInt64?) -> MemberRecord {
    MemberRecord(
        id: MemberID(rawValue: number), name: "m\(number)", kind: .host, peerEndpoint: "m\(number):7400",
        apiEndpoint: "m\(number):7443", version: "v\(number)", level: level)
}

private struct Home {
    var state = ClusterState()
    private var request: UInt64 = 0

    init(founder: UInt64?) { _ = apply(.bootstrap(clusterName: "home", member: member(1, level: founder))) }

    func record(_ command: Command) -> CommandRecord {
        CommandRecord(
            stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 1, actor: "tester",
            command: command)
    }

    mutating func apply(_ command: Command) -> Outcome {
        request += 1
        return state.apply(record(command))
    }

    mutating func join(_ number: UInt64, level: UInt64?) -> Outcome {
        _ = apply(.createToken(JoinToken(id: "\(number)", secretHash: "h", kind: .host, expiresMilliseconds: .max)))
        return apply(.join(tokenID: "\(number)", secretHash: "h", member: member(number, level: level)))
    }
}

@Test func aClusterBeginsAtTheLevelOfItsFounder() {
    #expect(Home(founder: 3).state.level == 3)
    #expect(Home(founder: nil).state.level == 0)
}

@Test func anOlderVersionDoesNotJoinAndItsTokenIsNotUsedUp() {
    var cluster = Home(founder: 2)
    let refused = cluster.join(2, level: 1)
    #expect(refused.code == .unsafe)
    #expect(refused.message.contains("m2 has version v2") && refused.message.contains("feature level 2"))
    #expect(cluster.apply(.join(tokenID: "2", secretHash: "h", member: member(2, level: 2))).code == .done)
}

@Test func theLevelIsNotRaisedOverAMemberThatNobodyNamed() {
    var cluster = Home(founder: 1)
    _ = cluster.join(2, level: 1)
    _ = cluster.apply(.announce(member: member(1, level: 2)))
    #expect(cluster.apply(.raiseLevel(to: 2, without: [])).code == .unsafe)
    #expect(cluster.state.level == 1)
    #expect(cluster.apply(.raiseLevel(to: 2, without: [MemberID(rawValue: 2)])).code == .done)
    #expect(cluster.state.level == 2)
    #expect(cluster.apply(.raiseLevel(to: 1, without: [])).code == .unchanged)
    #expect(cluster.state.events.last?.message.contains("left behind until upgraded: m2") == true)
}

@Test func aCommandOfAHigherLevelIsRefusedUntilItIsInForce() {
    var cluster = Home(founder: 1)
    _ = cluster.join(2, level: 1)
    var record = cluster.record(.put(key: "a", value: "b", expected: nil))
    record.stamp.request = 90
    record.level = 2
    let refused = cluster.state.apply(record)
    #expect(refused.code == .unsafe)
    #expect(refused.message.contains("because of m1 (version v1), m2 (version v2)"), "\(refused.message)")
    #expect(cluster.state.values.isEmpty)
    for number in 1...2 as ClosedRange<UInt64> { _ = cluster.apply(.announce(member: member(number, level: 2))) }
    #expect(cluster.apply(.raiseLevel(to: 2, without: [])).code == .done)
    record.stamp.request = 91
    #expect(cluster.state.apply(record).code == .done)
}

@Test func theLevelOfAnEntryIsReadWhateverElseIsInIt() throws {
    var cluster = Home(founder: 1)
    var record = cluster.record(.remove(key: "a"))
    record.level = 5
    let bytes = try CanonicalJSON.encode(record)
    #expect(CommandRecord.neededLevel(of: bytes) == 5)
    #expect(try CanonicalJSON.decode(CommandRecord.self, from: bytes) == record)
    // Level 1 is written as nothing, so that what has been written before stays the same.
    record.level = nil
    #expect(!String(decoding: try CanonicalJSON.encode(record), as: UTF8.self).contains("level"))
    #expect(CommandRecord.neededLevel(of: Array("garbage".utf8)) == nil)
    _ = cluster.apply(.act(what: "nothing"))
}
