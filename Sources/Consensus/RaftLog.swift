// The log in memory. It holds every entry after `base`; the disk's copy follows through LogWrite.
// What lies before the base is in a snapshot; without one the base is zero.

/// A gapless run of entries, after a base position whose term is known.
public struct RaftLog: Hashable, Sendable {
    public private(set) var base: LogIndex = .zero
    public private(set) var baseTerm: Term = .zero
    private var entries: [Entry] = []

    public init(base: LogPosition? = nil, entries: [Entry] = []) {
        if let base { (self.base, baseTerm) = (base.index, base.term) }
        for (offset, entry) in entries.enumerated() {
            precondition(entry.index == self.base + (offset + 1), "a restored log has no gaps")
        }
        self.entries = entries
    }

    public var lastIndex: LogIndex { base + entries.count }
    public var lastTerm: Term { entries.last?.term ?? baseTerm }
    public var firstIndex: LogIndex { base.next }

    /// The term at a position; nil before the base or after the end.
    public func term(at index: LogIndex) -> Term? {
        if index == base { return baseTerm }
        return entry(at: index)?.term
    }

    public func entry(at index: LogIndex) -> Entry? {
        guard index > base, index <= lastIndex else { return nil }
        return entries[offset(of: index)]
    }

    /// The entries of a closed range that must lie within the log.
    public func slice(_ first: LogIndex, through last: LogIndex) -> ArraySlice<Entry> {
        guard first <= last else { return [] }
        precondition(first > base && last <= lastIndex, "a slice lies within the log")
        return entries[offset(of: first)...offset(of: last)]
    }

    /// The entries from `first` on, within both limits, but always at least one when there is one.
    public func batch(from first: LogIndex, limits: Limits) -> [Entry] {
        guard first > base, first <= lastIndex else { return [] }
        var taken: [Entry] = []
        var bytes = 0
        for entry in entries[offset(of: first)...] {
            bytes += entry.size
            if !taken.isEmpty && (bytes > limits.appendBytes || taken.count >= limits.appendEntries) { break }
            taken.append(entry)
        }
        return taken
    }

    public mutating func append(_ entry: Entry) {
        precondition(entry.index == lastIndex.next, "an entry is appended right after the last one")
        precondition(entry.term >= lastTerm, "terms never decrease along a log")
        entries.append(entry)
    }

    /// Removes everything from `index` on.
    public mutating func truncate(from index: LogIndex) {
        precondition(index > base, "what a snapshot covers is never cut")
        guard index <= lastIndex else { return }
        entries.removeSubrange(offset(of: index)...)
    }

    /// Drops everything up to and including `index`, which becomes the base.
    public mutating func compact(through index: LogIndex) {
        guard index > base, index <= lastIndex else { return }
        baseTerm = entries[offset(of: index)].term
        entries.removeSubrange(...offset(of: index))
        base = index
    }

    /// Whether a log ending in (`term`, `index`) holds at least as much as this one (Ongaro 3.6.1).
    public func isNotAhead(ofLastTerm term: Term, lastIndex index: LogIndex) -> Bool {
        term > lastTerm || (term == lastTerm && index >= lastIndex)
    }

    /// The last position at or before `index` whose term is at most `term`. Used to skip whole terms at once when two
    /// logs disagree: nothing after the answer can match a log that has `term` at `index`.
    public func lastIndex(notAfter index: LogIndex, termAtMost term: Term) -> LogIndex {
        var low = base
        var high = min(index, lastIndex)
        // Terms never decrease along the log, so the answer is found by halving.
        while low < high {
            let middle = LogIndex(rawValue: (low.rawValue + high.rawValue + 1) / 2)
            if self.term(at: middle)! <= term { low = middle } else { high = middle.previous }
        }
        return low
    }

    private func offset(of index: LogIndex) -> Int { Int(index.rawValue - base.rawValue - 1) }
}
