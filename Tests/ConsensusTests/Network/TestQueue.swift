// What is going to happen in a TestCluster, ordered by true time and then by when it was scheduled.

import Consensus

enum TestEvent {
    case deliver(Envelope)
    /// The oldest waiting write of a member becomes durable.
    case disk(Int, incarnation: UInt64)
    /// A snapshot is durable; `arrived`: another member sent it.
    case saved(Int, Snapshot, arrived: Bool, incarnation: UInt64)
    case tick(Int, incarnation: UInt64)
    case flush(Int, incarnation: UInt64)
    /// A command reaches a member, which proposes it if it leads.
    case command(Int, [UInt8])
}

/// A binary heap.
struct TestQueue {
    private struct Item {
        let time: Int64
        let sequence: UInt64
        let event: TestEvent

        func isBefore(_ other: Item) -> Bool { (time, sequence) < (other.time, other.sequence) }
    }

    private var items: [Item] = []
    private var lastSequence: UInt64 = 0

    var nextTime: Int64? { items.first?.time }

    mutating func push(_ event: TestEvent, at time: Int64) {
        lastSequence += 1
        items.append(Item(time: time, sequence: lastSequence, event: event))
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child].isBefore(items[parent]) else { break }
            items.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> TestEvent? {
        guard let first = items.first else { return nil }
        let last = items.removeLast()
        guard !items.isEmpty else { return first.event }
        items[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count {
                if items[child].isBefore(items[least]) { least = child }
            }
            guard least != parent else { return first.event }
            items.swapAt(parent, least)
            parent = least
        }
    }
}
