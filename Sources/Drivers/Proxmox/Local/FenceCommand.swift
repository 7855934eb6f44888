// A command of the user's that takes the power from a host (a switched socket, ipmitool, a script). Succeeds when it ends
// with 0; anything else is no proof. It is given the name of the host and nothing it could not be trusted with.

import Consensus

/// A command that makes sure a host is off.
public struct FenceCommand: Hashable, Sendable {
    public var words: [String]
    public var limit: Interval

    public init(_ words: [String], limit: Interval = .seconds(30)) {
        self.words = words
        self.limit = limit
    }

    /// Runs it; `{host}` in its words is the host's name.
    public func run(host: String) async throws(LocalProgramError) {
        let attempted = "take the power from \(host) by the fence command"
        let advice = "run it by hand; when the host is off for certain: holdfast fence \(host) --i-verified-it-is-off"
        guard let program = words.first, !program.isEmpty else {
            throw LocalProgramError(.notStarted, attempted: attempted, answer: "no command is declared", advice: advice)
        }
        let arguments = words.dropFirst().map { $0.replacing("{host}", with: host) }
        _ = try await LocalProgram(program, limit: limit).run(arguments, attempted: attempted, advice: advice)
    }
}
