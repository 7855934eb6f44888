// A map whose order is the order of its keys, so that iterating it is the same on every member and in every process.
// Dictionary and Set order differs between processes and is banned from the pure half.
// Look-up is O(log n); insertion and removal move O(n) elements: meant for up to some ten thousand entries.

/// An ordered map on two parallel arrays.
public struct SortedMap<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    public private(set) var keys: [Key] = []
    public private(set) var values: [Value] = []

    public init() {}

    /// Builds from pairs in any order; of equal keys the last one stays.
    public init(_ pairs: [(Key, Value)]) {
        for (key, value) in pairs { self[key] = value }
    }

    public var count: Int { keys.count }
    public var isEmpty: Bool { keys.isEmpty }

    /// The position of the first key that is not less than `key`.
    public func lowerBound(_ key: Key) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    public func index(of key: Key) -> Int? {
        let position = lowerBound(key)
        return position < keys.count && keys[position] == key ? position : nil
    }

    public func contains(_ key: Key) -> Bool { index(of: key) != nil }

    /// Reads, inserts, replaces (a value) or removes (nil).
    public subscript(key: Key) -> Value? {
        get { index(of: key).map { values[$0] } }
        set {
            let position = lowerBound(key)
            let present = position < keys.count && keys[position] == key
            switch (present, newValue) {
            case (true, .some(let value)): values[position] = value
            case (true, .none):
                keys.remove(at: position)
                values.remove(at: position)
            case (false, .some(let value)):
                keys.insert(key, at: position)
                values.insert(value, at: position)
            case (false, .none): break
            }
        }
    }

    /// Changes a present value in place; does nothing for an absent key.
    public mutating func update<Result>(_ key: Key, _ change: (inout Value) -> Result) -> Result? {
        guard let position = index(of: key) else { return nil }
        return change(&values[position])
    }

    /// The pairs in key order.
    public var pairs: Zip2Sequence<[Key], [Value]> { zip(keys, values) }
}

extension SortedMap: Equatable where Value: Equatable {}
extension SortedMap: Hashable where Key: Hashable, Value: Hashable {}

extension SortedMap: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (Key, Value)...) { self.init(elements) }
}
