// Networks in which not everyone reaches everyone. Wherever one member reaches a majority, there must be a leader, and
// it must stay; checked for every possible network of three to five members.

import Consensus
import Testing

@Suite struct PartialConnectivityTests {
    private struct Link {
        let one: Int
        let other: Int
    }

    private static func links(_ members: Int) -> [Link] {
        (1...members).flatMap { one in (one + 1..<members + 1).map { Link(one: one, other: $0) } }
    }

    @Test("10 every network in which somebody reaches a majority has a stable leader", arguments: [3, 4, 5], 0..<4)
    func everyConnectedMajorityKeepsALeader(members: Int, quarter: Int) {
        let links = Self.links(members)
        var settled = TestCluster(voters: members)
        settled.establish(leader: 1)
        settled.run(for: .milliseconds(300))
        for network in 0..<(1 << links.count) where network % 4 == quarter {
            var degree = Array(repeating: 0, count: members + 1)
            var cluster = settled
            for (bit, link) in links.enumerated() {
                if network & (1 << bit) == 0 {
                    cluster.network.cut(between: link.one, and: link.other)
                } else {
                    degree[link.one] += 1
                    degree[link.other] += 1
                }
            }
            let canLead = degree.contains { $0 + 1 >= members / 2 + 1 }
            cluster.run(for: .milliseconds(canLead ? 3_000 : 1_500))
            let leader = cluster.leader
            guard canLead else {
                #expect(leader == nil, "network \(network) of \(members)")
                continue
            }
            let term = leader.map { cluster.raft($0).term }
            cluster.run(for: .seconds(2))
            #expect(leader != nil && cluster.leader == leader, "network \(network) of \(members)")
            #expect(leader.map { cluster.raft($0).term } == term, "network \(network) of \(members)")
            #expect(cluster.checks.violation == nil)
        }
    }
}
