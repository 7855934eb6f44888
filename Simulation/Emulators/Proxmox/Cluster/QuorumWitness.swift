// The third vote of two hosts: corosync-qnetd with the algorithm ffsplit, as far as its vote is concerned. Every node
// says which nodes it sees; one partition gets the vote, the largest, and of two equal ones that with the lowest node.
// Who holds the vote keeps it while its partition is as large as any other.

/// A quorum device's server.
public struct QuorumWitness: Sendable {
    /// How long a node's word is good, in milliseconds. With a real qnetd 1.5 times what qdevice sets between two heartbeats,
    /// which is eight tenths of the device's `timeout`: 12 s at its default of 10 s, 1.2 s for 1 s.
    let wordMilliseconds: Int64

    private struct Word: Sendable {
        var sees: [Int]
        var at: Moment
    }

    private var words: [Int: Word] = [:]
    private var holders: [Int] = []

    public init(wordMilliseconds: Int64 = 5_000) { self.wordMilliseconds = wordMilliseconds }

    /// A node reports whom it sees (itself included) and learns whether its partition has the vote.
    public mutating func report(node: Int, sees: [Int], now: Moment) -> Bool {
        words[node] = Word(sees: sees.sorted(), at: now)
        words = words.filter { now - $0.value.at < wordMilliseconds }
        let partitions = partitions()
        let most = partitions.map(\.count).max() ?? 0
        let largest = partitions.filter { $0.count == most }
        let keeps = largest.first { partition in holders.contains { partition.contains($0) } && !holders.isEmpty }
        let chosen = keeps ?? largest.min { $0[0] < $1[0] } ?? []
        holders = chosen
        return chosen.contains(node)
    }

    /// Nodes that see each other, by their own word.
    private func partitions() -> [[Int]] {
        var left = words.keys.sorted()
        var found: [[Int]] = []
        while let first = left.first {
            let sees = words[first]?.sees ?? []
            let partition = left.filter {
                $0 == first || (sees.contains($0) && words[$0]?.sees.contains(first) == true)
            }
            found.append(partition)
            left.removeAll { partition.contains($0) }
        }
        return found
    }
}
