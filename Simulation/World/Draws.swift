// Randomness of a simulated world: one stream for each purpose, all from one seed, so that leaving out one fault does not
// change what the others draw.

/// A stream of numbers (SplitMix64; Steele, Lea, Flood 2014).
public struct Draws: RandomNumberGenerator, Hashable, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    /// The stream of a seed for one purpose.
    public init(seed: UInt64, purpose: UInt64) {
        state = seed
        let salt = next() ^ (purpose &* 0xD6E8_FEB8_6659_FD93)
        state = salt
        _ = next()
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number of a closed range of at most 2⁶³ numbers.
    public mutating func number(_ range: ClosedRange<Int64>) -> Int64 {
        let span = UInt64(range.upperBound - range.lowerBound) + 1
        return range.lowerBound + Int64(next().multipliedFullWidth(by: span).high)
    }

    public mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int(number(Int64(range.lowerBound)...Int64(range.upperBound)))
    }

    /// True with a chance of `perMille` in a thousand.
    public mutating func chance(_ perMille: Int) -> Bool { number(0...999) < perMille }

    /// True with a chance of `perMillion` in a million. Draws nothing for zero.
    public mutating func rarely(_ perMillion: Int) -> Bool { perMillion > 0 && number(0...999_999) < perMillion }

    /// One of a collection that is not empty.
    public mutating func one<Elements: RandomAccessCollection>(of elements: Elements) -> Elements.Element {
        elements[elements.index(elements.startIndex, offsetBy: number(0...(elements.count - 1)))]
    }
}
