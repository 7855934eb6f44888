// What is going to happen, in order: by time, then by the order of scheduling. A binary heap of small keys; what happens
// lies beside it, so that sifting moves no references.

struct EventQueue<Event> {
    private struct Key {
        let time: Int64
        let order: UInt64
        let slot: Int

        static func < (left: Key, right: Key) -> Bool {
            left.time == right.time ? left.order < right.order : left.time < right.time
        }
    }

    private var heap: [Key] = []
    private var slots: [Event?] = []
    private var free: [Int] = []
    private var scheduled: UInt64 = 0

    var count: Int { heap.count }
    /// True nanoseconds of the next event.
    var nextTime: Int64 { heap.first?.time ?? .max }

    mutating func push(_ event: consuming Event, at time: Int64) {
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            var filled: Event? = consume event
            swap(&filled, &slots[slot])
        } else {
            slot = slots.count
            slots.append(event)
        }
        scheduled += 1
        var position = heap.count
        let key = Key(time: time, order: scheduled, slot: slot)
        heap.append(key)
        while position > 0 {
            let parent = (position - 1) / 2
            guard key < heap[parent] else { break }
            heap[position] = heap[parent]
            position = parent
        }
        heap[position] = key
    }

    /// The next event; its time was `nextTime`.
    mutating func pop() -> Event? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        // Moved out, not copied: an event refers to much that would be counted up and down again.
        var event: Event?
        swap(&event, &slots[top.slot])
        free.append(top.slot)
        return event
    }

    private mutating func sink(_ key: Key) {
        var position = 0
        while true {
            var child = 2 * position + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < key else { break }
            heap[position] = heap[child]
            position = child
        }
        heap[position] = key
    }
}
