// Runs programs given as lines of JSON: after each operation, one line with the state of every member. An empty line ends
// a program; the next one begins with nothing. A line that cannot be carried out is answered by an object that says why,
// and changes nothing.

/// A program on its way.
public struct RaftProgram: Sendable {
    private var cluster = LoneCluster()
    private var line = 0
    private var operations = 0
    /// How many lines were answered by an error.
    public private(set) var errors = 0

    public init() {}

    /// Takes one line in and gives its answer.
    public mutating func answer(_ text: some Collection<UInt8>) -> String {
        line += 1
        if text.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) {
            cluster = LoneCluster()
            operations = 0
            return ""
        }
        do {
            operations += 1
            guard operations <= RaftBounds.operations else {
                throw RaftProgramError("a program has at most \(RaftBounds.operations) operations")
            }
            try cluster.perform(try RaftOperation(line: text))
            return cluster.states.line
        } catch {
            errors += 1
            return "{\"error\":" + JSONText.quoted("line \(line): \(error)") + "}"
        }
    }

    /// Runs a whole text. Returns how many lines were answered by an error.
    public static func run(
        lines: some Sequence<some Collection<UInt8>>, emit: (String) -> Void
    ) -> Int {
        var program = RaftProgram()
        for line in lines { emit(program.answer(line)) }
        return program.errors
    }
}
