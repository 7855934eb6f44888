// The orders that wait for the address thread, and how it is woken.

import CKernel
import Cluster
import Consensus
import Glibc
import Kinds
import Synchronization

/// Orders in the sequence they came, at most `limit`. A newer hold takes the place of an older one of the same role that
/// is still waiting, unless something else was ordered for the role in between.
struct OrderQueue {
    static let limit = 1_024
    private(set) var orders: [AddressOrder] = []

    /// Returns the order that had to go because the queue is full: the oldest hold, whose lease then ends by itself;
    /// if only releases and drops are waiting, the new order.
    mutating func append(_ order: AddressOrder) -> AddressOrder? {
        if case .hold = order, let position = orders.lastIndex(where: { $0.role == order.role }),
            case .hold = orders[position]
        {
            orders[position] = order
            return nil
        }
        var discarded: AddressOrder?
        if orders.count >= Self.limit {
            let oldestHold = orders.firstIndex { if case .hold = $0 { true } else { false } }
            guard let oldestHold else { return order }
            discarded = orders.remove(at: oldestHold)
        }
        orders.append(order)
        return discarded
    }

    mutating func takeAll() -> [AddressOrder] {
        defer { orders = [] }
        return orders
    }
}

extension AddressOrder {
    var role: ResourceKey {
        switch self {
        case .hold(let role, _, _, _), .release(let role, _, _, _), .drop(let role, _): role
        }
    }
}

/// A descriptor that becomes readable when it is signalled (man 2 eventfd).
final class EventSignal: Sendable {
    let descriptor: Int32

    init(attempted: String) throws(AddressDriverError) {
        descriptor = holdfast_wakeup()
        guard descriptor >= 0 else {
            throw AddressDriverError(attempted: attempted, code: -descriptor, advice: "raise the limit of open files")
        }
    }

    deinit { close(descriptor) }

    /// Many signals before a `clear` are one.
    func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
    }

    /// Waits until it is signalled; false when that takes longer.
    func wait(milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) > 0
    }
}

/// What the address thread and its owner share.
final class OrderMailbox: Sendable {
    enum Wish { case work, stop, abandon }

    private struct Content {
        var queue = OrderQueue()
        var wish = Wish.work
        /// The newest wish to stand ready that was not taken yet.
        var places: SortedMap<ResourceKey, [VirtualAddress]>?
    }

    private let content = Mutex(Content())
    let arrived: EventSignal
    let finished: EventSignal

    init() throws(AddressDriverError) {
        arrived = try EventSignal(attempted: "open the order queue")
        finished = try EventSignal(attempted: "open the order queue")
    }

    /// Returns the order that found no place; see OrderQueue.
    func post(_ order: AddressOrder) -> AddressOrder? {
        let discarded = content.withLock { $0.wish == .work ? $0.queue.append(order) : order }
        arrived.signal()
        return discarded
    }

    func post(_ places: SortedMap<ResourceKey, [VirtualAddress]>) {
        content.withLock { $0.places = places }
        arrived.signal()
    }

    func post(_ wish: Wish) {
        content.withLock { $0.wish = wish }
        arrived.signal()
    }

    func take() -> (orders: [AddressOrder], places: SortedMap<ResourceKey, [VirtualAddress]>?, wish: Wish) {
        arrived.clear()
        return content.withLock { content in
            defer { content.places = nil }
            return (content.queue.takeAll(), content.places, content.wish)
        }
    }
}
