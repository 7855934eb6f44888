// Who answered for an address on the wire, and how many at once. Each who-has is numbered; an answer belongs to the last
// one asked before it came. Pure.

/// The answers to who-has, by hardware address.
struct Ownership {
    struct Owner: Codable, Equatable {
        var hardwareAddress: String
        /// The node it belongs to; nil for a stranger.
        var node: String?
        var answers: Int
        /// First and last answer, nanoseconds of the wall clock.
        var first: Int64
        var last: Int64
    }

    /// An owner that has been quiet for so many questions and answers again began anew: it gave the address up between.
    static let forgottenAfter = 10

    /// When each who-has was asked.
    private var asked: [Int64] = []
    private var owners: [Owner] = []
    /// For each owner, the stretches of questions it answered.
    private var runs: [String: [ClosedRange<Int>]] = [:]
    private(set) var current: String?

    var questions: Int { asked.count }
    /// In the order they were first heard.
    var all: [Owner] { owners }

    mutating func ask(at time: Int64) { asked.append(time) }

    /// Notes an answer. True when it comes from another owner than the one before.
    mutating func answer(from hardwareAddress: String, node: String?, at time: Int64) -> Bool {
        guard let question = asked.lastIndex(where: { $0 <= time }) else { return false }
        if let index = owners.firstIndex(where: { $0.hardwareAddress == hardwareAddress }) {
            owners[index].answers += 1
            owners[index].last = time
        } else {
            owners.append(
                Owner(hardwareAddress: hardwareAddress, node: node, answers: 1, first: time, last: time))
        }
        var stretches = runs[hardwareAddress] ?? []
        if let last = stretches.last, question - last.upperBound <= Self.forgottenAfter {
            stretches[stretches.count - 1] = last.lowerBound...max(last.upperBound, question)
        } else {
            stretches.append(question...question)
        }
        runs[hardwareAddress] = stretches
        defer { current = hardwareAddress }
        return current != hardwareAddress
    }

    /// The largest number of different owners that answered the same question or in turns.
    var ownersAtOnce: Int {
        var edges: [(question: Int, change: Int)] = []
        for stretch in runs.values.joined() {
            edges.append((stretch.lowerBound, 1))
            edges.append((stretch.upperBound + 1, -1))
        }
        edges.sort { ($0.question, $0.change) < ($1.question, $1.change) }
        var (now, most) = (0, 0)
        for edge in edges {
            now += edge.change
            most = max(most, now)
        }
        return most
    }
}
