// What happens to messages between the members of a TestCluster.

import Consensus

struct TestNetwork {
    enum Fate {
        case deliver
        case drop
        /// Kept aside until the test lets it go.
        case hold
    }

    /// Decides about single messages; asked before everything else.
    var fate: ((Envelope) -> Fate)?
    var held: [Envelope] = []
    /// True nanoseconds on the way.
    var latency: ClosedRange<Int64> = 50_000...400_000
    var dropPermille: Int64 = 0
    var duplicatePermille: Int64 = 0
    /// Messages that take up to three seconds.
    var latePermille: Int64 = 0
    private var cuts: [[Bool]]

    init(members: Int) { cuts = Array(repeating: Array(repeating: false, count: members + 1), count: members + 1) }

    /// Cuts one direction.
    mutating func cut(from: Int, to: Int) { cuts[from][to] = true }

    /// Cuts both directions between every member of `group` and every other member.
    mutating func isolate(_ group: [Int]) {
        for inside in group {
            for outside in cuts.indices where !group.contains(outside) {
                cuts[inside][outside] = true
                cuts[outside][inside] = true
            }
        }
    }

    mutating func heal() {
        for row in cuts.indices { for column in cuts.indices { cuts[row][column] = false } }
    }

    /// The delays after which copies of a message arrive; none when it is lost.
    mutating func delays(of envelope: Envelope, random: inout SplitMix64) -> [Int64] {
        switch fate?(envelope) ?? .deliver {
        case .deliver: break
        case .drop: return []
        case .hold:
            held.append(envelope)
            return []
        }
        guard !isCut(envelope), !random.chance(dropPermille) else { return [] }
        let copies = random.chance(duplicatePermille) ? 2 : 1
        return (0..<copies).map { _ in
            random.chance(latePermille) ? random.draw(1_000_000...3_000_000_000) : random.draw(latency)
        }
    }

    func isCut(_ envelope: Envelope) -> Bool { cuts[Int(envelope.from.rawValue)][Int(envelope.to.rawValue)] }
    func isCut(from: Int, to: Int) -> Bool { cuts[from][to] }
}
