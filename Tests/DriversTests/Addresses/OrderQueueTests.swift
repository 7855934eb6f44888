// The queue of address orders: what replaces what, and what gives way when it is full.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Drivers

@Suite struct OrderQueueTests {
    private let address = VirtualAddress(address: "10.0.0.1", prefixLength: 24)

    private func hold(_ name: String, until: Int64) -> AddressOrder {
        .hold(
            role: ResourceKey(kind: "VirtualIP", name: name), addresses: [address], epoch: 1,
            until: Instant(nanoseconds: until))
    }

    private func drop(_ name: String) -> AddressOrder {
        .drop(role: ResourceKey(kind: "VirtualIP", name: name), addresses: [address])
    }

    @Test func aNewerHoldReplacesAWaitingOneOfItsRole() {
        var queue = OrderQueue()
        for order in [hold("a", until: 1), hold("b", until: 1), hold("a", until: 2)] {
            #expect(queue.append(order) == nil)
        }
        #expect(queue.takeAll() == [hold("a", until: 2), hold("b", until: 1)])
        #expect(queue.orders.isEmpty)
    }

    @Test func aHoldAfterADropIsNotMovedBeforeIt() {
        var queue = OrderQueue()
        for order in [hold("a", until: 1), drop("a"), hold("a", until: 2)] { _ = queue.append(order) }
        #expect(queue.takeAll() == [hold("a", until: 1), drop("a"), hold("a", until: 2)])
    }

    @Test func whenFullTheOldestHoldGivesWayAndThenTheNewOrder() {
        var queue = OrderQueue()
        _ = queue.append(hold("held", until: 1))
        for number in 1..<OrderQueue.limit { #expect(queue.append(drop("\(number)")) == nil) }
        #expect(queue.append(drop("late")) == hold("held", until: 1))
        #expect(queue.append(drop("later")) == drop("later"))
        #expect(queue.orders.count == OrderQueue.limit)
    }
}
