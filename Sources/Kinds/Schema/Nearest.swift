// The known name that a mistyped one is most like, so that an error can say what was probably meant.
// Guesses only for people to read; nothing acts on a guess.

/// Nearest name by edit distance.
public enum Nearest {
    /// Longer names are not compared: nobody mistypes them by a letter or two.
    static let mostCharacters = 40

    /// The candidate with the fewest edits from `name`, letter case aside; of equals the first. Nil when even that one
    /// is too far off to have been meant: more than a third of the letters differ.
    public static func match(_ name: String, among candidates: [String]) -> String? {
        let wanted = Array(name.lowercased().unicodeScalars)
        guard !wanted.isEmpty, wanted.count <= mostCharacters else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in candidates {
            let letters = Array(candidate.lowercased().unicodeScalars)
            guard letters.count <= mostCharacters else { continue }
            let distance = edits(from: wanted, to: letters)
            guard distance <= max(1, max(wanted.count, letters.count) / 3) else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    static func edits(from left: [Unicode.Scalar], to right: [Unicode.Scalar]) -> Int {
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for column in right.indices {
                let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
                var least = min(last[column + 1] + 1, current[column] + 1, replaced)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    least = min(least, beforeLast[column - 1] + 1)
                }
                current.append(least)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
