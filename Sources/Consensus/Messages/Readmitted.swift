// The leader's answer to a member that has lost something: no majority counts it any more, so it is bound by nothing it
// forgot. It stays true for ever, so it may come late, from any leader, in any number of copies.

public struct Readmitted: Hashable, Sendable {
    /// The start of the member's disk that asked.
    public let start: DiskStart

    public init(start: DiskStart) { self.start = start }
}

extension Raft {
    mutating func receive(_ answer: Readmitted, from sender: MemberID) {
        guard hardState.memory != .whole, answer.start == hardState.start, sender == leader else { return }
        isReadmitted = true
        recollect()
    }
}
