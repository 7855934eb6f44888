// What lies between machines: for each ordered pair a delay, losses, copies and cuts. Datagram by datagram, which is more
// hostile than the TCP the product uses: nothing here keeps an order or repeats what was lost.

struct Wires: Sendable {
    struct Quality: Hashable, Sendable {
        /// True nanoseconds a frame takes, at least and at most.
        var delay: ClosedRange<Int64> = 80_000...250_000
        /// Chances in a million.
        var loss = 0
        var copy = 0
        /// Chance in a million that a frame takes up to `lateness` longer.
        var late = 0
        var lateness: Int64 = 200_000_000
    }

    let count: Int
    /// Of all pairs without a quality of their own.
    var usual = Quality()
    private var own: [Quality?]
    private var cut: [Bool]

    init(count: Int) {
        self.count = count
        own = Array(repeating: nil, count: count * count)
        cut = Array(repeating: false, count: count * count)
    }

    private func place(_ from: Int, _ to: Int) -> Int { from * count + to }

    func isCut(from: Int, to: Int) -> Bool { cut[from * count + to] }
    func quality(from: Int, to: Int) -> Quality { own[from * count + to] ?? usual }

    mutating func cut(from: Int, to: Int) { cut[place(from, to)] = true }
    mutating func mend(from: Int, to: Int) { cut[place(from, to)] = false }
    mutating func change(from: Int, to: Int, _ change: (inout Quality) -> Void) {
        var quality = quality(from: from, to: to)
        change(&quality)
        own[place(from, to)] = quality
    }

    /// No cuts, and everywhere the usual quality.
    mutating func mendEverything() {
        for place in cut.indices { cut[place] = false }
        for place in own.indices { own[place] = nil }
    }

    var isWhole: Bool { !cut.contains(true) }
}
