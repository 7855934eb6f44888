// A map whose order is the order of its keys, so that iterating it is the same on every member and in every process.
// Dictionary and Set order differs between processes and is banned from the pure half.
// Look-up is O(log n); insertion and removal move O(n) elements: meant for up to some ten thousand entries.

/// An ordered map on two parallel arrays. Inlinable throughout: every step of an agent walks through several of these,
/// and generic code that is not compiled for its types looks each of them up at run time.
public struct SortedMap<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    @usableFromInline var storedKeys: [Key] = []
    @usableFromInline var storedValues: [Value] = []

    @inlinable public init() {}

    @inlinable public var keys: [Key] { storedKeys }
    @inlinable public var values: [Value] { storedValues }

    /// Builds from pairs in any order; of equal keys the last one stays.
    @inlinable
    public init(_ pairs: [(Key, Value)]) {
        for (key, value) in pairs { self[key] = value }
    }

    @inlinable public var count: Int { storedKeys.count }
    @inlinable public var isEmpty: Bool { storedKeys.isEmpty }

    /// The position of the first key that is not less than `key`.
    @inlinable
    public func lowerBound(_ key: Key) -> Int {
        var low = 0
        var high = storedKeys.count
        while low < high {
            let middle = (low + high) / 2
            if storedKeys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    @inlinable
    public func index(of key: Key) -> Int? {
        let position = lowerBound(key)
        return position < storedKeys.count && storedKeys[position] == key ? position : nil
    }

    @inlinable
    public func contains(_ key: Key) -> Bool { index(of: key) != nil }

    /// Reads, inserts, replaces (a value) or removes (nil).
    @inlinable
    public subscript(key: Key) -> Value? {
        get { index(of: key).map { storedValues[$0] } }
        set {
            let position = lowerBound(key)
            let present = position < storedKeys.count && storedKeys[position] == key
            switch (present, newValue) {
            case (true, .some(let value)): storedValues[position] = value
            case (true, .none):
                storedKeys.remove(at: position)
                storedValues.remove(at: position)
            case (false, .some(let value)):
                storedKeys.insert(key, at: position)
                storedValues.insert(value, at: position)
            case (false, .none): break
            }
        }
    }

    /// Looks at a present value where it stands; nil for an absent key. What the subscript hands out is a copy, with a
    /// count for everything it refers to.
    @inlinable
    public func look<Result>(_ key: Key, _ at: (Value) -> Result) -> Result? {
        guard let position = index(of: key) else { return nil }
        return storedValues.withUnsafeBufferPointer { at($0[position]) }
    }

    /// Changes a present value in place; does nothing for an absent key.
    @inlinable
    public mutating func update<Result>(_ key: Key, _ change: (inout Value) -> Result) -> Result? {
        guard let position = index(of: key) else { return nil }
        return change(&storedValues[position])
    }

    /// Another value for each key.
    @inlinable
    public func mapKeys<Other: Sendable>(_ value: (Key) -> Other) -> SortedMap<Key, Other> {
        var other = SortedMap<Key, Other>()
        other.storedKeys = storedKeys
        other.storedValues = storedKeys.map(value)
        return other
    }

    /// The pairs in key order.
    @inlinable public var pairs: Zip2Sequence<[Key], [Value]> { zip(storedKeys, storedValues) }
}

extension SortedMap: Equatable where Value: Equatable {}
extension SortedMap: Hashable where Key: Hashable, Value: Hashable {}

extension SortedMap: ExpressibleByDictionaryLiteral {
    @inlinable public init(dictionaryLiteral elements: (Key, Value)...) { self.init(elements) }
}
